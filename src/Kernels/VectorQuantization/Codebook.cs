using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Linear;
using Kernels.Optimizers;
using Kernels.Validation;

namespace Kernels.VectorQuantization;

/// <summary>
/// A codebook in device memory: rows become the indices of their nearest codes and back, and the codes learn from them.
/// </summary>
/// <remarks>
/// <para>
/// A row is of <see cref="RowLength"/> numbers, <see cref="CodebookSettings.Heads"/> parts of the length of a code; each
/// part has an index. With one head (the default) this is vector quantization, with several product quantization, or
/// grouped with <see cref="CodebookSettings.SharedHeads"/>.
/// </para>
/// <para>
/// Spans are copied and waited for. Views are neither: their calls enqueue work on the session's stream and allocate
/// nothing; but a batch larger than any before waits once, and makes room. Use a codebook from one thread at a time.
/// Same input, same bits, from spans and from views.
/// </para>
/// <para>
/// A row without a nearest code (with a NaN, for one) has index -1: its output and its gradient are 0, and it counts for
/// nothing. Sources: <see cref="NearestCode"/>, <see cref="Quantize"/>, <see cref="Ema"/>.
/// </para>
/// <example><code>
/// using Session session = Session.Open();
/// using var book = new Codebook(session, codes: 512, dimension: 64, new() { Learning = CodebookLearning.MovingMeans });
/// CodebookLoss loss = book.Forward(x, output, index);   // Span&lt;float&gt; in and out
/// book.Update();
/// book.Decode(index, output);
/// </code></example>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed partial class Codebook : IDisposable
{
    private readonly Session _session;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _codes;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _counts;
    private readonly MemoryBuffer1D<float, Stride1D.Dense>? _gradient;
    private readonly MemoryBuffer1D<float, Stride1D.Dense>? _clusterSize;
    private readonly MemoryBuffer1D<float, Stride1D.Dense>? _clusterSum;
    private readonly RowArithmetic _arithmetic;
    private readonly GrowingBuffer<float> _wide;
    private readonly CodebookSpans _spans;
    private CodebookPasses? _passes;
    private int _updates; // for the random numbers of restarts
    private bool _disposed;

    /// <summary>Allocates a codebook whose codes are uniform in (-1 / codes, 1 / codes), as published with VQ-GAN.</summary>
    /// <param name="session">Where it lives; it must outlive the codebook.</param>
    /// <param name="codes">Codes of each head, 1 to 2^30, of all heads too.</param>
    /// <param name="dimension">Length of a code, 1 to 2^20.</param>
    /// <param name="settings">What is searched, and how the codes learn; null takes L2, one head, and no learning.</param>
    /// <exception cref="ArgumentNullException"><paramref name="session"/> is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size or a setting is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The session is disposed.</exception>
    public Codebook(Session session, int codes, int dimension, CodebookSettings? settings = null)
    {
        Require.NotNull(session);
        session.ThrowIfDisposed();
        Settings = settings ?? new CodebookSettings();
        Settings.Validate(nameof(settings));
        CodebookChecks.Shape(session.Accelerator, 1, codes, dimension, Settings.Books);
        _session = session;
        Codes = codes;
        Dimension = dimension;
        long length = (long)Settings.Books * codes * dimension;
        Accelerator accelerator = session.Accelerator;
        _codes = accelerator.Allocate1D<float>(length);
        _counts = accelerator.Allocate1D<int>((long)Settings.Books * codes);
        _counts.MemSetToZero(session.Stream);
        if (Settings.Learning == CodebookLearning.Gradient)
        {
            _gradient = accelerator.Allocate1D<float>(length);
            _gradient.MemSetToZero(session.Stream);
        }
        else if (Settings.Learning == CodebookLearning.MovingMeans)
        {
            _clusterSize = accelerator.Allocate1D<float>((long)Settings.Books * codes);
            _clusterSum = accelerator.Allocate1D<float>(length);
        }

        _arithmetic = new RowArithmetic(session);
        _wide = new GrowingBuffer<float>(session);
        _spans = new CodebookSpans(session, RowLength, Heads);
        StartValues.Uniform(session.Stream, _codes.View, 1f / codes, Settings.Seed);
        StartMeans();
    }

    /// <summary>Codes of each head.</summary>
    public int Codes { get; }

    /// <summary>Length of a code.</summary>
    public int Dimension { get; }

    /// <summary>Parts of a row.</summary>
    public int Heads => Settings.Heads;

    /// <summary>Length of a row: heads times dimension.</summary>
    public int RowLength => Heads * Dimension;

    /// <summary>What is searched, and how the codes learn.</summary>
    public CodebookSettings Settings { get; }

    /// <summary>The codes, [heads, codes, dimension]; [codes, dimension] where heads share them.</summary>
    public ArrayView<float> View => _codes.View;

    /// <summary>The gradient of the codebook loss to the codes, in their layout; <c>Backward</c> writes it.</summary>
    /// <exception cref="InvalidOperationException">The codes do not learn by gradient.</exception>
    public ArrayView<float> Gradient => Of(_gradient, CodebookLearning.Gradient);

    /// <summary>The moving counts of rows, [heads, codes].</summary>
    /// <exception cref="InvalidOperationException">The codes do not learn by moving means.</exception>
    public ArrayView<float> ClusterSize => Of(_clusterSize, CodebookLearning.MovingMeans);

    /// <summary>The moving sums of rows, in the layout of the codes.</summary>
    /// <exception cref="InvalidOperationException">The codes do not learn by moving means.</exception>
    public ArrayView<float> ClusterSum => Of(_clusterSum, CodebookLearning.MovingMeans);

    /// <summary>How many rows of the last <c>Forward</c> chose each code, [heads, codes].</summary>
    public ArrayView<int> Counts => _counts.View;

    /// <summary>Enqueues a search: the nearest code of every part of every row.</summary>
    /// <param name="x">The rows, [rows, heads, dimension]; F32, F16 or BF16.</param>
    /// <param name="index">Out: the codes, [rows, heads]; -1 where there is none. Its length says how many rows there are.</param>
    /// <param name="distance">Out, where given: the distances to them, [rows, heads].</param>
    /// <exception cref="ArgumentException">A length or accelerator does not fit, or an output overlaps.</exception>
    /// <exception cref="ObjectDisposedException">This, the session or a buffer is disposed.</exception>
    public void Encode(TensorView x, ArrayView<int> index, ArrayView<float> distance = default)
    {
        int rows = Rows(x, index);
        RowChecks.Optional(_session.Accelerator, index.Length, distance, nameof(distance));
        RowChecks.Apart(
        [
            (x, nameof(x)), (View, nameof(View)), default, default, (LinearChecks.Bytes(index), nameof(index)), default,
            (distance, nameof(distance)),
        ]);
        if (rows > 0)
        {
            Passes(rows).Nearest.Search(_session.Stream, x, View, index, rows, distance);
        }
    }

    /// <summary>Enqueues the way back: the code of every index, bit for bit.</summary>
    /// <param name="index">The codes, [rows, heads]; -1, or any that is not of a code: zeros.</param>
    /// <param name="output">Out: the rows, [rows, heads, dimension]; F32, F16 or BF16.</param>
    /// <exception cref="ArgumentException">A length or accelerator does not fit, or the output overlaps.</exception>
    /// <exception cref="ObjectDisposedException">This, the session or a buffer is disposed.</exception>
    public void Decode(ArrayView<int> index, TensorView output)
    {
        int rows = Rows(output, index, nameof(output));
        RowChecks.Apart(
            [default, (View, nameof(View)), (LinearChecks.Bytes(index), nameof(index)), default, (output, nameof(output))]);
        if (rows > 0)
        {
            Passes(rows).Quantize.Apply(_session.Stream, output, View, index, rows, output: output);
        }
    }

    /// <summary>Enqueues the forward pass of a training step: indices, output, losses and <see cref="Counts"/>.</summary>
    /// <param name="x">The rows, [rows, heads, dimension]; F32, F16 or BF16.</param>
    /// <param name="output">Out: their codes, [rows, heads, dimension], stored as the rows are.</param>
    /// <param name="index">Out: the indices, [rows, heads].</param>
    /// <param name="loss">Out, where given, [2]: codebook loss and commitment loss, see <see cref="CodebookLoss"/>.</param>
    /// <exception cref="ArgumentException">
    /// A length, storage or accelerator does not fit, or an output overlaps another tensor.
    /// </exception>
    /// <exception cref="ObjectDisposedException">This, the session or a buffer is disposed.</exception>
    public void Forward(TensorView x, TensorView output, ArrayView<int> index, ArrayView<float> loss = default)
    {
        int rows = Rows(x, index);
        Require.Tensor(_session.Accelerator, x.Length, output);
        RowChecks.Like(_session.Accelerator, x, output, nameof(output));
        RowChecks.Optional(_session.Accelerator, 2, loss, nameof(loss));
        Require.Apart(x, output, nameof(x), nameof(output));
        RowChecks.Apart(
        [
            (x, nameof(x)), (View, nameof(View)), default, default, (output, nameof(output)), default,
            (LinearChecks.Bytes(index), nameof(index)), (loss, nameof(loss)),
        ]);
        CodebookPasses passes = Passes(Math.Max(rows, 1));
        passes.Nearest.Search(_session.Stream, x, View, index, rows);
        passes.Quantize.Apply(
            _session.Stream, x, View, index, rows, output, loss, counts: Counts, beta: Settings.Commitment);
    }

    /// <summary>
    /// Enqueues the backward pass: the gradient to the rows, straight through the search (or as
    /// <see cref="CodebookSettings.Rotation"/> says) and with that of the commitment loss; and the <see cref="Gradient"/> of the codes, where they learn by it.
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
    /// <exception cref="ObjectDisposedException">This, the session or a buffer is disposed.</exception>
    public void Backward(TensorView x, ArrayView<int> index, TensorView grad, TensorView gradX)
    {
        int rows = Rows(x, index);
        RowChecks.Like(_session.Accelerator, x, grad, nameof(grad));
        RowChecks.Like(_session.Accelerator, x, gradX, nameof(gradX));
        Require.Apart(x, gradX, nameof(x), nameof(gradX));
        RowChecks.Apart(
        [
            (x, nameof(x)), (View, nameof(View)), (LinearChecks.Bytes(index), nameof(index)), (grad, nameof(grad)), default,
            (gradX, nameof(gradX)),
        ]);
        CodebookPasses passes = Passes(Math.Max(rows, 1));
        if (!gradX.IsEmpty)
        {
            if (passes.Rotate is not null && !grad.IsEmpty)
            {
                passes.Rotate.Backward(_session.Stream, x, View, index, rows, grad, gradX);
                grad = gradX;
            }

            passes.Quantize.Apply(
                _session.Stream, x, View, index, rows, gradX: gradX, grad: grad, beta: Settings.Commitment);
        }

        if (_gradient is not null)
        {
            TensorView wide = x.Storage == Storage.F32 || rows == 0 ? x : _arithmetic.Widen(x, _wide);
            passes.Gradient(_session.Stream, wide, View, index, rows, Gradient);
        }
    }

    /// <summary>
    /// Enqueues an update of the moving means, and of the codes from them; then dead codes start again, where
    /// <see cref="CodebookSettings.Restart"/> says so.
    /// </summary>
    /// <param name="x">The rows of the forward pass, [rows, heads, dimension].</param>
    /// <param name="index">Their codes, [rows, heads].</param>
    /// <exception cref="ArgumentException">A length or accelerator does not fit.</exception>
    /// <exception cref="InvalidOperationException">The codes do not learn by moving means.</exception>
    /// <exception cref="ObjectDisposedException">This, the session or a buffer is disposed.</exception>
    public void Update(TensorView x, ArrayView<int> index)
    {
        int rows = Rows(x, index);
        ArrayView<float> sizes = ClusterSize;
        if (rows > 0)
        {
            CodebookPasses passes = Passes(rows);
            passes.Means!.Update(_session.Stream, x, index, View, sizes, ClusterSum, rows);
            passes.Restart?.Run(_session.Stream, x, View, sizes, ClusterSum, rows, _updates, index);
            _updates = (_updates + 1) & int.MaxValue;
        }
    }

    /// <summary>The codes and their gradient, to be stepped by an <see cref="Optimizer"/>.</summary>
    /// <param name="name">The name among the optimizer's parameters.</param>
    /// <exception cref="ArgumentException">The name is empty.</exception>
    /// <exception cref="InvalidOperationException">The codes do not learn by gradient.</exception>
    public Parameter AsParameter(string name = "codebook") => new(name, View, Gradient, [.. CodebookFile.Shape(this)]);

    /// <summary>How many codes the rows of the last <c>Forward</c> used. Waits for it.</summary>
    /// <param name="head">Which head's; where heads share the codes, 0 stands for all.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such head.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public CodebookUsage Usage(int head = 0)
    {
        ThrowIfDisposed();
        Require.InRange(head, 0, Settings.Books);
        int[] counts = new int[Codes];
        Counts.SubView((long)head * Codes, Codes).CopyToCPU(_session.Stream, counts);
        return CodebookUsage.Of(counts);
    }

    /// <summary>Gives the codebook the centres of rows by k-means (L2, whatever the metric); moving means start anew from them.</summary>
    /// <param name="x">The rows, [rows, heads, dimension]; F32, F16 or BF16. Of none the codes stay.</param>
    /// <param name="options">Steps and seed.</param>
    /// <remarks>Allocates for the rows, and waits.</remarks>
    /// <exception cref="ArgumentNullException"><paramref name="options"/> is null.</exception>
    /// <exception cref="ArgumentException">The length or accelerator does not fit.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    /// <exception cref="ObjectDisposedException">This, the session or a buffer is disposed.</exception>
    public void Fit(TensorView x, KMeansOptions options)
    {
        ThrowIfDisposed();
        Require.NotNull(options);
        if (x.Length % RowLength != 0)
        {
            throw new ArgumentException(
                $"The length must be a multiple of {RowLength}, that of a row, and is {x.Length}.", nameof(x));
        }

        Require.InRange(x.Length / Dimension, 0, LinearChecks.MaxSize + 1.0, nameof(x));
        int rows = (int)(x.Length / Dimension / Settings.Books);
        using var means = new KMeans(
            _session.Accelerator, Math.Max(rows, 1), Codes, Dimension, options, Settings.Books);
        means.Fit(_session.Stream, x, View, rows);
        _session.Stream.Synchronize();
        StartMeans();
    }

    /// <summary>Gives the codebook other codes; moving means start anew from them.</summary>
    /// <param name="codes">[heads, codes, dimension]; [codes, dimension] where heads share them.</param>
    /// <exception cref="ArgumentException">The length does not fit.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public void SetCodes(ReadOnlySpan<float> codes)
    {
        ThrowIfDisposed();
        Require.Length(View.Length, codes.Length, nameof(codes));
        TensorCopy.Upload(_session.Stream, codes, View);
        StartMeans();
    }

    /// <summary>Reads the codes; waits for the work before.</summary>
    /// <param name="codes">[heads, codes, dimension], written; [codes, dimension] where heads share them.</param>
    /// <exception cref="ArgumentException">The length does not fit.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public void GetCodes(Span<float> codes)
    {
        ThrowIfDisposed();
        Require.Length(View.Length, codes.Length, nameof(codes));
        TensorCopy.Download(_session.Stream, View, codes);
    }

    /// <summary>Saves the codes, and the moving means where there are, in safetensors format.</summary>
    /// <remarks>
    /// The tensors are named as in lucidrains/vector-quantize-pytorch, all F32: <c>embed</c>, [heads, codes, dimension];
    /// <c>cluster_size</c>, [heads, codes]; <c>embed_avg</c>, [heads, codes, dimension].
    /// </remarks>
    /// <param name="stream">Where the file goes; stays open.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">The stream cannot be written.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public void Save(Stream stream)
    {
        Require.NotNull(stream);
        ThrowIfDisposed();
        CodebookFile.Save(stream, _session.Stream, CodebookFile.Metadata(Settings), CodebookFile.Tensors(this));
    }

    /// <summary>
    /// Loads codes of the same shape and metric. Moving means are needed where this codebook learns by them, and passed
    /// over where it does not.
    /// </summary>
    /// <param name="stream">The file; seekable; stays open.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="InvalidDataException">The file does not fit; the message says why, and nothing is changed.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public void Load(Stream stream)
    {
        Require.NotNull(stream);
        ThrowIfDisposed();
        CodebookFile.Load(stream, _session.Stream, CodebookFile.Metadata(Settings), CodebookFile.Tensors(this));
    }

    /// <summary>Frees the memory; waits for the work before.</summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        if (!_session.Accelerator.IsDisposed)
        {
            _session.Stream.Synchronize();
        }

        _codes.Dispose();
        _counts.Dispose();
        _gradient?.Dispose();
        _clusterSize?.Dispose();
        _clusterSum?.Dispose();
        _passes?.Dispose();
        _wide.Dispose();
        _spans.Dispose();
    }

    /// <summary>A codebook with codes that lie on the device, copied.</summary>
    internal static Codebook From(
        Session session, ArrayView<float> codes, int count, int dimension, CodebookSettings settings)
    {
        var book = new Codebook(session, count, dimension, settings);
        book._arithmetic.Copy(codes, book.View);
        book.StartMeans();
        return book;
    }

    private void ThrowIfDisposed()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        _session.ThrowIfDisposed();
    }

    /// <summary>How many rows there are, after the checks that every call over views has.</summary>
    private int Rows(
        TensorView x, ArrayView<int> index,
        [System.Runtime.CompilerServices.CallerArgumentExpression(nameof(x))] string? name = null)
    {
        ThrowIfDisposed();
        if (index.Length % Heads != 0)
        {
            throw new ArgumentException(
                $"The length must be a multiple of the {Heads} heads, and is {index.Length}.", nameof(index));
        }

        Require.InRange(index.Length, 0, LinearChecks.MaxSize + 1.0, nameof(index));
        LinearChecks.Floats(_session.Accelerator, index.Length, LinearChecks.Bytes(index), nameof(index));
        Require.Tensor(_session.Accelerator, index.Length * Dimension, x, name);
        return (int)(index.Length / Settings.Books);
    }

    /// <summary>Launchers for so many rows of each codebook.</summary>
    private CodebookPasses Passes(int rows)
    {
        if (_passes is null || _passes.MaxRows < rows)
        {
            if (_passes is not null)
            {
                _session.Stream.Synchronize();
                _passes.Dispose();
                _passes = null;
            }

            _passes = new CodebookPasses(_session.Accelerator, rows, Codes, Dimension, Settings.Books, Settings);
        }

        return _passes;
    }

    private void StartMeans()
    {
        if (_clusterSize is not null)
        {
            StartValues.Ones(_session.Stream, _clusterSize.View);
            _arithmetic.Copy(View, ClusterSum);
        }
    }

    private ArrayView<float> Of(MemoryBuffer1D<float, Stride1D.Dense>? buffer, CodebookLearning wanted) =>
        buffer is not null
            ? buffer.View
            : throw new InvalidOperationException($"The settings ask for learning by {Settings.Learning}, not {wanted}.");
}
