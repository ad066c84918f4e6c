using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Storage;
using Kernels.DeviceCode.VectorQuantization;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.VectorQuantization;

/// <summary>
/// Sums and counts of the rows of each segment, without a one-hot matrix: what a codebook learns from, and the gradient
/// of codes that rows were gathered from.
/// </summary>
/// <remarks>
/// <para>
/// Rows are sorted by segment, stably, and summed in binary32 in ascending order, in pieces of 64 rows and runs of 64
/// pieces: same input, same bits, whatever the launch, and no atomic operation. Each sum depends on the rows of its
/// segment alone. One segment with all the rows is as fast as many with few.
/// </para>
/// <para>
/// An index that is negative, or not below the number of segments, leaves its row out. What is not finite stays in its
/// segment and its dimension. A segment without rows has the sum 0.
/// </para>
/// <para>
/// Load once for a shape, call often. A call allocates nothing and does not wait; it uses the object's scratch memory,
/// so calls of one object must be on one stream, one after the other.
/// </para>
/// <example><code>
/// using var segments = new SegmentSum(accelerator, maxRows: 4096, segments: 16384, dimension: 64);
/// segments.Sum(stream, x.View, index.View, sums.View, counts.View, rows: 4096);
/// </code></example>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class SegmentSum : IDisposable
{
    private readonly SegmentMemory _memory;
    private readonly Lock _loading = new();
    private readonly IKind?[] _kinds = new IKind?[3];

    /// <summary>Prepares sums of one shape and allocates their scratch memory.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="maxRows">The most rows of a call, at least 1; times heads at most 2^30.</param>
    /// <param name="segments">Segments of each head, at least 1; times heads at most 2^30.</param>
    /// <param name="dimension">Length of a row of one head, 1 to 2^20.</param>
    /// <param name="heads">Parts of a row, each with segments of its own. 1 to 65,536.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public SegmentSum(Accelerator accelerator, int maxRows, int segments, int dimension, int heads = 1)
        : this(accelerator, maxRows, segments, dimension, heads, walk: null)
    {
    }

    /// <summary>With a walk that the device would not choose itself, for tests.</summary>
    internal SegmentSum(
        Accelerator accelerator, int maxRows, int segments, int dimension, int heads, SegmentWalk? walk)
    {
        CodebookChecks.Shape(accelerator, maxRows, segments, dimension, heads);
        MaxRows = maxRows;
        Segments = segments;
        Dimension = dimension;
        Heads = heads;
        _memory = new SegmentMemory(accelerator, walk, maxRows, segments, dimension, heads);
    }

    private interface IKind
    {
        void Sum(SegmentMemory memory, AcceleratorStream stream, TensorView x, ChosenCode keys, in SegmentStore end, int rows);
    }

    /// <summary>The most rows of a call.</summary>
    public int MaxRows { get; }

    /// <summary>Segments of each head.</summary>
    public int Segments { get; }

    /// <summary>Length of a row of one head.</summary>
    public int Dimension { get; }

    /// <summary>Parts of a row.</summary>
    public int Heads { get; }

    /// <summary>Bytes of scratch memory on the device, of the order of rows, segments, and rows times dimension / 64.</summary>
    public long ScratchBytes => _memory.Bytes;

    /// <summary>Enqueues the sums.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="x">The rows, [rows, heads, dimension], row-major.</param>
    /// <param name="index">
    /// The segment of each row, [rows, heads]; a row is left out where it is -1, or anything else that is no segment.
    /// </param>
    /// <param name="sums">Out: the sums, [heads, segments, dimension].</param>
    /// <param name="counts">Out: how many rows each is of, [heads, segments].</param>
    /// <param name="rows">Rows, 0 to <see cref="MaxRows"/>; with 0 all sums are 0.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, accelerator or stream does not fit, or an output overlaps.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The number of rows is out of range.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Sum(
        AcceleratorStream stream, TensorView x, ArrayView<int> index, ArrayView<float> sums, ArrayView<int> counts,
        int rows)
    {
        ObjectDisposedException.ThrowIf(_memory.IsDisposed, this);
        Accelerator accelerator = _memory.Accelerator;
        LinearChecks.Call(accelerator, stream);
        Require.InRange(rows, 0, MaxRows + 1.0);
        long entries = (long)rows * Heads;
        TensorView places = LinearChecks.Bytes(index);
        TensorView numbers = LinearChecks.Bytes(counts);
        Require.Tensor(accelerator, entries * Dimension, x);
        LinearChecks.Floats(accelerator, entries, places, nameof(index));
        LinearChecks.Floats(accelerator, (long)Heads * Segments * Dimension, sums);
        LinearChecks.Floats(accelerator, (long)Heads * Segments, numbers, nameof(counts));
        Require.Apart(x, sums, nameof(x), nameof(sums));
        Require.Apart(x, numbers, nameof(x), nameof(counts));
        Require.Apart(places, sums, nameof(index), nameof(sums));
        Require.Apart(places, numbers, nameof(index), nameof(counts));
        Require.Apart(sums, numbers, nameof(sums), nameof(counts));
        x = rows > 0 ? x : _memory.Nothing;
        IKind kind = Load(x.Storage);
        ChosenCode keys = _memory.Sort(stream, index, rows);
        kind.Sum(_memory, stream, x, keys, new SegmentStore { Sums = sums, Counts = counts }, rows);
    }

    /// <summary>Frees the scratch memory; enqueued work must have ended.</summary>
    public void Dispose() => _memory.Dispose();

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
        private readonly SegmentPass<TRow, SegmentStore>? _pass =
            memory.Walk == SegmentWalk.Host ? null : SegmentPass<TRow, SegmentStore>.For(memory);

        public unsafe void Sum(
            SegmentMemory memory, AcceleratorStream stream, TensorView x, ChosenCode keys, in SegmentStore end, int rows)
        {
            SegmentRows<TRow> sorted = memory.Rows<TRow>(x, keys);
            int entries = rows * memory.Heads;
            if (_pass is not null)
            {
                _pass.Run(stream, sorted, end, entries);
                return;
            }

            var host = new HostStore
            {
                Sums = (float*)end.Sums.LoadEffectiveAddressAsPtr(),
                Counts = (int*)end.Counts.LoadEffectiveAddressAsPtr(),
                Dimension = memory.Dimension,
            };
            HostSegmentSum.Run(HostSegmentRows.Of(x, sorted, entries), host, memory.Facts.Cores);
        }
    }

    /// <summary>As <see cref="SegmentStore"/>.</summary>
    private unsafe struct HostStore : IHostSegmentEnd
    {
        internal float* Sums;
        internal int* Counts;
        internal int Dimension;

        public readonly float* Place(int segment, float* room) => Sums + ((long)segment * Dimension);

        public readonly void Take(int segment, int count, float* sum) => Counts[segment] = count;
    }
}
