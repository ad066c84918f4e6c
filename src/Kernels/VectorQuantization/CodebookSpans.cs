using ILGPU;
using ILGPU.Runtime;
using Kernels.Optimizers;
using Kernels.Validation;

namespace Kernels.VectorQuantization;

/// <summary>Where batches that come as spans lie on the device; the last of a forward pass stays for what follows it.</summary>
internal sealed class CodebookSpans(Session session) : IDisposable
{
    private readonly GrowingBuffer<float> _x = new(session);
    private readonly GrowingBuffer<float> _output = new(session);
    private readonly GrowingBuffer<float> _numbers = new(session);
    private readonly GrowingBuffer<int> _index = new(session);
    private TensorView _lastX;
    private ArrayView<int> _lastIndex;
    private bool _isForward;

    /// <summary>Copies rows to the device; what was there of a forward pass is gone.</summary>
    internal TensorView Rows(ReadOnlySpan<float> x)
    {
        _isForward = false;
        TensorView rows = _x.First(x.Length);
        TensorCopy.Upload(session.Stream, x, rows);
        return rows;
    }

    /// <summary>Copies a tensor of the rows' length to the device, to be overwritten there.</summary>
    internal TensorView Output(ReadOnlySpan<float> values)
    {
        TensorView output = _output.First(values.Length);
        TensorCopy.Upload(session.Stream, values, output);
        return output;
    }

    internal TensorView Output(long length) => _output.First(length);

    internal ArrayView<float> Numbers(long length) => _numbers.First(length);

    internal ArrayView<int> Index(long length)
    {
        _isForward = false;
        return _index.First(length);
    }

    internal ArrayView<int> Index(ReadOnlySpan<int> values)
    {
        ArrayView<int> index = Index(values.Length);
        if (!values.IsEmpty)
        {
            index.CopyFromCPU<int, ArrayView<int>>(session.Stream, values);
        }

        return index;
    }

    internal void Read(ArrayView<int> view, Span<int> values)
    {
        if (!values.IsEmpty)
        {
            view.CopyToCPU(session.Stream, values);
        }
    }

    internal void Read(TensorView view, Span<float> values) => TensorCopy.Download(session.Stream, view, values);

    /// <summary>The rows and indices on the device are those of a forward pass.</summary>
    internal void Keep(TensorView x, ArrayView<int> index)
    {
        _lastX = x;
        _lastIndex = index;
        _isForward = true;
    }

    /// <exception cref="InvalidOperationException">There is none.</exception>
    internal (TensorView X, ArrayView<int> Index) Last() => _isForward
        ? (_lastX, _lastIndex)
        : throw new InvalidOperationException("There must be a Forward of spans before, and no Encode or Decode between.");

    public void Dispose()
    {
        _x.Dispose();
        _output.Dispose();
        _numbers.Dispose();
        _index.Dispose();
    }

    /// <summary>Rows in a span.</summary>
    internal static int Count(int length, int rowLength, string name) => length % rowLength == 0
        ? length / rowLength
        : throw new ArgumentException($"The length must be a multiple of the row's, {rowLength}, and is {length}.", name);
}

/// <content>Over spans.</content>
public sealed partial class Codebook
{
    private readonly CodebookSpans _spans;

    /// <summary>Finds the nearest code of every part of every row. Of any number of rows; they go in pieces.</summary>
    /// <param name="x">The rows, [rows, heads, dimension].</param>
    /// <param name="index">Out: the codes, [rows, heads]; -1 where there is none.</param>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public void Encode(ReadOnlySpan<float> x, Span<int> index)
    {
        ThrowIfDisposed();
        int rows = CodebookSpans.Count(x.Length, RowLength, nameof(x));
        Require.Length((long)rows * Heads, index.Length, nameof(index));
        int most = Math.Max(1, Piece / RowLength);
        for (int first = 0; first < rows; first += most)
        {
            int count = Math.Min(most, rows - first);
            TensorView piece = _spans.Rows(x.Slice(first * RowLength, count * RowLength));
            ArrayView<int> places = _spans.Index(count * Heads);
            Encode(piece, places);
            _spans.Read(places, index.Slice(first * Heads, count * Heads));
        }
    }

    /// <summary>The code of every index, bit for bit.</summary>
    /// <param name="index">The codes, [rows, heads]; -1, or any that is not of a code: zeros.</param>
    /// <param name="output">Out: the rows, [rows, heads, dimension].</param>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public void Decode(ReadOnlySpan<int> index, Span<float> output)
    {
        ThrowIfDisposed();
        int rows = CodebookSpans.Count(index.Length, Heads, nameof(index));
        Require.Length((long)rows * RowLength, output.Length, nameof(output));
        int most = Math.Max(1, Piece / RowLength);
        for (int first = 0; first < rows; first += most)
        {
            int count = Math.Min(most, rows - first);
            ArrayView<int> places = _spans.Index(index.Slice(first * Heads, count * Heads));
            TensorView piece = _spans.Output((long)count * RowLength);
            Decode(places, piece);
            _spans.Read(piece, output.Slice(first * RowLength, count * RowLength));
        }
    }

    /// <summary>The forward pass of a training step. Rows and indices stay on the device for what follows.</summary>
    /// <param name="x">The rows, [rows, heads, dimension].</param>
    /// <param name="output">Out: their codes, [rows, heads, dimension].</param>
    /// <param name="index">Out: the indices, [rows, heads].</param>
    /// <returns>The losses.</returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public CodebookLoss Forward(ReadOnlySpan<float> x, Span<float> output, Span<int> index)
    {
        ThrowIfDisposed();
        int rows = CodebookSpans.Count(x.Length, RowLength, nameof(x));
        Require.Length(x.Length, output.Length, nameof(output));
        Require.Length((long)rows * Heads, index.Length, nameof(index));
        TensorView batch = _spans.Rows(x);
        TensorView codes = _spans.Output(x.Length);
        ArrayView<int> places = _spans.Index(index.Length);
        ArrayView<float> loss = _spans.Numbers(2);
        Forward(batch, codes, places, loss);
        _spans.Read(codes, output);
        _spans.Read(places, index);
        Span<float> losses = [0, 0];
        _spans.Read(loss, losses);
        _spans.Keep(batch, places);
        return new CodebookLoss(losses[0], losses[1]);
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
        (TensorView x, ArrayView<int> index) = _spans.Last();
        if (!grad.IsEmpty)
        {
            Require.Length(x.Length, grad.Length, nameof(grad));
        }

        Require.Length(x.Length, gradX.Length, nameof(gradX));
        TensorView gradient = grad.IsEmpty ? _spans.Output(gradX.Length) : _spans.Output(grad);
        Backward(x, index, grad.IsEmpty ? default : gradient, gradient);
        _spans.Read(gradient, gradX);
    }

    /// <summary>Updates the moving means from the last <c>Forward</c> of spans, and the codes from them.</summary>
    /// <exception cref="InvalidOperationException">
    /// There was no such pass, another call of spans came between, or the codes do not learn by moving means.
    /// </exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public void Update()
    {
        ThrowIfDisposed();
        _ = ClusterSize;
        (TensorView x, ArrayView<int> index) = _spans.Last();
        Update(x, index);
    }
}
