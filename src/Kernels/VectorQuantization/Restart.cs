using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Storage;
using Kernels.DeviceCode.VectorQuantization;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.VectorQuantization;

/// <summary>Dead codes start again from rows of the batch.</summary>
/// <remarks>
/// <para>
/// Source: lucidrains/vector-quantize-pytorch. After an update, every code with a cluster size below the threshold
/// becomes a random row of the batch: rows without repetition if there are as many as dead codes, else with. Its size
/// becomes the reset value, its sum the row times that. Live codes keep every bit. Without a row that counts, nothing
/// happens. A size that is no number is not dead.
/// </para>
/// <para>
/// Which rows follows from the seed, the step, and which codes are dead and which rows count: the same on every device.
/// Nothing waits for the number of dead codes. A call allocates nothing; it uses the object's scratch memory, so calls
/// of one object must be on one stream, one after the other.
/// </para>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class Restart : IDisposable
{
    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly SegmentWalk _walk;
    private readonly RestartOptions _options;
    private readonly SegmentSorter<DeadCode> _dead;
    private readonly SegmentSorter<CountedRow> _counted;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _picks;
    private readonly ItemLauncher<RestartPickWork> _pick;
    private readonly StoragePairs<IKind> _kinds;

    /// <summary>Prepares restarts of one shape and allocates their scratch memory.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="maxRows">The most rows of a call, at least 1; times heads at most 2^30.</param>
    /// <param name="codes">Codes of each codebook, at least 1; times heads at most 2^30.</param>
    /// <param name="dimension">Length of a code, 1 to 2^20.</param>
    /// <param name="options">Threshold, reset and seed; the defaults without.</param>
    /// <param name="heads">Codebooks, each with its own part of every row. 1 to 65,536.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size or an option is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public Restart(
        Accelerator accelerator, int maxRows, int codes, int dimension, RestartOptions? options = null, int heads = 1)
        : this(accelerator, maxRows, codes, dimension, options, heads, walk: null)
    {
    }

    /// <summary>With a walk that the device would not choose itself, for tests.</summary>
    internal Restart(
        Accelerator accelerator, int maxRows, int codes, int dimension, RestartOptions? options, int heads,
        SegmentWalk? walk)
    {
        CodebookChecks.Shape(accelerator, maxRows, codes, dimension, heads);
        _options = options ?? new RestartOptions();
        _options.Validate(nameof(options));
        _accelerator = accelerator;
        _kinds = new StoragePairs<IKind>(new Loader(this));
        _facts = DeviceFacts.Of(accelerator);
        _walk = walk ?? SegmentPlan.WalkFor(_facts);
        MaxRows = maxRows;
        Codes = codes;
        Dimension = dimension;
        Heads = heads;
        _dead = new SegmentSorter<DeadCode>(accelerator, _facts, _walk, codes * heads, heads);
        _counted = new SegmentSorter<CountedRow>(accelerator, _facts, _walk, maxRows * heads, heads);
        _picks = accelerator.Allocate1D<int>(codes * heads);
        _pick = new ItemLauncher<RestartPickWork>(accelerator, _facts);
    }

    private interface IKind
    {
        void Copy(AcceleratorStream stream, in RestartArguments arguments, TensorView x, TensorView codes, ArrayView<float> sums);
    }

    /// <summary>The most rows of a call.</summary>
    public int MaxRows { get; }

    /// <summary>Codes of each codebook.</summary>
    public int Codes { get; }

    /// <summary>Length of a code.</summary>
    public int Dimension { get; }

    /// <summary>Codebooks.</summary>
    public int Heads { get; }

    /// <summary>Enqueues a restart of the dead codes.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="x">The rows, [rows, heads, dimension], row-major.</param>
    /// <param name="codes">The codebooks, [heads, codes, dimension]; dead ones are written.</param>
    /// <param name="clusterSize">The moving counts, [heads, codes]; those of dead codes are written.</param>
    /// <param name="clusterSum">The moving sums, [heads, codes, dimension]; those of dead codes are written.</param>
    /// <param name="rows">Rows, 0 to <see cref="MaxRows"/>; with 0 nothing changes.</param>
    /// <param name="step">The number of the step, at least 0: other random numbers for each.</param>
    /// <param name="index">
    /// The code of each row, [rows, heads]; a row does not count where it is -1 or no code. All count if it is not given.
    /// </param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The number of rows or the step is out of range.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Run(
        AcceleratorStream stream, TensorView x, TensorView codes, ArrayView<float> clusterSize,
        ArrayView<float> clusterSum, int rows, int step, ArrayView<int> index = default)
    {
        ObjectDisposedException.ThrowIf(_picks.IsDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        Require.InRange(rows, 0, MaxRows + 1.0);
        Require.AtLeast(step, 0);
        bool hasIndex = index.Length > 0;
        TensorView places = LinearChecks.Bytes(index);
        CodebookChecks.Learned(
            _accelerator, x, places, codes, clusterSize, clusterSum, (long)rows * Heads, (long)Heads * Codes, Dimension,
            hasIndex);
        if (rows == 0)
        {
            return;
        }

        int all = Heads * Codes;
        IKind kind = _kinds.For(x.Storage, codes.Storage);
        _dead.Sort(
            stream,
            new DeadCode { Sizes = clusterSize, Threshold = (float)_options.Threshold, Codes = Codes, Heads = Heads }, all);
        var counted = new CountedRow
        {
            Index = hasIndex ? index : _picks.View,
            Codes = Codes,
            Heads = Heads,
            HasIndex = hasIndex ? 1 : 0,
        };
        _counted.Sort(stream, counted, rows * Heads);
        var arguments = new RestartArguments
        {
            DeadOrder = _dead.Order,
            DeadBegin = _dead.Begin,
            RowOrder = _counted.Order,
            RowBegin = _counted.Begin,
            Picks = _picks.View,
            Sizes = clusterSize,
            Codes = Codes,
            Heads = Heads,
            Dimension = Dimension,
            Reset = (float)(_options.Reset ?? _options.Threshold),
            Seed0 = (uint)_options.Seed,
            Seed1 = (uint)(_options.Seed >> 32),
            Step = (uint)step,
        };
        _pick.Run(stream, new RestartPickWork { Arguments = arguments }, 0, all, grain: 256);
        kind.Copy(stream, arguments, x, codes, clusterSum);
    }

    /// <summary>Frees the scratch memory; enqueued work must have ended.</summary>
    public void Dispose()
    {
        _dead.Dispose();
        _counted.Dispose();
        _picks.Dispose();
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Loader(Restart owner) : IStoragePairLoader<IKind>
    {
        public IKind Load<TRow, TCode>()
            where TRow : struct, IStorage
            where TCode : struct, IStorage => owner._walk == SegmentWalk.Radix
                ? new Kind<TRow, TCode, OneWide>(owner._accelerator, owner._facts)
                : new Kind<TRow, TCode, SixteenWide>(owner._accelerator, owner._facts);
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Kind<TRow, TCode, TWidth>(Accelerator accelerator, DeviceFacts facts) : IKind
        where TRow : struct, IStorage
        where TCode : struct, IStorage
        where TWidth : struct, IItemWidth
    {
        private readonly ItemLauncher<RestartCopyWork<TRow, TCode, TWidth>> _copy = new(accelerator, facts);

        public void Copy(
            AcceleratorStream stream, in RestartArguments arguments, TensorView x, TensorView codes, ArrayView<float> sums)
        {
            var work = new RestartCopyWork<TRow, TCode, TWidth>
            {
                Arguments = arguments,
                Rows = Stored.Of<TRow>(x),
                Codes = Stored.Of<TCode>(codes),
                Sums = sums,
            };
            long chunks = SegmentCuts.Chunks<TWidth>(arguments.Dimension);
            _copy.Run(stream, work, 0, (long)arguments.Heads * arguments.Codes * chunks, grain: 256);
        }
    }
}
