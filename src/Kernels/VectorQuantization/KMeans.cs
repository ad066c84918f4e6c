using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Storage;
using Kernels.DeviceCode.VectorQuantization;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.VectorQuantization;

/// <summary>k-means and k-means++: a first codebook from rows.</summary>
/// <remarks>
/// <para>
/// Source: Lloyd 1982; Arthur, Vassilvitskii 2007. Every centre is a row, chosen with a probability proportional to the
/// squared distance to the nearest centre before it; equal for the first, and where every row is a centre. Then steps
/// of Lloyd's: the nearest code of each row (<see cref="NearestCode"/>, L2), the means of the rows of each code
/// (<see cref="SegmentSum"/>, divided by the count). A code without rows keeps its place. A row that is not finite is no
/// centre unless all are not, and has no nearest code.
/// </para>
/// <para>
/// The same seed and rows give the same bits on one device. Load once for a shape; calls of one object must be on one
/// stream, one after the other.
/// </para>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class KMeans : IDisposable
{
    // Centres between two reports.
    private const int ReportedCentres = 256;

    private readonly Accelerator _accelerator;
    private readonly KMeansOptions _options;
    private readonly NearestCode _nearest;
    private readonly SegmentMemory _memory;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _weights;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _index;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _sums;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _counts;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _picks;
    private readonly ItemLauncher<KMeansBlockWork> _block;
    private readonly ItemLauncher<KMeansPickWork> _pick;
    private readonly ItemLauncher<KMeansMaskWork> _mask;
    private readonly Lock _loading = new();
    private readonly IKind?[] _kinds = new IKind?[3];

    /// <summary>Prepares k-means of one shape and allocates its scratch memory.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="maxRows">The most rows of a call, at least 1; times heads at most 2^30.</param>
    /// <param name="codes">Codes of each codebook, at least 1; times heads at most 2^30.</param>
    /// <param name="dimension">Length of a code, 1 to 2^20.</param>
    /// <param name="options">Iterations, first centres and seed; the defaults without.</param>
    /// <param name="heads">Codebooks, each from its own part of every row. 1 to 65,536.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size or an option is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public KMeans(
        Accelerator accelerator, int maxRows, int codes, int dimension, KMeansOptions? options = null, int heads = 1)
    {
        CodebookChecks.Shape(accelerator, maxRows, codes, dimension, heads);
        _options = options ?? new KMeansOptions();
        _options.Validate(nameof(options));
        _accelerator = accelerator;
        MaxRows = maxRows;
        Codes = codes;
        Dimension = dimension;
        Heads = heads;
        var facts = DeviceFacts.Of(accelerator);
        SegmentWalk walk = SegmentPlan.WalkFor(facts);
        // The search takes nearly all of the time: the host's own sums would save nothing.
        _memory = new SegmentMemory(
            accelerator, walk == SegmentWalk.Host ? SegmentWalk.Parts : walk, maxRows, codes, dimension, heads);
        _nearest = new NearestCode(accelerator, maxRows, codes, dimension, CodeMetric.L2, heads);
        long entries = (long)maxRows * heads;
        long blocks = (long)Blocks(maxRows) * heads;
        _weights = accelerator.Allocate1D<float>(entries);
        _index = accelerator.Allocate1D<int>(entries);
        _sums = accelerator.Allocate1D<float>(blocks);
        _counts = accelerator.Allocate1D<int>(2 * blocks);
        _picks = accelerator.Allocate1D<int>(heads);
        _block = new ItemLauncher<KMeansBlockWork>(accelerator, facts);
        _pick = new ItemLauncher<KMeansPickWork>(accelerator, facts);
        _mask = new ItemLauncher<KMeansMaskWork>(accelerator, facts);
    }

    private interface IKind
    {
        void Distances(AcceleratorStream stream, in KMeansArguments arguments, TensorView x, ArrayView<float> codes);

        void Centre(AcceleratorStream stream, in KMeansArguments arguments, TensorView x, ArrayView<float> codes);

        void Means(AcceleratorStream stream, TensorView x, ArrayView<int> index, ArrayView<float> codes, int rows);
    }

    /// <summary>The most rows of a call.</summary>
    public int MaxRows { get; }

    /// <summary>Codes of each codebook.</summary>
    public int Codes { get; }

    /// <summary>Length of a code.</summary>
    public int Dimension { get; }

    /// <summary>Codebooks.</summary>
    public int Heads { get; }

    /// <summary>Enqueues k-means; waits only where there is somebody to report to.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="x">The rows, [rows, heads, dimension], row-major.</param>
    /// <param name="codes">The codebooks, [heads, codes, dimension], F32; written, and read if no centres are chosen.</param>
    /// <param name="rows">Rows, 0 to <see cref="MaxRows"/>; with 0 nothing changes.</param>
    /// <param name="mask">Where given: [rows, heads]; a row is left out where it is negative.</param>
    /// <param name="progress">Who is told after every 256 centres and after every step, with the error before it.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The number of rows is out of range.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Fit(
        AcceleratorStream stream, TensorView x, ArrayView<float> codes, int rows, ArrayView<int> mask = default,
        IProgress<KMeansProgress>? progress = null)
    {
        ObjectDisposedException.ThrowIf(_weights.IsDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        Require.InRange(rows, 0, MaxRows + 1.0);
        long entries = (long)rows * Heads;
        bool hasMask = mask.Length > 0;
        TensorView left = LinearChecks.Bytes(mask);
        Require.Tensor(_accelerator, entries * Dimension, x);
        LinearChecks.Floats(_accelerator, (long)Heads * Codes * Dimension, codes);
        LinearChecks.Floats(_accelerator, hasMask ? entries : 0, left, nameof(mask));
        Require.Apart(x, codes, nameof(x), nameof(codes));
        Require.Apart(left, codes, nameof(mask), nameof(codes));
        if (rows == 0)
        {
            return;
        }

        ArrayView<int> leftOut = hasMask ? mask : _index.View;
        IKind kind = Load(x.Storage);
        if (_options.ChooseCentres)
        {
            Choose(stream, kind, x, codes, rows, leftOut, hasMask, progress);
        }

        for (int step = 1; step <= _options.Iterations; step++)
        {
            ArrayView<int> index = _index.View.SubView(0, entries);
            ArrayView<float> distance = _weights.View.SubView(0, entries);
            _nearest.Search(stream, x, codes, index, rows, distance);
            var work = new KMeansMaskWork
            {
                Mask = leftOut,
                Index = index,
                Distance = distance,
                HasMask = hasMask ? 1 : 0,
            };
            _mask.Run(stream, work, 0, entries);
            kind.Means(stream, x, index, codes, rows);
            if (progress is not null)
            {
                progress.Report(new KMeansProgress(step, _options.ChooseCentres ? Codes : 0, Error(stream, distance)));
            }
        }
    }

    /// <summary>Frees the scratch memory; enqueued work must have ended.</summary>
    public void Dispose()
    {
        _nearest.Dispose();
        _memory.Dispose();
        _weights.Dispose();
        _index.Dispose();
        _sums.Dispose();
        _counts.Dispose();
        _picks.Dispose();
    }

    private static int Blocks(int rows) => (int)SegmentPlan.Windows(rows, KMeansArguments.Block);

    private static double Error(AcceleratorStream stream, ArrayView<float> distance)
    {
        var values = new float[distance.Length];
        distance.CopyToCPU(stream, values);
        double sum = 0;
        foreach (float value in values)
        {
            sum += value;
        }

        return sum;
    }

    private void Choose(
        AcceleratorStream stream, IKind kind, TensorView x, ArrayView<float> codes, int rows, ArrayView<int> mask,
        bool hasMask, IProgress<KMeansProgress>? progress)
    {
        int blocks = Blocks(rows);
        long all = (long)blocks * Heads;
        var arguments = new KMeansArguments
        {
            Mask = mask,
            Weights = _weights.View,
            Sums = _sums.View,
            Finite = _counts.View.SubView(0, all),
            Counted = _counts.View.SubView(all, all),
            Picks = _picks.View,
            Rows = rows,
            Heads = Heads,
            Codes = Codes,
            Dimension = Dimension,
            Blocks = blocks,
            HasMask = hasMask ? 1 : 0,
            Seed0 = (uint)_options.Seed,
            Seed1 = (uint)(_options.Seed >> 32),
        };
        for (int centre = 0; centre < Codes; centre++)
        {
            arguments.Centre = centre;
            kind.Distances(stream, arguments, x, codes);
            _block.Run(stream, new KMeansBlockWork { Arguments = arguments }, 0, all, grain: 32);
            _pick.Run(stream, new KMeansPickWork { Arguments = arguments }, 0, Heads, grain: 16);
            kind.Centre(stream, arguments, x, codes);
            if (progress is not null && ((centre + 1) % ReportedCentres == 0 || centre + 1 == Codes))
            {
                stream.Synchronize();
                progress.Report(new KMeansProgress(0, centre + 1, double.NaN));
            }
        }
    }

    private IKind Load(Storage storage)
    {
        if (Volatile.Read(ref _kinds[(int)storage]) is { } loaded)
        {
            return loaded;
        }

        lock (_loading)
        {
            return _kinds[(int)storage] ??= storage switch
            {
                Storage.F32 => new Kind<F32>(_memory),
                Storage.F16 => new Kind<F16>(_memory),
                _ => new Kind<BF16>(_memory),
            };
        }
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Kind<TRow>(SegmentMemory memory) : IKind
        where TRow : struct, IStorage
    {
        private readonly ItemLauncher<KMeansDistanceWork<TRow>> _distances = new(memory.Accelerator, memory.Facts);
        private readonly ItemLauncher<KMeansCentreWork<TRow>> _centre = new(memory.Accelerator, memory.Facts);
        private readonly SegmentPass<TRow, KMeansEnd> _means = SegmentPass<TRow, KMeansEnd>.For(memory);

        public void Distances(
            AcceleratorStream stream, in KMeansArguments arguments, TensorView x, ArrayView<float> codes)
        {
            var work = new KMeansDistanceWork<TRow> { Arguments = arguments, Rows = Stored.Of<TRow>(x), Codes = codes };
            _distances.Run(
                stream, work, 0, (long)arguments.Rows * arguments.Heads, Math.Max(1, 65_536 / arguments.Dimension));
        }

        public void Centre(AcceleratorStream stream, in KMeansArguments arguments, TensorView x, ArrayView<float> codes)
        {
            var work = new KMeansCentreWork<TRow> { Arguments = arguments, Rows = Stored.Of<TRow>(x), Codes = codes };
            _centre.Run(stream, work, 0, (long)arguments.Heads * arguments.Dimension);
        }

        public void Means(AcceleratorStream stream, TensorView x, ArrayView<int> index, ArrayView<float> codes, int rows)
        {
            ChosenCode keys = memory.Sort(stream, index, rows);
            _means.Run(stream, memory.Rows<TRow>(x, keys), new KMeansEnd { Codes = codes }, rows * memory.Heads);
        }
    }
}
