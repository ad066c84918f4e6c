using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using ILGPU;
using Kernels.DeviceCode.VectorQuantization;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Optimizers;
using Kernels.Validation;

namespace Kernels.VectorQuantization;

/// <summary>
/// Residual vector quantization: a sequence of codebooks, each for what the ones before have left of a row. A row becomes
/// an index for each stage, and is the sum of their codes.
/// </summary>
/// <remarks>
/// <para>
/// Source: Zeghidour et al. 2021, arXiv:2107.03312 (SoundStream), algorithm 1. r = x; at each stage e is the code nearest
/// to r, output += e, r -= e: in binary32, in the order of the stages, so that decoding gives the bits of the forward
/// pass. The rest of a row grows at no stage whose search is <see cref="CodebookSettings.Certified"/> and whose codebook
/// has a code of zeros, but by the rounding of r - e: |r - e| (1 + 2^-24). Without that it may grow, as with any method
/// that takes one stage after the other.
/// </para>
/// <para>
/// Each stage has losses of its own, over its rest; the gradient to the rows is that of the output, straight through all
/// stages, and the commitments of all. A row without a code in some stage has index -1 there, and the gradient 0.
/// Stages may be product quantizers, see <see cref="CodebookSettings.Heads"/>.
/// </para>
/// <para>
/// As with <see cref="Codebook"/>: spans are copied and waited for, views are neither. Use it from one thread at a time.
/// </para>
/// <example><code>
/// using Session session = Session.Open();
/// using var book = new ResidualCodebook(session, stages: 8, codes: 1024, dimension: 128);
/// book.Load(File.OpenRead("codebooks.safetensors"));
/// book.Encode(x, index);       // Span&lt;float&gt; in, eight indices a row out
/// book.Decode(index, output);
/// </code></example>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class ResidualCodebook : IDisposable
{
    private readonly Session _session;
    private readonly Codebook[] _stages;
    private readonly RowArithmetic _arithmetic;
    private readonly ItemLauncher<InterleaveWork> _interleave;
    private readonly GrowingBuffer<float> _rest;
    private readonly GrowingBuffer<float> _chosen;
    private readonly GrowingBuffer<int> _places;
    private readonly CodebookSpans _spans;
    private bool _disposed;

    /// <summary>Allocates the codebooks, each with other codes to start with.</summary>
    /// <param name="session">Where they live; it must outlive them.</param>
    /// <param name="stages">Codebooks, 1 to 1,024.</param>
    /// <param name="codes">Codes of each head of a stage, 1 to 2^30, of all heads too.</param>
    /// <param name="dimension">Length of a code, 1 to 2^20.</param>
    /// <param name="settings">Of every stage; null takes L2, one head, and no learning.</param>
    /// <exception cref="ArgumentNullException"><paramref name="session"/> is null.</exception>
    /// <exception cref="ArgumentException">The settings ask for rotation, or for restarts without moving means.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size or a setting is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The session is disposed.</exception>
    public ResidualCodebook(Session session, int stages, int codes, int dimension, CodebookSettings? settings = null)
    {
        Require.NotNull(session);
        session.ThrowIfDisposed();
        Require.InRange(stages, 1, 1025);
        Settings = settings ?? new CodebookSettings();
        Settings.Validate(nameof(settings));
        if (Settings.Rotation)
        {
            throw new ArgumentException(
                "The gradient goes straight through the sum of the stages: there is no rotation of all of them.",
                nameof(settings));
        }

        CodebookChecks.Shape(session.Accelerator, 1, codes, dimension, Settings.Books);
        _session = session;
        Codes = codes;
        Dimension = dimension;
        _stages = new Codebook[stages];
        for (int s = 0; s < stages; s++)
        {
            _stages[s] = new Codebook(session, codes, dimension, OfStage(Settings, s));
        }

        _arithmetic = new RowArithmetic(session);
        _interleave = new ItemLauncher<InterleaveWork>(session.Accelerator, DeviceFacts.Of(session.Accelerator));
        _rest = new GrowingBuffer<float>(session);
        _chosen = new GrowingBuffer<float>(session);
        _places = new GrowingBuffer<int>(session);
        _spans = new CodebookSpans(session, RowLength, Stages * Heads);
    }

    /// <summary>Codebooks, in the order of their turns.</summary>
    public int Stages => _stages.Length;

    /// <summary>Codes of each head of a stage.</summary>
    public int Codes { get; }

    /// <summary>Length of a code.</summary>
    public int Dimension { get; }

    /// <summary>Parts of a row.</summary>
    public int Heads => Settings.Heads;

    /// <summary>Length of a row: heads times dimension.</summary>
    public int RowLength => Heads * Dimension;

    /// <summary>The settings of every stage; the seed is that of the first.</summary>
    public CodebookSettings Settings { get; }

    /// <summary>The codebook of a stage: its codes, their gradient, and how many the last <c>Forward</c> used.</summary>
    /// <param name="stage">0 to <see cref="Stages"/> - 1.</param>
    /// <returns>The codebook, which lives as long as this.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such stage.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public Codebook Stage(int stage)
    {
        ThrowIfDisposed();
        Require.InRange(stage, 0, Stages);
        return _stages[stage];
    }

    /// <summary>Enqueues the search, one stage after the other.</summary>
    /// <param name="x">The rows, [rows, heads, dimension]; F32, F16 or BF16.</param>
    /// <param name="index">Out: the codes, [rows, stages, heads]; -1 where there is none.</param>
    /// <exception cref="ArgumentException">A length or accelerator does not fit, or the output overlaps.</exception>
    /// <exception cref="ObjectDisposedException">This, the session or a buffer is disposed.</exception>
    public void Encode(TensorView x, ArrayView<int> index)
    {
        int rows = Rows(x, index);
        Apart((x, nameof(x)), default, (LinearChecks.Bytes(index), nameof(index)));
        TensorView rest = _arithmetic.Widen(x, _rest);
        TensorView chosen = _chosen.First(x.Length);
        ArrayView<int> places = _places.First(index.Length);
        for (int s = 0; s < Stages; s++)
        {
            ArrayView<int> own = Of(places, s);
            _stages[s].Encode(rest, own);
            if (s + 1 < Stages)
            {
                _stages[s].Decode(own, chosen);
                _arithmetic.Subtract(rest, chosen);
            }
        }

        Interleave(places, index, Stages, rows);
    }

    /// <summary>Enqueues the sum of the codes of each row, in the order of the stages.</summary>
    /// <param name="index">The codes, [rows, stages, heads]; -1, or any that is not of a code: zeros.</param>
    /// <param name="output">Out: the rows, [rows, heads, dimension], F32.</param>
    /// <exception cref="ArgumentException">A length, storage or accelerator does not fit, or the output overlaps.</exception>
    /// <exception cref="ObjectDisposedException">This, the session or a buffer is disposed.</exception>
    public void Decode(ArrayView<int> index, TensorView output)
    {
        int rows = Rows(output, index, nameof(output));
        LinearChecks.Floats(_session.Accelerator, output.Length, output);
        Apart(default, (LinearChecks.Bytes(index), nameof(index)), (output, nameof(output)));
        TensorView chosen = _chosen.First(output.Length);
        ArrayView<int> places = Places(index, rows);
        for (int s = 0; s < Stages; s++)
        {
            _stages[s].Decode(Of(places, s), s == 0 ? output : chosen);
            if (s > 0)
            {
                _arithmetic.Add(output, chosen);
            }
        }
    }

    /// <summary>Enqueues the forward pass of a training step.</summary>
    /// <param name="x">The rows, [rows, heads, dimension]; F32, F16 or BF16.</param>
    /// <param name="output">Out: the sums of their codes, [rows, heads, dimension], F32.</param>
    /// <param name="index">Out: the indices, [rows, stages, heads].</param>
    /// <param name="loss">Out, where given, [stages, 2]: codebook loss and commitment loss of each stage.</param>
    /// <exception cref="ArgumentException">
    /// A length, storage or accelerator does not fit, or an output overlaps another tensor.
    /// </exception>
    /// <exception cref="ObjectDisposedException">This, the session or a buffer is disposed.</exception>
    public void Forward(TensorView x, TensorView output, ArrayView<int> index, ArrayView<float> loss = default)
    {
        int rows = Rows(x, index);
        LinearChecks.Floats(_session.Accelerator, x.Length, output);
        RowChecks.Optional(_session.Accelerator, 2L * Stages, loss, nameof(loss));
        Apart(
            (x, nameof(x)), default, (output, nameof(output)), (LinearChecks.Bytes(index), nameof(index)),
            (loss, nameof(loss)));
        TensorView rest = _arithmetic.Widen(x, _rest);
        TensorView chosen = _chosen.First(x.Length);
        ArrayView<int> places = _places.First(index.Length);
        for (int s = 0; s < Stages; s++)
        {
            _stages[s].Forward(rest, chosen, Of(places, s), loss.Length == 0 ? default : loss.SubView(2L * s, 2));
            _arithmetic.Subtract(rest, chosen);
            if (s == 0)
            {
                _arithmetic.Copy(chosen, output);
            }
            else
            {
                _arithmetic.Add(output, chosen);
            }
        }

        Interleave(places, index, Stages, rows);
    }

    /// <summary>
    /// Enqueues the backward pass: the gradient to the rows, and that of the codes of every stage, where they learn by it.
    /// </summary>
    /// <param name="x">The rows of the forward pass, [rows, heads, dimension].</param>
    /// <param name="index">Their codes, [rows, stages, heads].</param>
    /// <param name="grad">The gradient to the output, [rows, heads, dimension], F32; empty: zeros.</param>
    /// <param name="gradX">
    /// Out: the gradient to the rows, [rows, heads, dimension], F32. May be <paramref name="grad"/> itself. Empty where it
    /// is not wanted.
    /// </param>
    /// <exception cref="ArgumentException">
    /// A length, storage or accelerator does not fit, or an output overlaps another tensor.
    /// </exception>
    /// <exception cref="ObjectDisposedException">This, the session or a buffer is disposed.</exception>
    public void Backward(TensorView x, ArrayView<int> index, TensorView grad, TensorView gradX)
    {
        int rows = Rows(x, index);
        RowChecks.Optional(_session.Accelerator, x.Length, grad, nameof(grad));
        RowChecks.Optional(_session.Accelerator, x.Length, gradX, nameof(gradX));
        Apart((x, nameof(x)), (LinearChecks.Bytes(index), nameof(index)), (gradX, nameof(gradX)));
        LinearChecks.SameOrApart(grad, gradX, nameof(grad), nameof(gradX));
        TensorView rest = _arithmetic.Widen(x, _rest);
        TensorView chosen = _chosen.First(x.Length);
        ArrayView<int> places = Places(index, rows);
        for (int s = 0; s < Stages; s++)
        {
            ArrayView<int> own = Of(places, s);
            // Each stage adds its commitment to what the one before has written.
            _stages[s].Backward(rest, own, s == 0 || gradX.IsEmpty ? grad : gradX, gradX);
            _stages[s].Decode(own, chosen);
            _arithmetic.Subtract(rest, chosen);
        }
    }

    /// <summary>Enqueues an update of the moving means of every stage, and of the codes from them.</summary>
    /// <param name="x">The rows of the forward pass, [rows, heads, dimension].</param>
    /// <param name="index">Their codes, [rows, stages, heads].</param>
    /// <exception cref="ArgumentException">A length or accelerator does not fit.</exception>
    /// <exception cref="InvalidOperationException">The codes do not learn by moving means.</exception>
    /// <exception cref="ObjectDisposedException">This, the session or a buffer is disposed.</exception>
    public void Update(TensorView x, ArrayView<int> index)
    {
        int rows = Rows(x, index);
        _ = _stages[0].ClusterSize;
        TensorView rest = _arithmetic.Widen(x, _rest);
        TensorView chosen = _chosen.First(x.Length);
        ArrayView<int> places = Places(index, rows);
        for (int s = 0; s < Stages; s++)
        {
            ArrayView<int> own = Of(places, s);
            _stages[s].Decode(own, chosen); // before the codes move
            _stages[s].Update(rest, own);
            _arithmetic.Subtract(rest, chosen);
        }
    }

    /// <summary>Finds the codes of every row; of any number of rows, which go in pieces.</summary>
    /// <param name="x">The rows, [rows, heads, dimension].</param>
    /// <param name="index">Out: the codes, [rows, stages, heads]; -1 where there is none.</param>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public void Encode(ReadOnlySpan<float> x, Span<int> index)
    {
        ThrowIfDisposed();
        _spans.Encode(x, index, Encode);
    }

    /// <summary>The sum of the codes of each row, in the order of the stages.</summary>
    /// <param name="index">The codes, [rows, stages, heads]; -1, or any that is not of a code: zeros.</param>
    /// <param name="output">Out: the rows, [rows, heads, dimension].</param>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public void Decode(ReadOnlySpan<int> index, Span<float> output)
    {
        ThrowIfDisposed();
        _spans.Decode(index, output, Decode);
    }

    /// <summary>The forward pass of a training step. Rows and indices stay on the device for what follows.</summary>
    /// <param name="x">The rows, [rows, heads, dimension].</param>
    /// <param name="output">Out: the sums of their codes, [rows, heads, dimension].</param>
    /// <param name="index">Out: the indices, [rows, stages, heads].</param>
    /// <returns>The losses of each stage.</returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public CodebookLoss[] Forward(ReadOnlySpan<float> x, Span<float> output, Span<int> index)
    {
        ThrowIfDisposed();
        float[] losses = new float[2 * Stages];
        _spans.Forward(x, output, index, losses, Forward);
        return [.. Enumerable.Range(0, Stages).Select(s => new CodebookLoss(losses[2 * s], losses[(2 * s) + 1]))];
    }

    /// <summary>The backward pass of the last <c>Forward</c> of spans: the gradient to its rows, and to the codes.</summary>
    /// <param name="grad">The gradient to the output, [rows, heads, dimension]; empty: zeros.</param>
    /// <param name="gradX">Out: the gradient to the rows, [rows, heads, dimension].</param>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    /// <exception cref="InvalidOperationException">There was no such pass, or another call of spans came between.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public void Backward(ReadOnlySpan<float> grad, Span<float> gradX)
    {
        ThrowIfDisposed();
        _spans.Backward(grad, gradX, Backward);
    }

    /// <summary>Updates the moving means from the last <c>Forward</c> of spans, and the codes from them.</summary>
    /// <exception cref="InvalidOperationException">
    /// There was no such pass, another call of spans came between, or the codes do not learn by moving means.
    /// </exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public void Update()
    {
        ThrowIfDisposed();
        _spans.Update(Update);
    }

    /// <summary>Gives every stage the centres, by k-means, of what the ones before leave of rows.</summary>
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
        Require.Tensor(_session.Accelerator, x.Length, x);
        TensorView rest = _arithmetic.Widen(x, _rest);
        TensorView chosen = _chosen.First(x.Length);
        ArrayView<int> own = _places.First(x.Length / Dimension);
        foreach (Codebook stage in _stages)
        {
            stage.Fit(rest, options);
            stage.Encode(rest, own);
            stage.Decode(own, chosen);
            _arithmetic.Subtract(rest, chosen);
        }
    }

    /// <summary>Gives every stage the centres, by k-means, of what the ones before leave of rows.</summary>
    /// <param name="x">The rows, [rows, heads, dimension]. Of none the codes stay.</param>
    /// <param name="options">Steps and seed.</param>
    /// <exception cref="ArgumentNullException"><paramref name="options"/> is null.</exception>
    /// <exception cref="ArgumentException">The length does not fit.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public void Fit(ReadOnlySpan<float> x, KMeansOptions options)
    {
        ThrowIfDisposed();
        _spans.Fit(x, rows => Fit(rows, options));
    }

    /// <summary>The codes of each stage and their gradients, to be stepped by an <see cref="Optimizer"/>.</summary>
    /// <returns>A parameter for each stage, named as the tensors of the file.</returns>
    /// <exception cref="InvalidOperationException">The codes do not learn by gradient.</exception>
    public IReadOnlyList<Parameter> AsParameters() =>
        [.. _stages.Select((book, s) => book.AsParameter($"{Prefix(s)}embed"))];

    /// <summary>Saves the codes, and the moving means where there are, in safetensors format.</summary>
    /// <remarks>The tensors are those of <see cref="Codebook.Save"/> with <c>layers.0.</c> and so on before.</remarks>
    /// <param name="stream">Where the file goes; stays open.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">The stream cannot be written.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public void Save(Stream stream)
    {
        Require.NotNull(stream);
        ThrowIfDisposed();
        CodebookFile.Save(stream, _session.Stream, CodebookFile.Metadata(Settings), Tensors());
    }

    /// <summary>Loads codes of as many stages of the same shape and metric, as <see cref="Codebook.Load"/> does.</summary>
    /// <param name="stream">The file; seekable; stays open.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="InvalidDataException">The file does not fit; the message says why, and nothing is changed.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public void Load(Stream stream)
    {
        Require.NotNull(stream);
        ThrowIfDisposed();
        CodebookFile.Load(stream, _session.Stream, CodebookFile.Metadata(Settings), Tensors());
    }

    /// <summary>Frees the memory; waits for the work before.</summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        Array.ForEach(_stages, stage => stage.Dispose());
        _rest.Dispose();
        _chosen.Dispose();
        _places.Dispose();
        _spans.Dispose();
    }

    private static CodebookSettings OfStage(CodebookSettings settings, int stage) => settings with
    {
        Seed = settings.Seed + (ulong)stage,
        Restart = settings.Restart is { } restart ? restart with { Seed = restart.Seed + (ulong)stage } : null,
    };

    private static string Prefix(int stage) => string.Create(CultureInfo.InvariantCulture, $"layers.{stage}.");

    private List<CodebookFile.Entry> Tensors() =>
        [.. _stages.SelectMany((book, s) => CodebookFile.Tensors(book, Prefix(s)))];

    private ArrayView<int> Of(ArrayView<int> places, int stage)
    {
        long length = places.Length / Stages;
        return length == 0 ? default : places.SubView(stage * length, length);
    }

    /// <summary>The indices stage by stage.</summary>
    private ArrayView<int> Places(ArrayView<int> index, int rows)
    {
        ArrayView<int> places = _places.First(index.Length);
        Interleave(index, places, rows, Stages);
        return places;
    }

    private void Interleave(ArrayView<int> from, ArrayView<int> to, int outer, int inner)
    {
        if (from.Length > 0)
        {
            var work = new InterleaveWork { From = from, To = to, Outer = outer, Inner = inner, Cell = Heads };
            _interleave.Run(_session.Stream, work, 0, from.Length);
        }
    }

    /// <summary>How many rows there are, after the checks that every call over views has.</summary>
    private int Rows(
        TensorView x, ArrayView<int> index,
        [System.Runtime.CompilerServices.CallerArgumentExpression(nameof(x))] string? name = null)
    {
        ThrowIfDisposed();
        int ofRow = Stages * Heads;
        if (index.Length % ofRow != 0)
        {
            throw new ArgumentException(
                $"The length must be a multiple of {ofRow}, that of a row, and is {index.Length}.", nameof(index));
        }

        Require.InRange(index.Length, 0, LinearChecks.MaxSize + 1.0, nameof(index));
        LinearChecks.Floats(_session.Accelerator, index.Length, LinearChecks.Bytes(index), nameof(index));
        Require.Tensor(_session.Accelerator, index.Length / Stages * Dimension, x, name);
        return (int)(index.Length / ofRow);
    }

    /// <summary>Refuses outputs that share a byte with another tensor or with the codes.</summary>
    private void Apart(
        (TensorView View, string Name) x, (TensorView View, string Name) index,
        params ReadOnlySpan<(TensorView View, string Name)> outputs)
    {
        for (int i = 0; i < outputs.Length; i++)
        {
            (TensorView output, string name) = outputs[i];
            Require.Apart(x.View, output, x.Name, name);
            Require.Apart(index.View, output, index.Name, name);
            foreach (Codebook stage in _stages)
            {
                Require.Apart(stage.View, output, nameof(Codebook.View), name);
            }

            for (int j = 0; j < i; j++)
            {
                Require.Apart(outputs[j].View, output, outputs[j].Name, name);
            }
        }
    }

    private void ThrowIfDisposed()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        _session.ThrowIfDisposed();
    }
}
