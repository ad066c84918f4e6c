using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Quantization;
using Kernels.DeviceCode.Storage;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.Quantization;

/// <summary>Codebooks of the least weighted squared error, sum h (w - s c)^2: exactly on the host, or by Lloyd's steps on the
/// device, one codebook for each group of weights.</summary>
/// <remarks>
/// <para>
/// Source: Lloyd 1982; Wu 1991; the weights h as in SqueezeLLM (Kim et al. 2024, arXiv:2306.07629). A step finds the nearest
/// code of each weight, see <see cref="Assign"/>, and moves each code to the mean of its weights. Scales are given, for
/// instance by <see cref="AbsMax"/>: what is fitted is w / s, which counts h s^2. Codes of single numbers take no sort: a
/// step reads the weights once, and k codes take k comparisons of each, many at once. Codes of several weights are vectors,
/// and have a search and a sum for each of their numbers.
/// </para>
/// <para>
/// A code of one weight moves by a sum of distances to where it was, which are small, a vector to a quotient of sums: the
/// error rises by no step but for roundings of these. A code without weights stays. Weights that are not finite, whose scale
/// is 0 or not finite, or whose h is not above 0, do not count, but have codes; nor do any of a vector where one does not.
/// Codebooks of single numbers come out ascending.
/// </para>
/// <para>
/// Arithmetic is binary32, in an order that the device decides: same input, same bits. Load once for a layout, call often. A
/// call allocates nothing and does not wait; it uses the object's scratch memory, so calls of one object must be on one
/// stream, one after the other. With scales or vectors that is 4 bytes a weight and 4 a code, and little without.
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
    private const int Fold = CodebookFitErrorWork<F32>.Fold;

    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly CodebookLayout _plane;
    private readonly ScopeMemory _scope;
    private readonly Assign _assign;
    private readonly NormalWeights? _normal;
    private readonly ScalarFit? _scalars;
    private readonly VectorFit? _vectors;
    private readonly int _sumsOfPlane;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _sums;
    private readonly ItemLauncher<CodebookFitTotalWork> _total;
    private readonly Lock _loading = new();
    private readonly IKind?[] _kinds = new IKind?[3];
    private bool _isDisposed;

    /// <summary>Prepares for a layout and allocates the scratch memory.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="layout">The matrix.</param>
    /// <param name="options">Options, or the defaults.</param>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ArgumentException">There are more than 65,536 codebooks of vectors.</exception>
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
        if (layout.Length > 1 && layout.CodebookCount > VectorFit.MostCodebooks)
        {
            throw new ArgumentException(
                $"There must be at most {VectorFit.MostCodebooks} codebooks of vectors, and are {layout.CodebookCount}.",
                nameof(layout));
        }

        options ??= new CodebookFitOptions();
        Require.InRange(options.Iterations, 0, 10_001);
        Require.Defined(options.Start);
        _accelerator = accelerator;
        Layout = layout;
        Options = options;
        _facts = DeviceFacts.Of(accelerator);
        _plane = new CodebookLayout(
            layout.Rows, layout.RowCodes, layout.Format, codebooks: layout.Codebooks.OfCodes(layout.Length));
        _scope = new ScopeMemory(accelerator, _plane.Codebooks, layout.Rows);
        _assign = new Assign(accelerator, layout, walk);
        _normal = layout.Length > 1 || layout.Scales is not null ? new NormalWeights(accelerator, layout) : null;
        if (layout.Length > 1)
        {
            _vectors = new VectorFit(accelerator, _plane, layout.Length, options, _assign);
        }
        else
        {
            _scalars = new ScalarFit(accelerator, _plane, options, _assign);
        }

        _sumsOfPlane = (layout.CodeCount / Fold) + (layout.CodeCount % Fold == 0 ? 0 : 1);
        _sums = accelerator.Allocate1D<float>(2L * layout.Length * _sumsOfPlane);
        _total = new ItemLauncher<CodebookFitTotalWork>(accelerator, _facts);
    }

    private interface IKind
    {
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
    /// <param name="h">How much the weights of each code count, [rows, columns / length]; all 1 if default.</param>
    /// <param name="codebook">Out: the codes, [codebooks, k, length], ascending if the length is 1; in as well, where they
    /// start from them.</param>
    /// <param name="index">Out: the nearest codes, [rows, columns / length].</param>
    /// <param name="error">Out, where given: sum h (w - s c)^2 of all, [1].</param>
    /// <param name="scale">The scales in the layout's storage; default if the layout has none.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, storage, accelerator or stream does not fit, or an output
    /// overlaps.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Run(
        AcceleratorStream stream, TensorView w, ArrayView<float> h, ArrayView<float> codebook, ArrayView<byte> index,
        ArrayView<float> error = default, TensorView scale = default)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        Require.Tensor(_accelerator, Layout.WeightCount, w);
        LinearChecks.Floats(_accelerator, h.Length == 0 ? 0 : Layout.CodeCount, h);
        QuantizationChecks.Codebook(_accelerator, Layout, codebook);
        Require.Tensor(_accelerator, Layout.CodeCount, index);
        LinearChecks.Floats(_accelerator, error.Length == 0 ? 0 : 1, error);
        QuantizationChecks.Scales(_accelerator, Layout, scale);
        MappingChecks.Apart(
            3,
            [
                TensorRange.Of(w, nameof(w)), TensorRange.Of((TensorView)h, nameof(h)), TensorRange.Of(scale, nameof(scale)),
                TensorRange.Of((TensorView)codebook, nameof(codebook)), TensorRange.Of(index, nameof(index)),
                TensorRange.Of((TensorView)error, nameof(error)),
            ]);
        (TensorView numbers, ArrayView<float> masses) = (w, h);
        if (_normal is not null)
        {
            _normal.Run(stream, w, scale, h);
            (numbers, masses) = (_normal.Planes, _normal.Masses);
        }

        _scalars?.Run(stream, numbers, masses, codebook);
        _vectors?.Run(stream, w, scale, _normal!, codebook, index);
        _assign.Enqueue(stream, w, codebook, scale, index);
        if (error.Length > 0)
        {
            Measure(stream, numbers, masses, codebook, index, error);
        }
    }

    /// <summary>Frees the scratch memory; enqueued work must have ended.</summary>
    public void Dispose()
    {
        if (!_isDisposed)
        {
            _isDisposed = true;
            _assign.Dispose();
            _scalars?.Dispose();
            _vectors?.Dispose();
            _normal?.Dispose();
            _scope.Dispose();
            _sums.Dispose();
        }
    }

    private void Measure(
        AcceleratorStream stream, TensorView numbers, ArrayView<float> masses, ArrayView<float> codebook,
        ArrayView<byte> index, ArrayView<float> error)
    {
        IKind kind = Load(numbers.Storage);
        int count = Layout.Length * _sumsOfPlane;
        ArrayView<float> from = _sums.View.SubView(0, count);
        ArrayView<float> to = _sums.View.SubView(count, count);
        ArrayView<float> codes = _vectors is null ? codebook : _vectors.Planes(stream, codebook);
        for (int j = 0; j < Layout.Length; j++)
        {
            kind.Error(
                this, stream, Layout.Length == 1 ? numbers : _normal!.Plane(j), masses,
                codes.SubView((long)j * _plane.CodebookLength, _plane.CodebookLength), index,
                from.SubView((long)j * _sumsOfPlane, _sumsOfPlane));
        }

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
        private readonly ItemLauncher<CodebookFitErrorWork<TWeight>> _error = new(owner._accelerator, owner._facts);

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
                    Count = owner._plane.WeightCount,
                    Columns = owner._plane.Columns,
                    Codes = owner._plane.Codes,
                },
                0, sums.Length, grain: 64);
    }
}
