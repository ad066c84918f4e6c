using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Storage;
using Kernels.Launching;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>A loaded LAMB over segments: <see cref="LambOptions"/> over views.</summary>
/// <remarks>
/// The segments lie one after the other in each view, every one from a multiple of 256 elements on, with zeros between
/// them; the views end with the last segment or with its padding. Five launches, whatever the number of segments. A step
/// allocates nothing, after the first with a kind of storage, and never waits; it owns its scratch memory, so steps of
/// one object must be on one stream, one after the other.
/// </remarks>
public sealed class Lamb : IDisposable
{
    private const int RunLength = 256;
    private const int LanesOfBlock = LambBlocks.Lanes;
    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly long _blocks;
    private readonly int _runs;
    private readonly int _segments;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _scratch;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _segmentOf;
    private readonly MemoryBuffer1D<Run, Stride1D.Dense> _table; // of runs, then of segments
    private readonly ItemLauncher<LambBlocks> _sumBlocks;
    private readonly ItemLauncher<LambRuns> _sumRuns;
    private readonly ItemLauncher<LambRates> _rates;
    private readonly object?[] _loaded = new object?[9];

    /// <summary>One segment: a single tensor.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="length">Elements of the tensor.</param>
    /// <exception cref="ArgumentNullException">There is no accelerator.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The length is negative or above 5e11.</exception>
    public Lamb(Accelerator accelerator, long length)
        : this(accelerator, [length])
    {
    }

    /// <summary>Builds the tables and allocates the scratch memory: about a byte for each element.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="segments">Elements of each segment, without padding.</param>
    /// <exception cref="ArgumentNullException">There is no accelerator.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A length is negative, or all together are above 5e11.</exception>
    public Lamb(Accelerator accelerator, ReadOnlySpan<long> segments)
        : this(accelerator, segments, null)
    {
    }

    internal Lamb(Accelerator accelerator, ReadOnlySpan<long> segments, DeviceFacts? facts)
    {
        Require.NotNull(accelerator);
        foreach (long length in segments)
        {
            Require.AtLeast(length, 0, nameof(segments));
            Length = _blocks * Update.BlockLength + length;
            _blocks += (length + Update.BlockLength - 1) / Update.BlockLength;
            Require.InRange(_blocks, 0, int.MaxValue, nameof(segments));
        }

        _accelerator = accelerator;
        _facts = facts ?? DeviceFacts.Of(accelerator);
        _segments = segments.Length;
        PaddedLength = _blocks * Update.BlockLength;
        (int[] segmentOf, Run[] table, _runs) = Tables(segments, (int)_blocks);
        _segmentOf = accelerator.Allocate1D(segmentOf);
        _table = accelerator.Allocate1D(table);
        _scratch = accelerator.Allocate1D<float>(2 + 2 * (LanesOfBlock + 1) * _blocks + 2 * _runs + _segments);
        // A skipped step leaves sums as they were, and later launches read them all the same.
        _scratch.MemSetToZero();
        _scratch.View.BaseView.SubView(0, 2).CopyFromCPU(accelerator.DefaultStream, [1f, 0f]);
        accelerator.DefaultStream.Synchronize();
        _sumBlocks = new(accelerator, _facts);
        _sumRuns = new(accelerator, _facts);
        _rates = new(accelerator, _facts);
    }

    private interface IKind
    {
        void Moments(
            AcceleratorStream stream, in Call call, ArrayView<float> parameters, ArrayView<float> direction, long blocks);

        void Apply(
            AcceleratorStream stream, in Call call, ArrayView<float> rates, ArrayView<int> segmentOf, long blocks);
    }

    /// <summary>Elements of the views up to the end of the last segment.</summary>
    public long Length { get; }

    /// <summary>Elements of the views with the padding of the last segment.</summary>
    public long PaddedLength { get; }

    /// <summary>Enqueues one step of all segments.</summary>
    /// <param name="stream">Stream of the accelerator.</param>
    /// <param name="p">Parameters, [<see cref="Length"/> or <see cref="PaddedLength"/>], updated in place.</param>
    /// <param name="g">Gradients, as long as p, read only.</param>
    /// <param name="m">Mean of the gradients, as long as p, updated in place; 0 at first.</param>
    /// <param name="v">Mean of the squared gradients, as long as p, updated in place; 0 at first.</param>
    /// <param name="step">The number of this step; the first is 1.</param>
    /// <param name="options">The options.</param>
    /// <param name="control">Gradient factor and skip flag, [2]; may be empty.</param>
    /// <exception cref="ArgumentException">A length differs, a tensor lies elsewhere, or two overlap.</exception>
    /// <exception cref="ArgumentNullException">The stream or the options are missing.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The step or an option is out of range.</exception>
    /// <exception cref="ObjectDisposedException">This, the stream or a buffer is disposed.</exception>
    public void Step(
        AcceleratorStream stream, TensorView p, TensorView g, ArrayView<float> m, ArrayView<float> v, int step,
        LambOptions options, ArrayView<float> control = default)
    {
        ObjectDisposedException.ThrowIf(_scratch.IsDisposed, this);
        Require.Stream(_accelerator, stream);
        Require.NotNull(options);
        options.Validate(nameof(options));
        Require.AtLeast(step, 1);
        Require.Tensor(_accelerator, p.Length == PaddedLength ? PaddedLength : Length, p);
        Require.Tensor(_accelerator, p.Length, g);
        Require.Tensor(_accelerator, p.Length, m);
        Require.Tensor(_accelerator, p.Length, v);
        Require.Apart(p, g, nameof(p), nameof(g));
        Require.Apart(p, m, nameof(p), nameof(m));
        Require.Apart(p, v, nameof(p), nameof(v));
        Require.Apart(g, m, nameof(g), nameof(m));
        Require.Apart(g, v, nameof(g), nameof(v));
        Require.Apart(m, v, nameof(m), nameof(v));
        if (control.Length != 0)
        {
            Require.Tensor(_accelerator, 2, control);
            Require.Apart(p, control, nameof(p), nameof(control));
            Require.Apart(m, control, nameof(m), nameof(control));
            Require.Apart(v, control, nameof(v), nameof(control));
        }

        if (p.Length == 0)
        {
            return;
        }

        ArrayView<float> scratch = _scratch.View;
        ArrayView<float> neutral = Next(ref scratch, 2);
        ArrayView<float> parameterSquares = Next(ref scratch, _blocks * LanesOfBlock);
        ArrayView<float> directionSquares = Next(ref scratch, _blocks * LanesOfBlock);
        ArrayView<float> parameterBlocks = Next(ref scratch, _blocks);
        ArrayView<float> directionBlocks = Next(ref scratch, _blocks);
        ArrayView<float> parameterRuns = Next(ref scratch, _runs);
        ArrayView<float> directionRuns = Next(ref scratch, _runs);
        ArrayView<float> rates = Next(ref scratch, _segments);
        ArrayView<Run> table = _table.View;
        var call = new Call
        {
            P = p,
            G = g,
            M = m,
            V = v,
            Control = (control.Length == 0 ? neutral : control).Cast<StepControl>(),
            Scalars = options.Fold(step),
        };
        IKind kind = Load(p.Storage, g.Storage);
        kind.Moments(stream, call, parameterSquares, directionSquares, _blocks);
        var blocks = new LambBlocks
        {
            ParameterSquares = parameterSquares,
            DirectionSquares = directionSquares,
            ParameterBlocks = parameterBlocks,
            DirectionBlocks = directionBlocks,
        };
        _sumBlocks.Run(stream, blocks, 0, _blocks);
        var runs = new LambRuns
        {
            ParameterBlocks = parameterBlocks,
            DirectionBlocks = directionBlocks,
            Runs = table.SubView(0, _runs),
            ParameterRuns = parameterRuns,
            DirectionRuns = directionRuns,
        };
        _sumRuns.Run(stream, runs, 0, _runs, grain: 64);
        var segments = new LambRates
        {
            ParameterRuns = parameterRuns,
            DirectionRuns = directionRuns,
            Segments = table.SubView(_runs, _segments),
            LearningRate = (float)options.LearningRate,
            Rates = rates,
        };
        _rates.Run(stream, segments, 0, _segments, grain: 64);
        kind.Apply(stream, call, rates, _segmentOf.View, _blocks);
    }

    /// <summary>Frees the scratch memory; enqueued work must have ended.</summary>
    public void Dispose()
    {
        _scratch.Dispose();
        _segmentOf.Dispose();
        _table.Dispose();
    }

    private static ArrayView<float> Next(ref ArrayView<float> scratch, long length)
    {
        if (length == scratch.Length)
        {
            // A view of nothing at the end of another is out of bounds for ILGPU.
            (ArrayView<float> last, scratch) = (scratch, default);
            return last;
        }

        ArrayView<float> taken = scratch.SubView(0, length);
        scratch = scratch.SubView(length);
        return taken;
    }

    private static (int[] SegmentOf, Run[] Table, int Runs) Tables(ReadOnlySpan<long> segments, int blocks)
    {
        var segmentOf = new int[blocks];
        var runs = new List<Run>();
        var ofSegments = new List<Run>();
        int block = 0;
        for (int s = 0; s < segments.Length; s++)
        {
            int end = block + (int)((segments[s] + Update.BlockLength - 1) / Update.BlockLength);
            segmentOf.AsSpan(block, end - block).Fill(s);
            int firstRun = runs.Count;
            for (; block < end; block += runs[^1].Count)
            {
                runs.Add(new Run { First = block, Count = Math.Min(RunLength, end - block) });
            }

            ofSegments.Add(new Run { First = firstRun, Count = runs.Count - firstRun });
        }

        return (segmentOf, [.. runs, .. ofSegments], runs.Count);
    }

    private IKind Load(Storage p, Storage g)
    {
        ref object? loaded = ref _loaded[(int)p * 3 + (int)g];
        loaded ??= (p, g) switch
        {
            (Storage.F32, Storage.F32) => new Kind<F32, F32>(_accelerator, _facts),
            (Storage.F32, Storage.F16) => new Kind<F32, F16>(_accelerator, _facts),
            (Storage.F32, Storage.BF16) => new Kind<F32, BF16>(_accelerator, _facts),
            (Storage.F16, Storage.F32) => new Kind<F16, F32>(_accelerator, _facts),
            (Storage.F16, Storage.F16) => new Kind<F16, F16>(_accelerator, _facts),
            (Storage.F16, Storage.BF16) => new Kind<F16, BF16>(_accelerator, _facts),
            (Storage.BF16, Storage.F32) => new Kind<BF16, F32>(_accelerator, _facts),
            (Storage.BF16, Storage.F16) => new Kind<BF16, F16>(_accelerator, _facts),
            _ => new Kind<BF16, BF16>(_accelerator, _facts),
        };
        return (IKind)loaded;
    }

    private struct Call
    {
        internal TensorView P;
        internal TensorView G;
        internal ArrayView<float> M;
        internal ArrayView<float> V;
        internal ArrayView<StepControl> Control;
        internal LambScalars Scalars;
    }

    private sealed class Kind<TParam, TGrad>(Accelerator accelerator, DeviceFacts facts) : IKind
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
    {
        private readonly BlockLauncher<LambMoments<TParam, TGrad>> _moments = new(accelerator, facts);
        private readonly BlockLauncher<LambApply<TParam, TGrad>> _apply = new(accelerator, facts);

        public void Moments(
            AcceleratorStream stream, in Call call, ArrayView<float> parameters, ArrayView<float> direction, long blocks)
        {
            var work = new LambMoments<TParam, TGrad>
            {
                T = Tensors(call),
                ParameterSquares = parameters,
                DirectionSquares = direction,
            };
            _moments.Run(stream, work, 0, blocks);
        }

        public void Apply(
            AcceleratorStream stream, in Call call, ArrayView<float> rates, ArrayView<int> segmentOf, long blocks)
        {
            var work = new LambApply<TParam, TGrad> { T = Tensors(call), Rates = rates, SegmentOf = segmentOf };
            _apply.Run(stream, work, 0, blocks);
        }

        private static LambTensors<TParam, TGrad> Tensors(in Call call) => new()
        {
            P = Stored.Of<TParam>(call.P),
            G = Stored.Of<TGrad>(call.G),
            M = call.M,
            V = call.V,
            Control = call.Control,
            Scalars = call.Scalars,
            Length = call.P.Length,
        };
    }
}
