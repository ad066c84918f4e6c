using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Linear;
using Kernels.DeviceCode.Storage;
using Kernels.DeviceCode.VectorQuantization;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.VectorQuantization;

/// <summary>
/// The nearest code of a codebook for each row, without the matrix of distances: vector quantization's forward pass.
/// </summary>
/// <remarks>
/// <para>
/// Source: the score z.e - |e|^2 / 2, whose largest value is at the smallest |z - e|; kept for the best code alone, as
/// FAISS, cuVS and flash-kmeans do in their fused searches. Arithmetic is binary32, whatever the storage: a code may be
/// returned whose distance is above the smallest one by at most the rounding of both scores, (d + 3) 2^-23 (|z| |e| +
/// |e|^2 / 2) for each. Codes at the same score: the lowest index.
/// </para>
/// <para>
/// The products of a score are added in ascending dimension, whatever the launch and the split: same input, same bits.
/// A code with a NaN or an infinity never wins; nor does one whose score overflows to minus infinity, unless the search
/// is certified. A row with a NaN or an infinity, or without a winner, has index -1 and a distance of NaN.
/// </para>
/// <para>
/// Load once for a shape, search often. A call allocates nothing and does not wait; it uses the object's scratch
/// memory, so calls of one object must be on one stream, one after the other. Three launches: the codes' terms, the
/// search, the result; three more where it is certified, one where it finds several codes. On ILGPU's CPU accelerator a
/// certified search with rows that roundings leave open allocates a little, as ILGPU's launches do there.
/// </para>
/// <example><code>
/// using var nearest = new NearestCode(accelerator, maxRows: 4096, codes: 16384, dimension: 64);
/// nearest.Search(stream, x.View, codes.View, index.View, rows: 4096);
/// </code></example>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class NearestCode : IDisposable
{
    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly NearestWalk _walk;
    private readonly CodeMetric _metric;
    private readonly int _splits;
    private readonly int _top;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _numbers;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _indices;
    private readonly StoragePairs<IKind> _kinds;
    private readonly long _partials;
    private readonly CertifyScratch? _certify;

    /// <summary>Prepares searches of one shape and allocates their scratch memory.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="maxRows">The most rows of a call, 1 to 2^30.</param>
    /// <param name="codes">Codes of each codebook, 1 to 2^30.</param>
    /// <param name="dimension">Length of a code, 1 to 2^20.</param>
    /// <param name="metric">What is smallest at the nearest code.</param>
    /// <param name="heads">Codebooks; each searches its own part of every row. 1 to 65,536.</param>
    /// <param name="splits">
    /// Parts of the codebook that are searched side by side, which keeps a device busy with few rows; 0: as many as the
    /// device wants. No value changes the result.
    /// </param>
    /// <param name="certified">
    /// Whether the index is that of the nearest code in real numbers, the lowest on exact ties. Rows whose best two
    /// scores are closer than roundings can move them are decided by integers: rarely any of random rows, but all of
    /// them where each row has two codes at the same distance or the numbers are below 1e-17.
    /// </param>
    /// <param name="top">Codes to find for each row, the nearest first, 1 to 32.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ArgumentException">More than one code is to be certified.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size or the metric is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public NearestCode(
        Accelerator accelerator, int maxRows, int codes, int dimension, CodeMetric metric = CodeMetric.L2,
        int heads = 1, int splits = 0, bool certified = false, int top = 1)
        : this(accelerator, maxRows, codes, dimension, metric, heads, splits, certified, top, walk: null)
    {
    }

    /// <summary>With a walk that the device would not choose itself, for tests.</summary>
    internal NearestCode(
        Accelerator accelerator, int maxRows, int codes, int dimension, CodeMetric metric, int heads, int splits,
        bool certified, int top, NearestWalk? walk)
    {
        Require.NotNull(accelerator);
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        LinearChecks.PositiveSize(maxRows);
        LinearChecks.PositiveSize(codes);
        Require.InRange(dimension, 1, (1 << 20) + 1);
        Require.Defined(metric);
        Require.InRange(heads, 1, 65_537);
        Require.AtLeast(splits, 0);
        Require.InRange(top, 1, TopList.Most + 1);
        if (certified && top > 1)
        {
            throw new ArgumentException($"Only the nearest code can be certified, and {top} are to be found.", nameof(certified));
        }

        _accelerator = accelerator;
        _kinds = new StoragePairs<IKind>(new Loader(this));
        _facts = DeviceFacts.Of(accelerator);
        _walk = walk ?? NearestPlan.WalkFor(_facts, dimension);
        _metric = metric;
        _splits = splits;
        _top = top;
        MaxRows = maxRows;
        Codes = codes;
        Dimension = dimension;
        Heads = heads;
        _partials = NearestPlan.Partials(_facts, _walk, maxRows, codes, dimension, heads, splits);
        _numbers = accelerator.Allocate1D<float>(((long)heads * codes) + ((1 + top) * _partials));
        _indices = accelerator.Allocate1D<int>(top * _partials);
        _certify = certified ? new CertifyScratch(accelerator, (long)maxRows * heads, codes, heads) : null;
    }

    private interface IKind
    {
        void Search(NearestCode owner, AcceleratorStream stream, in Call call);
    }

    /// <summary>The most rows of a call.</summary>
    public int MaxRows { get; }

    /// <summary>Codes of each codebook.</summary>
    public int Codes { get; }

    /// <summary>Length of a code.</summary>
    public int Dimension { get; }

    /// <summary>Codebooks.</summary>
    public int Heads { get; }

    /// <summary>Codes found for each row.</summary>
    public int Top => _top;

    /// <summary>Whether the index is proven to be that of the nearest code.</summary>
    public bool Certified => _certify is not null;

    /// <summary>Bytes of scratch memory on the device; nothing in them grows with rows times codes.</summary>
    public long ScratchBytes => ((_numbers.Length + _indices.Length) * 4) + (_certify?.Bytes ?? 0);

    /// <summary>Enqueues the search.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="x">The rows, [rows, heads, dimension], row-major.</param>
    /// <param name="codes">The codebooks, [heads, codes, dimension], row-major.</param>
    /// <param name="index">
    /// Out: the nearest codes, [rows, heads, top], the nearest first, the lower index first at equal scores; -1 where
    /// there is none.
    /// </param>
    /// <param name="rows">Rows, 0 to <see cref="MaxRows"/>.</param>
    /// <param name="distance">Out, where given: the distances to them, [rows, heads, top], computed anew.</param>
    /// <param name="margin">
    /// Out, where given: how much farther the runner-up is, [rows, heads], from the scores; infinite with one code.
    /// </param>
    /// <param name="score">
    /// Out, where given: the scores that decided, [rows, heads, top], for <see cref="NearestMerge"/>; minus infinity where
    /// there is no code. Not of a certified search, where the scores of some rows do not decide.
    /// </param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">
    /// A length, accelerator or stream does not fit, an output overlaps, or scores of a certified search are wanted.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">The number of rows is out of range.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Search(
        AcceleratorStream stream, TensorView x, TensorView codes, ArrayView<int> index, int rows,
        ArrayView<float> distance = default, ArrayView<float> margin = default, ArrayView<float> score = default)
    {
        ObjectDisposedException.ThrowIf(_numbers.IsDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        Require.InRange(rows, 0, MaxRows + 1.0);
        long results = (long)rows * Heads;
        TensorView places = LinearChecks.Bytes(index);
        Require.Tensor(_accelerator, results * Dimension, x);
        Require.Tensor(_accelerator, (long)Heads * Codes * Dimension, codes);
        LinearChecks.Floats(_accelerator, results * _top, places, nameof(index));
        Output(distance, results * _top, nameof(distance));
        Output(margin, results, nameof(margin));
        Output(score, results * _top, nameof(score));
        if (Certified && score.Length > 0)
        {
            throw new ArgumentException("The scores of a certified search do not decide.", nameof(score));
        }

        foreach ((TensorView output, string name) in (ReadOnlySpan<(TensorView, string)>)
            [
                (places, nameof(index)), (distance, nameof(distance)), (margin, nameof(margin)), (score, nameof(score)),
            ])
        {
            Require.Apart(x, output, nameof(x), name);
            Require.Apart(codes, output, nameof(codes), name);
        }

        Require.Apart(places, distance, nameof(index), nameof(distance));
        Require.Apart(places, margin, nameof(index), nameof(margin));
        Require.Apart(places, score, nameof(index), nameof(score));
        Require.Apart(distance, margin, nameof(distance), nameof(margin));
        Require.Apart(distance, score, nameof(distance), nameof(score));
        Require.Apart(margin, score, nameof(margin), nameof(score));
        if (rows == 0)
        {
            return;
        }

        NearestPlan plan = NearestPlan.For(_facts, _walk, rows, Codes, Dimension, Heads, _splits);
        ArrayView<float> numbers = _numbers.View;
        long terms = (long)Heads * Codes;
        var call = new Call
        {
            Rows = x,
            Codes = codes,
            Index = index,
            Distance = distance,
            Margin = margin,
            Score = score,
            Plan = plan,
            Arguments = new NearestArguments
            {
                Terms = numbers.SubView(0, terms),
                Scores = numbers.SubView(terms, _top * _partials),
                Seconds = numbers.SubView(terms + (_top * _partials), _partials),
                Indices = _indices.View,
                Top = _top,
                Rows = rows,
                Codes = Codes,
                Dimension = Dimension,
                Heads = Heads,
                SplitCodes = plan.SplitCodes,
                Splits = plan.Splits,
                RowGroups = plan.RowGroups,
            },
        };
        _kinds.For(x.Storage, codes.Storage).Search(this, stream, call);
    }

    /// <summary>Frees the scratch memory; enqueued work must have ended.</summary>
    public void Dispose()
    {
        _numbers.Dispose();
        _indices.Dispose();
        _certify?.Dispose();
    }

    private void Output(ArrayView<float> view, long length, string name)
    {
        if (view.Length != 0)
        {
            LinearChecks.Floats(_accelerator, length, view, name);
        }
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Loader(NearestCode owner) : IStoragePairLoader<IKind>
    {
        public IKind Load<TRow, TCode>()
            where TRow : struct, IStorage
            where TCode : struct, IStorage => owner._metric switch
            {
                CodeMetric.L2 => new Kind<TRow, TCode, SquaredL2>(owner),
                CodeMetric.Dot => new Kind<TRow, TCode, NegativeDot>(owner),
                _ => new Kind<TRow, TCode, OneMinusCosine>(owner),
            };
    }

    private struct Call
    {
        internal TensorView Rows;
        internal TensorView Codes;
        internal ArrayView<int> Index;
        internal ArrayView<float> Distance;
        internal ArrayView<float> Margin;
        internal ArrayView<float> Score;
        internal NearestPlan Plan;
        internal NearestArguments Arguments;
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Kind<TRow, TCode, TMetric> : IKind
        where TRow : struct, IStorage
        where TCode : struct, IStorage
        where TMetric : struct, ICodeMetric
    {
        // As in ItemLauncher: two threads must not set an OpenCL kernel's arguments at once.
        private static readonly Lock s_gate = new();

        private readonly ItemLauncher<CodeTermWork<TCode, TMetric>> _terms;
        private readonly ItemLauncher<NearestResultWork<TRow, TCode, TMetric>> _result;
        private readonly ItemLauncher<TopListMergeWork> _merge;
        private readonly Certifier<TRow, TCode, TMetric>? _certifier;
        private readonly Lazy<Action<AcceleratorStream, KernelConfig, TRow, TCode, NearestArguments, int>>[] _rows;
        private readonly Lazy<Action<AcceleratorStream, KernelConfig, TRow, TCode, NearestArguments>>[] _tiles;

        internal Kind(NearestCode owner)
        {
            Accelerator a = owner._accelerator;
            _terms = new(a, owner._facts);
            _result = new(a, owner._facts);
            _merge = new(a, owner._facts);
            _certifier = owner._certify is { } scratch ? new(a, owner._facts, scratch) : null;
            _rows =
            [
                new(() => a.LoadKernel<TRow, TCode, NearestArguments, int>(NearestRows.Search<TRow, TCode, TMetric, BestOnly>)),
                new(() => a.LoadKernel<TRow, TCode, NearestArguments, int>(NearestRows.Search<TRow, TCode, TMetric, WithRunnerUp>)),
                new(() => a.LoadKernel<TRow, TCode, NearestArguments, int>(NearestRows.Search<TRow, TCode, TMetric, BestFew>)),
            ];
            _tiles =
            [
                new(() => Tile<BestOnly, ScalarAccess>(a)),
                new(() => Tile<BestOnly, PacketAccess>(a)),
                new(() => Tile<WithRunnerUp, ScalarAccess>(a)),
                new(() => Tile<WithRunnerUp, PacketAccess>(a)),
                new(() => ManyTile<ScalarAccess>(a)),
                new(() => ManyTile<PacketAccess>(a)),
            ];
        }

        public void Search(NearestCode owner, AcceleratorStream stream, in Call call)
        {
            var rows = Stored<TRow>(call.Rows);
            var codes = Stored<TCode>(call.Codes);
            NearestArguments t = call.Arguments;
            bool wantsMargin = call.Margin.Length > 0;
            // Which of the walks: the best alone, with the runner-up's score, or the best few.
            int kept = t.Top > 1 ? 2 : wantsMargin || _certifier is not null ? 1 : 0;
            NearestPlan plan = call.Plan;
            int groups = checked(plan.RowGroups * plan.Splits * t.Heads);
            long grain = Math.Max(1, 65_536 / t.Dimension);
            var terms = new CodeTermWork<TCode, TMetric> { Codes = codes, Terms = t.Terms, Dimension = t.Dimension };
            if (owner._certify is { } certify)
            {
                terms.Reaches = certify.Arguments.Reaches;
                terms.WantsReach = 1;
            }

            _terms.Run(stream, terms, 0, t.Terms.Length, grain);
            switch (owner._walk)
            {
                case NearestWalk.Host:
                    OnHost(owner, call, kept);
                    break;
                case NearestWalk.Rows:
                    lock (s_gate)
                    {
                        _rows[kept].Value(stream, (groups, plan.GroupSize), rows, codes, t, plan.Chunk);
                    }
                    break;
                default:
                    bool packets = t.Dimension % 4 == 0 && Alignment.IsPacked(owner._accelerator, call.Rows)
                        && Alignment.IsPacked(owner._accelerator, call.Codes);
                    int kernel = (2 * kept) + (packets ? 1 : 0);
                    lock (s_gate)
                    {
                        _tiles[kernel].Value(stream, (groups, plan.GroupSize), rows, codes, t);
                    }
                    break;
            }

            long results = (long)t.Rows * t.Heads;
            if (t.Top > 1)
            {
                var merge = new TopListMergeWork { Arguments = t };
                _merge.Run(stream, merge, 0, results, 1);
            }
            else if (_certifier is not null)
            {
                _certifier.Run(stream, rows, codes, t, grain);
                t.Splits = 1; // merged
            }

            var result = new NearestResultWork<TRow, TCode, TMetric>
            {
                Rows = rows,
                Codes = codes,
                Arguments = t,
                Index = call.Index,
                Distance = call.Distance.Length > 0 ? call.Distance : t.Scores,
                Margin = call.Margin.Length > 0 ? call.Margin : t.Scores,
                Score = call.Score.Length > 0 ? call.Score : t.Scores,
                WantsDistance = call.Distance.Length > 0 ? 1 : 0,
                WantsMargin = wantsMargin ? 1 : 0,
                WantsScore = call.Score.Length > 0 ? 1 : 0,
            };
            _result.Run(stream, result, 0, results * t.Top, grain);
        }

        private static Action<AcceleratorStream, KernelConfig, TRow, TCode, NearestArguments> Tile<TRunnerUp, TAccess>(
            Accelerator accelerator)
            where TRunnerUp : struct, IRunnerUp
            where TAccess : struct, IAccess =>
            accelerator.LoadKernel<TRow, TCode, NearestArguments>(
                NearestTile.Search<TRow, TCode, TMetric, TRunnerUp, TAccess>);

        private static Action<AcceleratorStream, KernelConfig, TRow, TCode, NearestArguments> ManyTile<TAccess>(
            Accelerator accelerator)
            where TAccess : struct, IAccess =>
            accelerator.LoadKernel<TRow, TCode, NearestArguments>(NearestTile.SearchMany<TRow, TCode, TMetric, TAccess>);

        private static TStorage Stored<TStorage>(TensorView view)
            where TStorage : struct, IStorage => view.Storage switch
            {
                Storage.F32 => (TStorage)(object)new F32(view.As<float>()),
                Storage.F16 => (TStorage)(object)new F16(view.As<ushort>()),
                _ => (TStorage)(object)new BF16(view.As<ushort>()),
            };

        private static unsafe void OnHost(NearestCode owner, in Call call, int kept)
        {
            NearestArguments t = call.Arguments;
            var search = new HostSearch
            {
                Rows = new HostStored(call.Rows),
                Codes = new HostStored(call.Codes),
                Terms = (float*)t.Terms.LoadEffectiveAddressAsPtr(),
                Lists = t,
                Scores = (float*)t.Scores.LoadEffectiveAddressAsPtr(),
                Seconds = (float*)t.Seconds.LoadEffectiveAddressAsPtr(),
                Indices = (int*)t.Indices.LoadEffectiveAddressAsPtr(),
                RowCount = t.Rows,
                CodeCount = t.Codes,
                Dimension = t.Dimension,
                Heads = t.Heads,
            };
            switch (kept)
            {
                case 0:
                    HostNearest.Run<TMetric, BestOnly>(search, call.Plan, owner._facts.Cores);
                    break;
                case 1:
                    HostNearest.Run<TMetric, WithRunnerUp>(search, call.Plan, owner._facts.Cores);
                    break;
                default:
                    HostNearest.Run<TMetric, BestFew>(search, call.Plan, owner._facts.Cores);
                    break;
            }
        }
    }
}
