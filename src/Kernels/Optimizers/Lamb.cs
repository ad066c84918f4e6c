using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;
using Kernels.Host;
using Kernels.Launching;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>A loaded LAMB over segments: <see cref="LambOptions"/> over views.</summary>
/// <remarks>
/// The segments lie one after the other in each view, every one from a multiple of 256 elements on, with zeros between
/// them; the views end with the last segment or with its padding. At most seven launches, whatever the number of segments. A step
/// allocates nothing, after the first with a kind of storage, and never waits; it owns its scratch memory, so steps of
/// one object must be on one stream, one after the other.
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class Lamb : IDisposable
{
    private const int RunLength = 256;
    private static readonly string[] s_stateNames = ["m", "v"];
    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly long _blocks;
    private readonly int _runs;
    private readonly int _segments;
    private readonly StepScratch _scratch;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _segmentOf;
    private readonly MemoryBuffer1D<Run, Stride1D.Dense> _table; // of runs, then of segments
    private readonly ItemLauncher<PieceSumWork> _sums;
    private readonly ItemLauncher<LambRuns> _sumRuns;
    private readonly ItemLauncher<LambRates> _rates;
    private readonly KernelSets _kernels;

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
        _scratch = new StepScratch(accelerator, 2 * (Pieces.Lanes + 1) * _blocks + 2 * _runs + _segments);
        _sums = new(accelerator, _facts);
        _sumRuns = new(accelerator, _facts);
        _rates = new(accelerator, _facts);
        _kernels = new(accelerator, _facts);
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
    /// <param name="extras">What is fused into the pass that writes the parameters.</param>
    /// <exception cref="ArgumentException">A length differs, a tensor lies elsewhere, or two overlap.</exception>
    /// <exception cref="ArgumentNullException">The stream or the options are missing.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The step or an option is out of range.</exception>
    /// <exception cref="ObjectDisposedException">This, the stream or a buffer is disposed.</exception>
    public void Step(
        AcceleratorStream stream, TensorView p, TensorView g, ArrayView<float> m, ArrayView<float> v, int step,
        LambOptions options, in UpdateExtras extras = default)
    {
        ObjectDisposedException.ThrowIf(_scratch.IsDisposed, this);
        Require.Stream(_accelerator, stream);
        Require.NotNull(options);
        options.Validate(nameof(options));
        Require.AtLeast(step, 1);
        Require.Tensor(_accelerator, p.Length == PaddedLength ? PaddedLength : Length, p);
        UpdateCall call = new()
        {
            P = p,
            G = g,
            A = m,
            B = v,
            GradientFactor = options.Maximize ? -1f : 1f,
            Step = step,
            RandomStep = (uint)step,
            Extras = extras,
        };
        StepArguments.Check(_accelerator, call, [m, v], s_stateNames, [p.Length, p.Length]);
        Step(stream, call, options);
    }

    /// <summary>Enqueues a step whose arguments are known to be right.</summary>
    internal void Step(AcceleratorStream stream, in UpdateCall call, LambOptions options)
    {
        if (call.Length == 0)
        {
            return;
        }

        long used = 0;
        var memory = new Memory
        {
            ParameterPieces = _scratch.Next(ref used, _blocks),
            DirectionPieces = _scratch.Next(ref used, _blocks),
            ParameterRuns = _scratch.Next(ref used, _runs),
            DirectionRuns = _scratch.Next(ref used, _runs),
            Rates = _scratch.Next(ref used, _segments),
            ParameterSquares = _scratch.Next(ref used, _blocks * Pieces.Lanes),
            DirectionSquares = _scratch.Next(ref used, _blocks * Pieces.Lanes),
        };
        LambScalars scalars = options.Fold(call.Step);
        if (_facts.Class == DeviceClass.Host)
        {
            StepOnHost(stream, call, memory, scalars);
            return;
        }

        UpdateCall written = call;
        // Every pass obeys the control, which is always there.
        written.Extras = call.Extras with { Control = default };
        UpdateDispatch.Run(written, new Launch(this, stream, _scratch.Control(call), memory, scalars, call.P.Length));
    }

    /// <summary>Frees the scratch memory; enqueued work must have ended.</summary>
    public void Dispose()
    {
        _scratch.Dispose();
        _segmentOf.Dispose();
        _table.Dispose();
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

    private unsafe void StepOnHost(
        AcceleratorStream stream, in UpdateCall call, in Memory memory, in LambScalars scalars)
    {
        if (!HostTensors.TryResolve(call, out HostTensors tensors))
        {
            return;
        }

        float* m = HostTensors.Floats(call.A);
        float* v = HostTensors.Floats(call.B);
        HostPieces.Run(
            new HostLambMoments { Tensors = tensors, M = m, V = v, Scalars = scalars, Length = call.Length }, _blocks,
            HostTensors.Floats(memory.ParameterPieces), HostTensors.Floats(memory.DirectionPieces), _facts.Cores);
        Rates(stream, memory, scalars);
        var apply = new HostLambApply
        {
            Tensors = tensors,
            M = m,
            V = v,
            Scalars = scalars,
            Rates = HostTensors.Floats(memory.Rates),
            SegmentOf = (int*)_segmentOf.NativePtr,
            Length = call.Length,
        };
        HostPieces.Run(apply, _blocks, null, null, _facts.Cores);
    }

    // From the sums of the pieces to the rate of each segment.
    private void Rates(AcceleratorStream stream, in Memory memory, in LambScalars scalars)
    {
        ArrayView<Run> table = _table.View;
        var runs = new LambRuns
        {
            ParameterPieces = memory.ParameterPieces,
            DirectionPieces = memory.DirectionPieces,
            Runs = table.SubView(0, _runs),
            ParameterRuns = memory.ParameterRuns,
            DirectionRuns = memory.DirectionRuns,
        };
        _sumRuns.Run(stream, runs, 0, _runs, grain: 64);
        var segments = new LambRates
        {
            ParameterRuns = memory.ParameterRuns,
            DirectionRuns = memory.DirectionRuns,
            Segments = table.SubView(_runs, _segments),
            LearningRate = scalars.LearningRate,
            Rates = memory.Rates,
        };
        _rates.Run(stream, segments, 0, _segments, grain: 64);
    }

    private struct Memory
    {
        internal ArrayView<float> ParameterSquares; // of lanes
        internal ArrayView<float> DirectionSquares;
        internal ArrayView<float> ParameterPieces;
        internal ArrayView<float> DirectionPieces;
        internal ArrayView<float> ParameterRuns;
        internal ArrayView<float> DirectionRuns;
        internal ArrayView<float> Rates;
    }

    [UnconditionalSuppressMessage("AOT", "IL3050", Justification = LoadedKernels.Told)]
    private readonly struct Launch(
        Lamb lamb, AcceleratorStream stream, ArrayView<StepControl> control, Memory memory, LambScalars scalars,
        long length) : IUpdateLaunch
    {
        public void Run<TParam, TGrad, TExtras>(UpdateTensors<TParam, TGrad> t, TExtras extras)
            where TParam : struct, IStorage
            where TGrad : struct, IStorage
            where TExtras : struct, IExtras
        {
            Loaded<TParam, TGrad, TExtras> kernels = lamb._kernels.Get(
                static (accelerator, facts) => new Loaded<TParam, TGrad, TExtras>(accelerator, facts));
            var layout = new PieceLayout(length);
            var moments = new LambMoments<TParam, TGrad>
            {
                T = t,
                Control = control,
                Scalars = scalars,
                ParameterSquares = memory.ParameterSquares,
                DirectionSquares = memory.DirectionSquares,
            };
            kernels.Moments.Run(stream, moments, layout);
            var sums = new PieceSumWork
            {
                LanesX = memory.ParameterSquares,
                LanesY = memory.DirectionSquares,
                SumsX = memory.ParameterPieces,
                SumsY = memory.DirectionPieces,
                HasX = 1,
            };
            lamb._sums.Run(stream, sums, 0, layout.Count);
            lamb.Rates(stream, memory, scalars);
            var apply = new LambApply<TParam, TGrad, TExtras>
            {
                T = t,
                Extras = extras,
                Control = control,
                Scalars = scalars,
                Rates = memory.Rates,
                SegmentOf = lamb._segmentOf.View,
            };
            kernels.Apply.Run(stream, apply, layout);
        }
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Loaded<TParam, TGrad, TExtras>(Accelerator accelerator, DeviceFacts facts)
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TExtras : struct, IExtras
    {
        internal PieceLauncher<LambMoments<TParam, TGrad>> Moments { get; } = new(accelerator, facts);

        internal PieceUpdateLauncher<LambApply<TParam, TGrad, TExtras>> Apply { get; } = new(accelerator, facts);
    }
}
