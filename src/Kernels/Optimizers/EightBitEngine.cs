using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Optimizers;

namespace Kernels.Optimizers;

/// <summary>
/// Adam and AdamW with 8-bit state: two launches a step, one for the parameters whose state is in 8 bits and one for
/// the small ones before them in the arena, whose state stays F32.
/// </summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class EightBitEngine : OptimizerEngine
{
    private readonly Arena _arena;
    private readonly AdamOptions _options;
    private readonly Updater _small;
    private readonly EightBitUpdater _large;
    private readonly ArenaTensor[] _state;
    private readonly MemoryBuffer1D<byte, Stride1D.Dense>?[] _codes = new MemoryBuffer1D<byte, Stride1D.Dense>?[2];
    private readonly ArenaTensor[] _scales;
    private StepGroups? _smallGroups;
    private StepGroups? _largeGroups;

    internal EightBitEngine(Accelerator accelerator, Arena arena, AdamOptions options)
    {
        _arena = arena;
        _options = options;
        _small = options.Form.Load(accelerator);
        _large = EightBitAdamLauncher.Load(accelerator, options);
        long coded = arena.Length - arena.SmallLength;
        _state = [State(arena.SmallLength), State(arena.SmallLength)];
        _scales = [State(coded / Update.BlockLength), State(coded / Update.BlockLength)];
        for (int slot = 0; slot < _codes.Length && coded > 0; slot++)
        {
            _codes[slot] = accelerator.Allocate1D<byte>(coded);
            _codes[slot]!.MemSetToZero();
        }

        ArenaTensor State(long length) => ArenaTensor.Create(accelerator, length, Storage.F32);
    }

    internal override IReadOnlyList<StateTensor> StateOf(int parameter)
    {
        long[] shape = [.. _arena.Parameters[parameter].Shape];
        if (_arena.IsSmall(parameter))
        {
            return
            [
                .. _options.StateNames.Select((name, slot) => new StateTensor(
                    name, _arena.Segment(_state[slot].View, parameter), shape)),
            ];
        }

        long first = _arena.Firsts[parameter] - _arena.SmallLength;
        long length = _arena.Parameters[parameter].Length;
        long blocks = Arena.Blocks(length);
        var tensors = new List<StateTensor>();
        for (int slot = 0; slot < _codes.Length; slot++)
        {
            string name = _options.StateNames[slot];
            TensorView scales = _scales[slot].View.Slice(first / Update.BlockLength, blocks);
            tensors.Add(new StateTensor(name, default, shape)
            {
                Codes = _codes[slot]!.View.SubView(first, length),
                CodeScales = scales,
                Map = slot == 0 ? EightBitMap.WithSign : EightBitMap.WithoutSign,
            });
            tensors.Add(new StateTensor(name + StateTensor.Scales, scales, [blocks]));
        }

        return tensors;
    }

    internal override bool Fits(OptimizerOptions options) => options is AdamOptions { AmsGrad: false };

    internal override void Arrange(OptimizerOptions[] options, ReadOnlySpan<bool> frozen, ReadOnlySpan<int> steps)
    {
        var elementwise = Array.ConvertAll(options, o => (ElementwiseOptions)o);
        var others = new bool[frozen.Length];
        Except(small: false, frozen);
        _smallGroups?.Dispose();
        _smallGroups = new StepGroups(_small, _arena, elementwise, others, steps);
        Except(small: true, frozen);
        _largeGroups?.Dispose();
        _largeGroups = new StepGroups(_large, _arena, elementwise, others, steps, _arena.SmallLength);

        void Except(bool small, ReadOnlySpan<bool> frozen)
        {
            for (int i = 0; i < others.Length; i++)
            {
                others[i] = frozen[i] || _arena.IsSmall(i) == small;
            }
        }
    }

    internal override void Rescale(OptimizerOptions[] options)
    {
        var elementwise = Array.ConvertAll(options, o => (ElementwiseOptions)o);
        _smallGroups!.Rescale(elementwise);
        _largeGroups!.Rescale(elementwise);
    }

    internal override void Step(AcceleratorStream stream, in UpdateCall call, int[] steps)
    {
        UpdateCall small = Part(call, 0, _arena.SmallLength, _arena.SmallLength);
        small.A = _state[0].View.As<float>();
        small.B = _state[1].View.As<float>();
        _smallGroups!.Step(stream, small, steps);
        UpdateCall large = Part(
            call, _arena.SmallLength, _arena.OwnedLength - _arena.SmallLength, _arena.Length - _arena.SmallLength);
        if (_codes[0] is not null)
        {
            large.Moments = new EightBitMoments
            {
                CodesM = _codes[0]!.View,
                CodesV = _codes[1]!.View,
                ScalesM = _scales[0].View.As<float>(),
                ScalesV = _scales[1].View.As<float>(),
            };
        }

        _largeGroups!.Step(stream, large, steps);
    }

    internal override void TakeBack(int[] steps)
    {
        _smallGroups!.TakeBack(steps);
        _largeGroups!.TakeBack(steps);
    }

    public override void Dispose()
    {
        _smallGroups?.Dispose();
        _largeGroups?.Dispose();
        Array.ForEach(_state, s => s.Dispose());
        Array.ForEach(_scales, s => s.Dispose());
        Array.ForEach(_codes, c => c?.Dispose());
    }

    /// <summary>A part of the arena: so much of what it owns, and so much of what it keeps for borrowed ones too.</summary>
    private static UpdateCall Part(in UpdateCall call, long first, long owned, long all)
    {
        UpdateCall part = call;
        part.P = Slice(call.P, first, owned);
        part.G = Slice(call.G, first, owned);
        part.PlacesFirst = first;
        part.Extras = call.Extras with
        {
            Copy = Slice(call.Extras.Copy, first, all),
            Average = call.Extras.Average.IsValid ? call.Extras.Average.SubView(first, all) : default,
            FirstElement = call.Extras.FirstElement + first,
        };
        return part;
    }

    private static TensorView Slice(TensorView view, long first, long length) =>
        view.IsEmpty ? default : view.Slice(first, length);
}
