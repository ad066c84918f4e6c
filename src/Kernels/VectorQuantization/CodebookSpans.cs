using ILGPU;
using ILGPU.Runtime;
using Kernels.Optimizers;
using Kernels.Validation;

namespace Kernels.VectorQuantization;

/// <summary>
/// Carries batches that come as spans to the calls over views, and back. The rows and indices of a forward pass stay on
/// the device for what follows it.
/// </summary>
/// <param name="session">Where the codebook lives.</param>
/// <param name="rowLength">Numbers of a row.</param>
/// <param name="indexLength">Indices of a row.</param>
internal sealed class CodebookSpans(Session session, int rowLength, int indexLength) : IDisposable
{
    // Numbers of a piece of rows in device memory.
    private const int Piece = 1 << 24;

    private readonly GrowingBuffer<float> _x = new(session);
    private readonly GrowingBuffer<float> _output = new(session);
    private readonly GrowingBuffer<float> _losses = new(session);
    private readonly GrowingBuffer<int> _index = new(session);
    private TensorView _lastX;
    private ArrayView<int> _lastIndex;
    private bool _isForward;

    internal delegate void ForwardCall(TensorView x, TensorView output, ArrayView<int> index, ArrayView<float> losses);

    internal delegate void BackwardCall(TensorView x, ArrayView<int> index, TensorView grad, TensorView gradX);

    private int MostRows => Math.Max(1, Piece / Math.Max(rowLength, indexLength));

    internal void Encode(ReadOnlySpan<float> x, Span<int> index, Action<TensorView, ArrayView<int>> encode)
    {
        int rows = Rows(x.Length, rowLength, nameof(x));
        Require.Length((long)rows * indexLength, index.Length, nameof(index));
        _isForward = false;
        for (int first = 0; first < rows; first += MostRows)
        {
            int count = Math.Min(MostRows, rows - first);
            TensorView piece = Upload(_x, x.Slice(first * rowLength, count * rowLength));
            ArrayView<int> places = _index.First((long)count * indexLength);
            encode(piece, places);
            places.CopyToCPU(session.Stream, index.Slice(first * indexLength, count * indexLength));
        }
    }

    internal void Decode(ReadOnlySpan<int> index, Span<float> output, Action<ArrayView<int>, TensorView> decode)
    {
        int rows = Rows(index.Length, indexLength, nameof(index));
        Require.Length((long)rows * rowLength, output.Length, nameof(output));
        _isForward = false;
        for (int first = 0; first < rows; first += MostRows)
        {
            int count = Math.Min(MostRows, rows - first);
            ArrayView<int> places = _index.First((long)count * indexLength);
            places.CopyFromCPU<int, ArrayView<int>>(
                session.Stream, index.Slice(first * indexLength, count * indexLength));
            TensorView piece = _output.First((long)count * rowLength);
            decode(places, piece);
            TensorCopy.Download(session.Stream, piece, output.Slice(first * rowLength, count * rowLength));
        }
    }

    /// <param name="x">The rows.</param>
    /// <param name="output">The output, written.</param>
    /// <param name="index">The indices, written.</param>
    /// <param name="losses">The losses, written; as many as the call gives.</param>
    /// <param name="forward">The call over views.</param>
    internal void Forward(
        ReadOnlySpan<float> x, Span<float> output, Span<int> index, Span<float> losses, ForwardCall forward)
    {
        int rows = Rows(x.Length, rowLength, nameof(x));
        Require.Length(x.Length, output.Length, nameof(output));
        Require.Length((long)rows * indexLength, index.Length, nameof(index));
        _isForward = false;
        _lastX = Upload(_x, x);
        _lastIndex = _index.First(index.Length);
        TensorView result = _output.First(output.Length);
        TensorView numbers = _losses.First(losses.Length);
        forward(_lastX, result, _lastIndex, numbers.As<float>());
        TensorCopy.Download(session.Stream, result, output);
        TensorCopy.Download(session.Stream, numbers, losses);
        if (!index.IsEmpty)
        {
            _lastIndex.CopyToCPU(session.Stream, index);
        }

        _isForward = true;
    }

    internal void Backward(ReadOnlySpan<float> grad, Span<float> gradX, BackwardCall backward)
    {
        RequireForward();
        if (!grad.IsEmpty)
        {
            Require.Length(_lastX.Length, grad.Length, nameof(grad));
        }

        Require.Length(_lastX.Length, gradX.Length, nameof(gradX));
        TensorView gradient = grad.IsEmpty ? _output.First(gradX.Length) : Upload(_output, grad);
        backward(_lastX, _lastIndex, grad.IsEmpty ? default : gradient, gradient);
        TensorCopy.Download(session.Stream, gradient, gradX);
    }

    internal void Update(Action<TensorView, ArrayView<int>> update)
    {
        RequireForward();
        update(_lastX, _lastIndex);
    }

    internal void Fit(ReadOnlySpan<float> x, Action<TensorView> fit)
    {
        _ = Rows(x.Length, rowLength, nameof(x));
        _isForward = false;
        fit(Upload(_x, x));
    }

    public void Dispose()
    {
        _x.Dispose();
        _output.Dispose();
        _losses.Dispose();
        _index.Dispose();
    }

    private static int Rows(int length, int ofRow, string name) => length % ofRow == 0
        ? length / ofRow
        : throw new ArgumentException($"The length must be a multiple of {ofRow}, that of a row, and is {length}.", name);

    private void RequireForward()
    {
        if (!_isForward)
        {
            throw new InvalidOperationException(
                "There must be a Forward of spans before, and no Encode or Decode of spans between.");
        }
    }

    private TensorView Upload(GrowingBuffer<float> buffer, ReadOnlySpan<float> values)
    {
        TensorView view = buffer.First(values.Length);
        TensorCopy.Upload(session.Stream, values, view);
        return view;
    }
}
