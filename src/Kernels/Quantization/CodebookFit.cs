using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Quantization;
using Kernels.DeviceCode.Storage;
using Kernels.Host;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.Quantization;

/// <summary>Codebooks of the least weighted squared error, sum h (w - c)^2: exactly on the host, or by Lloyd's steps on the
/// device, one codebook for each group of weights.</summary>
/// <remarks>
/// <para>
/// Source: Lloyd 1982; Wu 1991; the weights h as in SqueezeLLM (Kim et al. 2024, arXiv:2306.07629). A step finds the nearest
/// code of each weight, see <see cref="Assign"/>, and moves each code to the mean of its weights. No sort: a step reads the
/// weights once, and k codes take k comparisons of each, many at once.
/// </para>
/// <para>
/// A code moves by a sum of distances to where it was, which are small: the error rises by no step but for roundings of
/// these. A code without weights stays. Weights that are not finite, or whose h is not above 0, do not count, but have
/// codes. Codebooks come out ascending.
/// </para>
/// <para>
/// Arithmetic is binary32, in an order that the device decides: same input, same bits. Load once for a layout, call often. A
/// call allocates nothing and does not wait; it uses the object's scratch memory, so calls of one object must be on one
/// stream, one after the other.
/// </para>
/// <example><code>
/// var layout = new CodebookLayout(4096, 4096, new CodeFormat(16), codebooks: WeightScope.Rows);
/// using var fit = new CodebookFit(accelerator, layout);
/// fit.Run(stream, w.View, default, codebook.View, index.View);
/// </code></example>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class CodebookFit : IDisposable
{
    private const int CpuChunk = 4096;
    private const int LeastGpuChunk = 256;
    private const int LeastSamples = 256;

    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly AssignWalk _walk;
    private readonly int _chunk;
    private readonly FitPieces _pieces;
    private readonly ScopeMemory _scope;
    private readonly Assign _assign;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _numbers;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _isMoving;
    private readonly CodebookFitArguments _arguments;
    private readonly ArrayView<float> _lanes;
    private readonly ArrayView<float> _samples;
    private readonly ArrayView<float> _sorted;
    private readonly ArrayView<float> _sums;
    private readonly ItemLauncher<CodebookFitSortWork> _sort;
    private readonly ItemLauncher<CodebookFitStartWork> _start;
    private readonly ItemLauncher<CodebookFitOrderWork> _order;
    private readonly ItemLauncher<AssignLimitWork> _limit;
    private readonly ItemLauncher<CodebookFitFoldWork> _fold;
    private readonly ItemLauncher<CodebookFitMoveWork> _move;
    private readonly ItemLauncher<CodebookFitRestWork> _rest;
    private readonly ItemLauncher<CodebookFitTotalWork> _total;
    private readonly Lock _loading = new();
    private readonly IKind?[] _kinds = new IKind?[3];
    private bool _isDisposed;

    /// <summary>Prepares for a layout and allocates the scratch memory.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="layout">The matrix: codes of one weight, without scales.</param>
    /// <param name="options">Options, or the defaults.</param>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ArgumentException">The layout has scales, or codes of several weights.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public CodebookFit(Accelerator accelerator, CodebookLayout layout, CodebookFitOptions? options = null)
        : this(accelerator, layout, options, walk: null)
    {
    }

    /// <summary>With a walk that the device would not choose itself, for tests.</summary>
    internal CodebookFit(Accelerator accelerator, CodebookLayout layout, CodebookFitOptions? options, AssignWalk? walk)
    {
        QuantizationChecks.Made(accelerator, layout);
        if (layout.Length > 1 || layout.Scales is not null)
        {
            throw new ArgumentException(
                $"Codes must be of one weight, without scales; of {layout.Length}, with {layout.ScaleCount}.", nameof(layout));
        }

        options ??= new CodebookFitOptions();
        Require.InRange(options.Iterations, 0, 10_001);
        Require.Defined(options.Start);
        _accelerator = accelerator;
        Layout = layout;
        Options = options;
        _facts = DeviceFacts.Of(accelerator);
        _assign = new Assign(accelerator, layout, walk);
        _walk = _assign.Walk;
        _chunk = _walk == AssignWalk.Fours ? Math.Max(LeastGpuChunk, 16 * layout.Codes) : CpuChunk;
        _pieces = new FitPieces(accelerator, layout, _chunk);
        _scope = new ScopeMemory(accelerator, layout.Codebooks, layout.Rows);
        int samples = Math.Max(LeastSamples, 4 * layout.Codes);
        int groups = layout.CodebookCount;
        long ofChunks = Math.Max(1L, (long)_pieces.Chunks * layout.Codes);
        long ofRuns = Math.Max(1L, (long)_pieces.Runs * layout.Codes);
        long ofSums = (layout.WeightCount / CodebookFitErrorWork<F32>.Fold) + 1L;
        // What the start is read off is needed no more when sums begin, and those no more when the error is measured.
        long ofLanes = _walk == AssignWalk.Sixteens ? 32L * _pieces.Chunks : 0;
        long shared = Math.Max(Math.Max(2L * groups * samples, 2 * ofChunks), 2 * ofSums);
        _numbers = accelerator.Allocate1D<float>(layout.CodebookLength + ((long)groups * _assign.Width) + shared
            + (2 * ofRuns) + ofLanes);
        _isMoving = accelerator.Allocate1D<int>(groups);
        long at = 0;
        ArrayView<float> moved = Take(layout.CodebookLength);
        ArrayView<float> limits = Take((long)groups * _assign.Width);
        ArrayView<float> runDistances = Take(ofRuns);
        ArrayView<float> runMasses = Take(ofRuns);
        _lanes = Take(ofLanes);
        ArrayView<float> rest = Take(shared);
        _samples = rest.SubView(0, (long)groups * samples);
        _sorted = rest.SubView((long)groups * samples, (long)groups * samples);
        _sums = rest;
        _arguments = new CodebookFitArguments
        {
            Moved = moved,
            Limits = limits,
            Distances = rest.SubView(0, ofChunks),
            Masses = rest.SubView(ofChunks, ofChunks),
            RunDistances = runDistances,
            RunMasses = runMasses,
            ChunkBegin = _pieces.ChunkBegin,
            ChunkGroup = _pieces.ChunkGroup,
            RunBegin = _pieces.RunBegin,
            RunGroup = _pieces.RunGroup,
            GroupBegin = _pieces.GroupBegin,
            IsMoving = _isMoving.View,
            Codes = layout.Codes,
            Width = _assign.Width,
            Samples = samples,
        };
        _sort = new ItemLauncher<CodebookFitSortWork>(accelerator, _facts);
        _start = new ItemLauncher<CodebookFitStartWork>(accelerator, _facts);
        _order = new ItemLauncher<CodebookFitOrderWork>(accelerator, _facts);
        _limit = new ItemLauncher<AssignLimitWork>(accelerator, _facts);
        _fold = new ItemLauncher<CodebookFitFoldWork>(accelerator, _facts);
        _move = new ItemLauncher<CodebookFitMoveWork>(accelerator, _facts);
        _rest = new ItemLauncher<CodebookFitRestWork>(accelerator, _facts);
        _total = new ItemLauncher<CodebookFitTotalWork>(accelerator, _facts);

        ArrayView<float> Take(long length)
        {
            ArrayView<float> view = _numbers.View.BaseView.SubView(at, length);
            at += length;
            return view;
        }
    }

    private interface IKind
    {
        void Sample(CodebookFit owner, AcceleratorStream stream, TensorView w, in CodebookFitArguments arguments);

        void Sum(
            CodebookFit owner, AcceleratorStream stream, TensorView w, ArrayView<float> h, in CodebookFitArguments arguments);

        void Error(
            CodebookFit owner, AcceleratorStream stream, TensorView w, ArrayView<float> h, ArrayView<float> codebook,
            ArrayView<byte> index, ArrayView<float> sums);
    }

    /// <summary>The matrix.</summary>
    public CodebookLayout Layout { get; }

    /// <summary>The options.</summary>
    public CodebookFitOptions Options { get; }

    /// <summary>The best codebook of k numbers, by dynamic programming on the host. O(k n log n) for n different numbers, and
    /// 4 k n bytes.</summary>
    /// <param name="w">The numbers, finite.</param>
    /// <param name="codes">The number k of codes, 1 to 256.</param>
    /// <param name="h">How much each number counts, finite and not negative; all 1 if empty.</param>
    /// <returns>The codes [k], ascending, and sum h (w - c)^2 before codes are rounded, the least there is. If fewer than k
    /// different numbers count, the last code is repeated.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The number of codes is out of range.</exception>
    /// <exception cref="ArgumentException">A length does not fit, a number is not such, or none counts.</exception>
    public static (float[] Codebook, double Error) Exact(
        ReadOnlySpan<float> w, int codes, ReadOnlySpan<float> h = default)
    {
        Require.InRange(codes, 1, 257);
        if (!h.IsEmpty)
        {
            Require.Length(w.Length, h.Length, nameof(h));
        }

        foreach (float number in w)
        {
            if (!float.IsFinite(number))
            {
                throw new ArgumentException($"The numbers must be finite, and one is {number}.", nameof(w));
            }
        }

        foreach (float weight in h)
        {
            if (!(weight >= 0 && float.IsFinite(weight)))
            {
                throw new ArgumentException($"The weights must be finite and not negative, and one is {weight}.", nameof(h));
            }
        }

        return new ExactFit(w, h).Codebook(codes);
    }

    /// <summary>Enqueues a fit.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="w">The weights, [rows, columns], row-major.</param>
    /// <param name="h">How much each weight counts, [rows, columns]; all 1 if default.</param>
    /// <param name="codebook">Out: the codes, [codebooks, k], ascending; in as well, where they start from them.</param>
    /// <param name="index">Out: the nearest codes, [rows, columns].</param>
    /// <param name="error">Out, where given: sum h (w - c)^2 of all, [1].</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, accelerator or stream does not fit, or an output overlaps.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Run(
        AcceleratorStream stream, TensorView w, ArrayView<float> h, ArrayView<float> codebook, ArrayView<byte> index,
        ArrayView<float> error = default)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        Require.Tensor(_accelerator, Layout.WeightCount, w);
        LinearChecks.Floats(_accelerator, h.Length == 0 ? 0 : Layout.WeightCount, h);
        QuantizationChecks.Codebook(_accelerator, Layout, codebook);
        Require.Tensor(_accelerator, Layout.CodeCount, index);
        LinearChecks.Floats(_accelerator, error.Length == 0 ? 0 : 1, error);
        TensorRange codes = TensorRange.Of((TensorView)codebook, nameof(codebook));
        TensorRange found = TensorRange.Of(index, nameof(index));
        TensorRange sum = TensorRange.Of((TensorView)error, nameof(error));
        foreach (TensorRange input in (ReadOnlySpan<TensorRange>)
            [TensorRange.Of(w, nameof(w)), TensorRange.Of((TensorView)h, nameof(h))])
        {
            Require.Apart([input, codes]);
            Require.Apart([input, found]);
            Require.Apart([input, sum]);
        }

        Require.Apart([codes, found, sum]);
        IKind kind = Load(w.Storage);
        CodebookFitArguments arguments = _arguments;
        arguments.Codebook = codebook;
        Start(stream, w, codebook, arguments, kind);
        for (int iteration = 0; iteration < Options.Iterations; iteration++)
        {
            Step(stream, w, h, arguments, kind);
        }

        _assign.Enqueue(stream, w, codebook, default, index);
        if (error.Length > 0)
        {
            Measure(stream, w, h, codebook, index, error, kind);
        }
    }

    /// <summary>Frees the scratch memory; enqueued work must have ended.</summary>
    public void Dispose()
    {
        if (!_isDisposed)
        {
            _isDisposed = true;
            _assign.Dispose();
            _pieces.Dispose();
            _scope.Dispose();
            _numbers.Dispose();
            _isMoving.Dispose();
        }
    }

    private void Start(
        AcceleratorStream stream, TensorView w, ArrayView<float> codebook, in CodebookFitArguments arguments, IKind kind)
    {
        if (Options.Start == CodebookStart.Given)
        {
            arguments.Moved.CopyFrom(stream, codebook);
        }
        else
        {
            kind.Sample(this, stream, w, arguments);
            _sort.Run(
                stream, new CodebookFitSortWork { Arguments = arguments, Samples = _samples, Sorted = _sorted },
                0, (long)Layout.CodebookCount * arguments.Samples, grain: 64);
            _start.Run(
                stream, new CodebookFitStartWork { Arguments = arguments, Sorted = _sorted }, 0, Layout.CodebookLength);
        }

        Order(stream, arguments);
        // Anything but 0.
        _isMoving.View.BaseView.MemSet(stream, 1);
    }

    private void Step(
        AcceleratorStream stream, TensorView w, ArrayView<float> h, in CodebookFitArguments arguments, IKind kind)
    {
        _limit.Run(
            stream,
            new AssignLimitWork
            {
                Codebook = arguments.Codebook,
                Limits = arguments.Limits,
                Codes = Layout.Codes,
                Width = _assign.Width,
            },
            0, Layout.CodebookCount, grain: 64);
        kind.Sum(this, stream, w, h, arguments);
        _fold.Run(stream, new CodebookFitFoldWork { Arguments = arguments }, 0, (long)_pieces.Runs * Layout.Codes, grain: 64);
        _move.Run(stream, new CodebookFitMoveWork { Arguments = arguments }, 0, Layout.CodebookLength, grain: 64);
        _rest.Run(stream, new CodebookFitRestWork { Arguments = arguments }, 0, Layout.CodebookCount, grain: 64);
        Order(stream, arguments);
    }

    private void Order(AcceleratorStream stream, in CodebookFitArguments arguments) =>
        _order.Run(stream, new CodebookFitOrderWork { Arguments = arguments }, 0, Layout.CodebookLength, grain: 256);

    private void Measure(
        AcceleratorStream stream, TensorView w, ArrayView<float> h, ArrayView<float> codebook, ArrayView<byte> index,
        ArrayView<float> error, IKind kind)
    {
        const int Fold = CodebookFitErrorWork<F32>.Fold;
        int count = (Layout.WeightCount / Fold) + (Layout.WeightCount % Fold == 0 ? 0 : 1);
        ArrayView<float> from = _sums.SubView(0, count);
        ArrayView<float> to = _sums.SubView(count);
        kind.Error(this, stream, w, h, codebook, index, from);
        do
        {
            int next = (count + Fold - 1) / Fold;
            to = next == 1 ? error : to;
            _total.Run(stream, new CodebookFitTotalWork { From = from, To = to, Count = count }, 0, next, grain: 64);
            (from, to, count) = (to, from, next);
        }
        while (count > 1);
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
                Storage.F32 => new Of<F32>(this),
                Storage.F16 => new Of<F16>(this),
                _ => new Of<BF16>(this),
            };
        }
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Of<TWeight>(CodebookFit owner) : IKind
        where TWeight : struct, IStorage
    {
        private readonly ItemLauncher<CodebookFitSampleWork<TWeight>> _sample = new(owner._accelerator, owner._facts);
        private readonly ItemLauncher<CodebookFitErrorWork<TWeight>> _error = new(owner._accelerator, owner._facts);

        private readonly ItemLauncher<CodebookFitSumWork<TWeight>>? _ones =
            owner._walk == AssignWalk.Fours ? new(owner._accelerator, owner._facts) : null;

        private readonly ItemLauncher<CodebookFitSixteenWork<TWeight>>? _sixteens =
            owner._walk == AssignWalk.Sixteens ? new(owner._accelerator, owner._facts) : null;

        public void Sample(CodebookFit owner, AcceleratorStream stream, TensorView w, in CodebookFitArguments arguments) =>
            _sample.Run(
                stream,
                new CodebookFitSampleWork<TWeight>
                {
                    Arguments = arguments,
                    Numbers = Stored.Of<TWeight>(w),
                    Samples = owner._samples,
                },
                0, (long)owner.Layout.CodebookCount * arguments.Samples, grain: 64);

        public unsafe void Sum(
            CodebookFit owner, AcceleratorStream stream, TensorView w, ArrayView<float> h,
            in CodebookFitArguments arguments)
        {
            long items = (long)owner._pieces.Chunks * arguments.Codes;
            var work = new CodebookFitSumWork<TWeight>
            {
                Arguments = arguments,
                Numbers = Stored.Of<TWeight>(w),
                H = h,
                HasH = h.Length > 0 ? 1 : 0,
            };
            _ones?.Run(stream, work, 0, items, grain: 64);
            _sixteens?.Run(
                stream, new CodebookFitSixteenWork<TWeight> { Sum = work, Lanes = owner._lanes }, 0, owner._pieces.Chunks,
                grain: 1);
            if (owner._walk == AssignWalk.Host)
            {
                var host = new HostCodebookFit
                {
                    Arguments = arguments,
                    Weights = new HostStored(w),
                    H = h.Length > 0 ? (float*)h.LoadEffectiveAddressAsPtr() : null,
                    Chunk = owner._chunk,
                };
                HostPool.Run(host, owner._pieces.Chunks, 1, owner._facts.Cores);
            }
        }

        public void Error(
            CodebookFit owner, AcceleratorStream stream, TensorView w, ArrayView<float> h, ArrayView<float> codebook,
            ArrayView<byte> index, ArrayView<float> sums) =>
            _error.Run(
                stream,
                new CodebookFitErrorWork<TWeight>
                {
                    Numbers = Stored.Of<TWeight>(w),
                    H = h,
                    HasH = h.Length > 0 ? 1 : 0,
                    Codebook = codebook,
                    Index = index,
                    Codebooks = owner._scope.Table,
                    Sums = sums,
                    Count = owner.Layout.WeightCount,
                    Columns = owner.Layout.Columns,
                    Codes = owner.Layout.Codes,
                },
                0, sums.Length, grain: 64);
    }
}
