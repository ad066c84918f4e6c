using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Storage;
using Kernels.DeviceCode.VectorQuantization;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.VectorQuantization;

/// <summary>A codebook as exponential moving means of the rows that chose each code: one update in one call.</summary>
/// <remarks>
/// <para>
/// Source: van den Oord et al. 2017, arXiv:1711.00937, appendix A; Laplace smoothing and order of steps as
/// lucidrains/vector-quantize-pytorch. With count n_k and sum s_k of this batch, c the cluster sizes and a the sums:
/// c = decay c + (1 - decay) n, a = decay a + (1 - decay) s, T = sum c, e_k = a_k / ((c_k + epsilon) / (T + K epsilon) T).
/// Sizes start at 1 and sums at a copy of the codes.
/// </para>
/// <para>
/// The sums of the batch are made as by <see cref="SegmentSum"/> and never stored. Same input, same bits. A row whose
/// index is no code is left out; a head without a row that counts is left as it is, bit for bit; a code whose size is 0
/// keeps its place. What is not finite stays in its code and dimension, but for sizes.
/// </para>
/// <para>
/// Load once for a shape, call often. A call allocates nothing and does not wait; it uses the object's scratch memory,
/// so calls of one object must be on one stream, one after the other.
/// </para>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class Ema : IDisposable
{
    // Parts of a head whose sizes are summed apart.
    private const int TotalParts = 256;

    // Codes whose counts an item sums, but for so many parts at most.
    private const int PartCodes = 1024;
    private const int MostCountParts = 1024;

    private readonly SegmentMemory _memory;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _totals;
    private readonly ItemLauncher<EmaSizeWork> _sizes;
    private readonly ItemLauncher<EmaTotalWork> _total;
    private readonly Lazy<ItemLauncher<EmaCountWork>> _count;
    private readonly Lazy<ItemLauncher<EmaBeginWork>> _begin;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _counted; // parts of codes, then where the rows of each begin
    private readonly StoragePairs<IKind> _kinds;
    private readonly EmaOptions _options;

    /// <summary>Prepares updates of one shape and allocates their scratch memory.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="maxRows">The most rows of a call, at least 1; times heads at most 2^30.</param>
    /// <param name="codes">Codes of each codebook, at least 1; times heads at most 2^30.</param>
    /// <param name="dimension">Length of a code, 1 to 2^20.</param>
    /// <param name="options">Decay and smoothing; the defaults without.</param>
    /// <param name="heads">Codebooks; each learns from its own part of every row. 1 to 65,536.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size or an option is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public Ema(
        Accelerator accelerator, int maxRows, int codes, int dimension, EmaOptions? options = null, int heads = 1)
        : this(accelerator, maxRows, codes, dimension, options, heads, walk: null)
    {
    }

    /// <summary>With a walk that the device would not choose itself, for tests.</summary>
    internal Ema(
        Accelerator accelerator, int maxRows, int codes, int dimension, EmaOptions? options, int heads,
        SegmentWalk? walk)
    {
        CodebookChecks.Shape(accelerator, maxRows, codes, dimension, heads);
        _options = options ?? new EmaOptions();
        _options.Validate(nameof(options));
        MaxRows = maxRows;
        Codes = codes;
        Dimension = dimension;
        Heads = heads;
        _kinds = new StoragePairs<IKind>(new Loader(this));
        _memory = new SegmentMemory(accelerator, walk, maxRows, codes, dimension, heads);
        _totals = accelerator.Allocate1D<float>((1L + TotalParts) * heads);
        _sizes = new ItemLauncher<EmaSizeWork>(accelerator, _memory.Facts);
        _total = new ItemLauncher<EmaTotalWork>(accelerator, _memory.Facts);
        _count = new(() => new ItemLauncher<EmaCountWork>(accelerator, _memory.Facts));
        _begin = new(() => new ItemLauncher<EmaBeginWork>(accelerator, _memory.Facts));
        _counted = accelerator.Allocate1D<int>(((long)heads * codes) + 1 + CountParts);
    }

    private interface IKind
    {
        void Update(Ema owner, AcceleratorStream stream, in Call call);

        void UpdateFromSums(Ema owner, AcceleratorStream stream, in Call call, ArrayView<float> batchSums);
    }

    /// <summary>The most rows of a call.</summary>
    public int MaxRows { get; }

    /// <summary>Codes of each codebook.</summary>
    public int Codes { get; }

    /// <summary>Length of a code.</summary>
    public int Dimension { get; }

    /// <summary>Codebooks.</summary>
    public int Heads { get; }

    /// <summary>Bytes of scratch memory on the device.</summary>
    public long ScratchBytes => _memory.Bytes + (4 * (_totals.Length + _counted.Length));

    private int CountPartLength => Math.Max(PartCodes, ((Heads * Codes) + MostCountParts - 1) / MostCountParts);

    private int CountParts => ((Heads * Codes) + CountPartLength - 1) / CountPartLength;

    /// <summary>Enqueues an update.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="x">The rows, [rows, heads, dimension], row-major.</param>
    /// <param name="index">The code of each row, [rows, heads]; -1 for a row that does not count.</param>
    /// <param name="codes">The codebooks, [heads, codes, dimension]; written.</param>
    /// <param name="clusterSize">The moving counts, [heads, codes]; read and written.</param>
    /// <param name="clusterSum">The moving sums, [heads, codes, dimension]; read and written.</param>
    /// <param name="rows">Rows, 0 to <see cref="MaxRows"/>; with 0 nothing changes.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The number of rows is out of range.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Update(
        AcceleratorStream stream, TensorView x, ArrayView<int> index, TensorView codes, ArrayView<float> clusterSize,
        ArrayView<float> clusterSum, int rows)
    {
        ObjectDisposedException.ThrowIf(_memory.IsDisposed, this);
        Accelerator accelerator = _memory.Accelerator;
        LinearChecks.Call(accelerator, stream);
        Require.InRange(rows, 0, MaxRows + 1.0);
        long entries = (long)rows * Heads;
        long all = (long)Heads * Codes;
        CodebookChecks.Learned(
            accelerator, x, LinearChecks.Bytes(index), codes, clusterSize, clusterSum, entries, all, Dimension);
        if (rows == 0)
        {
            return;
        }

        IKind kind = _kinds.For(x.Storage, codes.Storage);
        ChosenCode keys = _memory.Sort(stream, index, rows);
        EmaArguments arguments = MoveSizes(stream, clusterSize, _memory.Begin);
        kind.Update(this, stream, new Call
        {
            X = x,
            Keys = keys,
            Codes = codes,
            Sums = clusterSum,
            Arguments = arguments,
            Entries = rows * Heads,
        });
    }

    /// <summary>
    /// Enqueues an update from sums and counts that were reduced over the parts of a batch, on several devices or in several
    /// processes: each part gives its own by <see cref="SegmentSum"/>, and all add them up.
    /// </summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="sums">The sums of the rows of each code, [heads, codes, dimension].</param>
    /// <param name="counts">The rows of each code, [heads, codes], at least 0; all of them fewer than 2^31.</param>
    /// <param name="codes">The codebooks, [heads, codes, dimension]; written.</param>
    /// <param name="clusterSize">The moving counts, [heads, codes]; read and written.</param>
    /// <param name="clusterSum">The moving sums, [heads, codes, dimension]; read and written.</param>
    /// <remarks>
    /// With the sums of a whole batch it is <see cref="Update"/>; with reduced ones it differs by the rounding of the sums.
    /// </remarks>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void UpdateFromSums(
        AcceleratorStream stream, ArrayView<float> sums, ArrayView<int> counts, TensorView codes,
        ArrayView<float> clusterSize, ArrayView<float> clusterSum)
    {
        ObjectDisposedException.ThrowIf(_memory.IsDisposed, this);
        Accelerator accelerator = _memory.Accelerator;
        LinearChecks.Call(accelerator, stream);
        long all = (long)Heads * Codes;
        TensorView given = LinearChecks.Bytes(counts);
        LinearChecks.Floats(accelerator, all * Dimension, sums);
        LinearChecks.Floats(accelerator, all, given, nameof(counts));
        CodebookChecks.Learned(accelerator, default, default, codes, clusterSize, clusterSum, 0, all, Dimension);
        foreach ((TensorView output, string name) in (ReadOnlySpan<(TensorView, string)>)
            [(codes, nameof(codes)), (clusterSize, nameof(clusterSize)), (clusterSum, nameof(clusterSum))])
        {
            Require.Apart(given, output, nameof(counts), name);
            Require.Apart(sums, output, nameof(sums), name);
        }

        IKind kind = _kinds.For(Storage.F32, codes.Storage);
        var count = new EmaCountWork
        {
            Counts = counts,
            Parts = _counted.View.SubView(0, CountParts),
            Length = (int)all,
            PartLength = CountPartLength,
        };
        var begin = new EmaBeginWork { Counted = count, Begin = _counted.View.SubView(CountParts, all + 1) };
        _count.Value.Run(stream, count, 0, CountParts, grain: 8);
        _begin.Value.Run(stream, begin, 0, CountParts, grain: 8);
        var call = new Call
        {
            Codes = codes,
            Sums = clusterSum,
            Arguments = MoveSizes(stream, clusterSize, begin.Begin),
        };
        kind.UpdateFromSums(this, stream, call, sums);
    }

    /// <summary>Frees the scratch memory; enqueued work must have ended.</summary>
    public void Dispose()
    {
        _counted.Dispose();
        _memory.Dispose();
        _totals.Dispose();
    }

    /// <summary>Moves the sizes, and sums them for each head.</summary>
    private EmaArguments MoveSizes(AcceleratorStream stream, ArrayView<float> clusterSize, ArrayView<int> begin)
    {
        long all = (long)Heads * Codes;
        ArrayView<float> totals = _totals.View;
        var arguments = new EmaArguments
        {
            Sizes = clusterSize,
            Totals = totals.SubView(0, Heads),
            Begin = begin,
            Codes = Codes,
            Move = new EmaMove { Decay = (float)_options.Decay, Fresh = (float)(1 - _options.Decay) },
            Epsilon = (float)_options.Epsilon,
            AllEpsilon = (float)(Codes * _options.Epsilon),
        };
        _sizes.Run(stream, new EmaSizeWork { Arguments = arguments }, 0, all);
        int parts = Math.Min(TotalParts, Codes);
        var first = new EmaTotalWork
        {
            From = clusterSize,
            To = totals.SubView(Heads, (long)Heads * parts),
            Length = Codes,
            Parts = parts,
        };
        _total.Run(stream, first, 0, (long)Heads * parts, grain: 64);
        var second = new EmaTotalWork { From = first.To, To = arguments.Totals, Length = parts, Parts = 1 };
        _total.Run(stream, second, 0, Heads, grain: 64);
        return arguments;
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Loader(Ema owner) : IStoragePairLoader<IKind>
    {
        public IKind Load<TRow, TCode>()
            where TRow : struct, IStorage
            where TCode : struct, IStorage => new Kind<TRow, TCode>(owner._memory);
    }

    private struct Call
    {
        internal TensorView X;
        internal ChosenCode Keys;
        internal TensorView Codes;
        internal ArrayView<float> Sums;
        internal EmaArguments Arguments;
        internal int Entries;
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Kind<TRow, TCode>(SegmentMemory memory) : IKind
        where TRow : struct, IStorage
        where TCode : struct, IStorage
    {
        private readonly SegmentPass<TRow, EmaEnd<TCode>>? _pass =
            memory.Walk == SegmentWalk.Host ? null : SegmentPass<TRow, EmaEnd<TCode>>.For(memory);

        private readonly Lazy<ItemLauncher<EmaReducedWork<TCode>>> _reduced =
            new(() => new ItemLauncher<EmaReducedWork<TCode>>(memory.Accelerator, memory.Facts));

        public void Update(Ema owner, AcceleratorStream stream, in Call call)
        {
            SegmentMemory own = owner._memory;
            SegmentRows<TRow> sorted = own.Rows<TRow>(call.X, call.Keys);
            var end = new EmaEnd<TCode>
            {
                Arguments = call.Arguments,
                Codes = Stored.Of<TCode>(call.Codes),
                Sums = call.Sums,
            };
            if (_pass is not null)
            {
                _pass.Run(stream, sorted, end, call.Entries);
                return;
            }

            HostSegmentSum.Run(
                HostSegmentRows.Of(call.X, sorted, call.Entries), new HostEma<TCode>(end, call.Codes, own.Dimension),
                own.Facts.Cores);
        }

        public void UpdateFromSums(Ema owner, AcceleratorStream stream, in Call call, ArrayView<float> batchSums)
        {
            var work = new EmaReducedWork<TCode>
            {
                End = new EmaEnd<TCode>
                {
                    Arguments = call.Arguments,
                    Codes = Stored.Of<TCode>(call.Codes),
                    Sums = call.Sums,
                },
                BatchSums = batchSums,
                Dimension = owner.Dimension,
            };
            _reduced.Value.Run(stream, work, 0, batchSums.Length);
        }
    }
}
