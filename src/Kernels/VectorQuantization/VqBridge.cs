using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using ILGPU;
using Kernels.Optimizers;
using Kernels.Validation;

namespace Kernels.VectorQuantization;

/// <summary>
/// A codebook that learns through VQBridge: codes, a small transformer over all of them, and the projected codes that
/// rows are quantized with. Afterwards it is exported as a plain codebook, which gives the same indices bit for bit.
/// </summary>
/// <remarks>
/// <para>
/// Source: FVQ, arXiv:2509.10140; see <see cref="Bridge"/>. The gradient of the projected codes goes back through the
/// bridge to its weights and to all codes; an <see cref="Optimizer"/> steps them, as one parameter in one launch
/// (<see cref="AsParameter"/>) or as many with options of their own (<see cref="AsParameters"/>).
/// </para>
/// <para>
/// Codes are projected when they are needed, and not again before something changes: after <c>Backward</c>, which a step
/// of the optimizer is to follow, and after <see cref="SetCodes"/> and <see cref="Load"/>. Whoever changes the parameters
/// in another way says so by <see cref="Changed"/>. At the start every code is projected to exactly 0, as published: the
/// first step moves them apart.
/// </para>
/// <para>
/// As with <see cref="Codebook"/>: spans are copied and waited for, views are neither. Use it from one thread at a time.
/// </para>
/// <example><code>
/// using Session session = Session.Open();
/// using var vq = new VqBridge(session, codes: 16384, dimension: 64);
/// using var adam = new Optimizer(session, new AdamOptions { LearningRate = 1e-4 }, [vq.AsParameter()]);
/// CodebookLoss loss = vq.Forward(x, output, index);   // Span&lt;float&gt; in and out
/// vq.Backward(grad, gradX);
/// adam.Step();
/// using Codebook plain = vq.Export();
/// </code></example>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class VqBridge : IDisposable
{
    private readonly Session _session;
    private readonly Bridge _bridge;
    private readonly Codebook _projected;
    private bool _isProjected;
    private bool _disposed;

    /// <summary>
    /// Allocates codes uniform in (-1 / codes, 1 / codes) and a bridge as <see cref="Bridge.Initialize"/> begins it.
    /// </summary>
    /// <param name="session">Where it lives; it must outlive this.</param>
    /// <param name="codes">Codes, 1 to 2^30, a multiple of the bridge's patch.</param>
    /// <param name="dimension">Length of a code, 1 to 2^20.</param>
    /// <param name="options">The shape of the bridge; the published one by default.</param>
    /// <param name="settings">
    /// What is searched. Several heads must share the codes; the learning is by gradient, whatever the settings say.
    /// </param>
    /// <exception cref="ArgumentNullException"><paramref name="session"/> is null.</exception>
    /// <exception cref="ArgumentException">The codes are not a multiple of the patch, or heads do not share them.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size, an option or a setting is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The session is disposed.</exception>
    public VqBridge(
        Session session, int codes, int dimension, BridgeOptions? options = null, CodebookSettings? settings = null)
    {
        Require.NotNull(session);
        session.ThrowIfDisposed();
        settings ??= new CodebookSettings();
        settings.Validate(nameof(settings));
        if (settings.Books != 1)
        {
            throw new ArgumentException(
                $"There is one codebook under a bridge: the {settings.Heads} heads must share it.", nameof(settings));
        }

        _session = session;
        Settings = settings with { Learning = CodebookLearning.Gradient, Restart = null };
        _bridge = new Bridge(session.Accelerator, codes, dimension, options, walk: null, withCodes: true);
        _projected = new Codebook(session, codes, dimension, Settings);
        StartValues.Uniform(session.Stream, View, 1f / codes, settings.Seed);
        _bridge.Initialize(session.Stream, settings.Seed);
    }

    /// <summary>Codes.</summary>
    public int Codes => _bridge.Codes;

    /// <summary>Length of a code.</summary>
    public int Dimension => _bridge.Dimension;

    /// <summary>Parts of a row.</summary>
    public int Heads => Settings.Heads;

    /// <summary>Length of a row: heads times dimension.</summary>
    public int RowLength => Heads * Dimension;

    /// <summary>What is searched.</summary>
    public CodebookSettings Settings { get; }

    /// <summary>The shape of the bridge.</summary>
    public BridgeOptions Options => _bridge.Options;

    /// <summary>The codes before the bridge, [codes, dimension].</summary>
    public ArrayView<float> View => Behind(_bridge.AllParameters);

    /// <summary>The gradient of the codes before the bridge, [codes, dimension]; <c>Backward</c> writes it.</summary>
    public ArrayView<float> Gradient => Behind(_bridge.AllGradients);

    /// <summary>The weights of the bridge: names, shapes and places.</summary>
    public IReadOnlyList<BridgeWeight> Weights => _bridge.Weights;

    /// <summary>How many rows of the last <c>Forward</c> chose each code, [codes].</summary>
    public ArrayView<int> Counts => _projected.Counts;

    /// <summary>The gradient of the projected codes.</summary>
    internal ArrayView<float> ProjectedGradient => _projected.Gradient;

    /// <summary>How often the codes have been projected.</summary>
    internal int Projections { get; private set; }

    /// <summary>Enqueues the projection of the codes, where something has changed since the last.</summary>
    /// <returns>The projected codes, [codes, dimension]: what rows are quantized with. Valid as long as this.</returns>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public ArrayView<float> Project()
    {
        ThrowIfDisposed();
        if (!_isProjected)
        {
            _bridge.Forward(_session.Stream, View, _projected.View);
            _isProjected = true;
            Projections++;
        }

        return _projected.View;
    }

    /// <summary>Says that codes or weights have changed, so that they are projected anew.</summary>
    public void Changed() => _isProjected = false;

    /// <summary>Codes and weights with their gradients as one parameter, which an <see cref="Optimizer"/> steps in one launch.</summary>
    /// <param name="name">The name among the optimizer's parameters.</param>
    /// <exception cref="ArgumentException">The name is empty.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public Parameter AsParameter(string name = "bridge")
    {
        ThrowIfDisposed();
        return new Parameter(name, _bridge.AllParameters, _bridge.AllGradients);
    }

    /// <summary>
    /// The same as one parameter for the codes and one for each weight, named as in the file, for options of their own
    /// and for optimizers that look at whole tensors; a launch each.
    /// </summary>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public IReadOnlyList<Parameter> AsParameters()
    {
        ThrowIfDisposed();
        return
        [
            new Parameter("codes", View, Gradient, Codes, Dimension),
            .. Weights.Select(w => new Parameter(
                w.Name, _bridge.Parameter(w.Name), _bridge.Gradient(w.Name), [.. w.Shape.Select(n => (long)n)])),
        ];
    }

    /// <inheritdoc cref="Codebook.Encode(TensorView, ArrayView{int}, ArrayView{float})"/>
    public void Encode(TensorView x, ArrayView<int> index, ArrayView<float> distance = default)
    {
        Project();
        _projected.Encode(x, index, distance);
    }

    /// <inheritdoc cref="Codebook.Decode(ArrayView{int}, TensorView)"/>
    public void Decode(ArrayView<int> index, TensorView output)
    {
        Project();
        _projected.Decode(index, output);
    }

    /// <inheritdoc cref="Codebook.Forward(TensorView, TensorView, ArrayView{int}, ArrayView{float})"/>
    public void Forward(TensorView x, TensorView output, ArrayView<int> index, ArrayView<float> loss = default)
    {
        Project();
        _projected.Forward(x, output, index, loss);
    }

    /// <summary>
    /// Enqueues the backward pass: the gradient to the rows, and through the bridge that of its weights and of all codes.
    /// </summary>
    /// <param name="x">The rows of the forward pass, [rows, heads, dimension].</param>
    /// <param name="index">Their codes, [rows, heads].</param>
    /// <param name="grad">The gradient to the output, [rows, heads, dimension], stored as the rows are; empty: zeros.</param>
    /// <param name="gradX">
    /// Out: the gradient to the rows, likewise. May be <paramref name="grad"/> itself. Empty where it is not wanted.
    /// </param>
    /// <exception cref="ArgumentException">
    /// A length, storage or accelerator does not fit, or an output overlaps another tensor.
    /// </exception>
    /// <exception cref="InvalidOperationException">The codes are not projected: there was no <c>Forward</c> since they changed.</exception>
    /// <exception cref="ObjectDisposedException">This, the session or a buffer is disposed.</exception>
    public void Backward(TensorView x, ArrayView<int> index, TensorView grad, TensorView gradX)
    {
        RequireProjected();
        _projected.Backward(x, index, grad, gradX);
        BackThroughBridge();
    }

    /// <inheritdoc cref="Codebook.Encode(ReadOnlySpan{float}, Span{int})"/>
    public void Encode(ReadOnlySpan<float> x, Span<int> index)
    {
        Project();
        _projected.Encode(x, index);
    }

    /// <inheritdoc cref="Codebook.Decode(ReadOnlySpan{int}, Span{float})"/>
    public void Decode(ReadOnlySpan<int> index, Span<float> output)
    {
        Project();
        _projected.Decode(index, output);
    }

    /// <inheritdoc cref="Codebook.Forward(ReadOnlySpan{float}, Span{float}, Span{int})"/>
    public CodebookLoss Forward(ReadOnlySpan<float> x, Span<float> output, Span<int> index)
    {
        Project();
        return _projected.Forward(x, output, index);
    }

    /// <summary>
    /// The backward pass of the last <c>Forward</c> of spans: the gradient to its rows, and through the bridge that of its
    /// weights and of all codes.
    /// </summary>
    /// <param name="grad">The gradient to the output, [rows, heads, dimension]; empty: zeros.</param>
    /// <param name="gradX">Out: the gradient to the rows, [rows, heads, dimension].</param>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    /// <exception cref="InvalidOperationException">There was no such pass, or something came between.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public void Backward(ReadOnlySpan<float> grad, Span<float> gradX)
    {
        RequireProjected();
        _projected.Backward(grad, gradX);
        BackThroughBridge();
    }

    /// <inheritdoc cref="Codebook.Usage(int)"/>
    public CodebookUsage Usage() => _projected.Usage();

    /// <summary>Gives the bridge other codes to project.</summary>
    /// <param name="codes">[codes, dimension].</param>
    /// <exception cref="ArgumentException">The length does not fit.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public void SetCodes(ReadOnlySpan<float> codes)
    {
        ThrowIfDisposed();
        Require.Length(View.Length, codes.Length, nameof(codes));
        TensorCopy.Upload(_session.Stream, codes, View);
        Changed();
    }

    /// <summary>Reads the codes before the bridge; waits for the work before.</summary>
    /// <param name="codes">[codes, dimension], written.</param>
    /// <exception cref="ArgumentException">The length does not fit.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public void GetCodes(Span<float> codes)
    {
        ThrowIfDisposed();
        Require.Length(View.Length, codes.Length, nameof(codes));
        TensorCopy.Download(_session.Stream, View, codes);
    }

    /// <summary>The projected codes as a plain codebook of its own, without the bridge: the same indices, bit for bit.</summary>
    /// <param name="learning">How it is to learn on.</param>
    /// <returns>A codebook that the caller disposes.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such learning.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public Codebook Export(CodebookLearning learning = CodebookLearning.None)
    {
        Require.Defined(learning);
        return Codebook.From(_session, Project(), Codes, Dimension, Settings with { Learning = learning });
    }

    /// <summary>Saves codes and weights in safetensors format.</summary>
    /// <remarks>
    /// All F32: <c>codes</c>, [codes, dimension], and each of <see cref="Weights"/> under its name, such as
    /// <c>compress.weight</c>.
    /// </remarks>
    /// <param name="stream">Where the file goes; stays open.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">The stream cannot be written.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public void Save(Stream stream)
    {
        Require.NotNull(stream);
        ThrowIfDisposed();
        CodebookFile.Save(stream, _session.Stream, Metadata(), Tensors());
    }

    /// <summary>Loads what <see cref="Save"/> wrote for the same shapes.</summary>
    /// <param name="stream">The file; seekable; stays open.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="InvalidDataException">The file does not fit; the message says why, and nothing is changed.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public void Load(Stream stream)
    {
        Require.NotNull(stream);
        ThrowIfDisposed();
        CodebookFile.Load(stream, _session.Stream, Metadata(), Tensors());
        Changed();
    }

    /// <summary>Frees the memory; waits for the work before.</summary>
    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            _projected.Dispose();
            _bridge.Dispose();
        }
    }

    private ArrayView<float> Behind(ArrayView<float> all)
    {
        long length = (long)Codes * Dimension;
        return all.SubView(all.Length - length, length);
    }

    private void RequireProjected()
    {
        ThrowIfDisposed();
        if (!_isProjected)
        {
            throw new InvalidOperationException(
                "Backward must follow a Forward, one for each, with nothing changed between them.");
        }
    }

    private void BackThroughBridge()
    {
        _bridge.Backward(_session.Stream, View, _projected.Gradient, Gradient);
        Changed();
    }

    // What the shapes of the weights do not say.
    private Dictionary<string, string> Metadata() => new(StringComparer.Ordinal)
    {
        ["format"] = "kernels.vqbridge.1",
        ["metric"] = Settings.Metric.ToString(),
        ["heads"] = Options.Heads.ToString(CultureInfo.InvariantCulture),
        ["epsilon"] = Options.Epsilon.ToString("R", CultureInfo.InvariantCulture),
        ["compress_norm"] = Options.CompressNorm ? "true" : "false",
    };

    private List<CodebookFile.Entry> Tensors() =>
    [
        new("codes", View, [Codes, Dimension]),
        .. Weights.Select(w => new CodebookFile.Entry(
            w.Name, _bridge.Parameter(w.Name), [.. w.Shape.Select(n => (long)n)])),
    ];

    private void ThrowIfDisposed()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        _session.ThrowIfDisposed();
    }
}
