namespace Kernels.VectorQuantization;

// The calls over spans: each is copied to the device, done by the call over views, and waited for.
public sealed partial class Codebook
{
    /// <summary>Finds the nearest code of every part of every row; of any number of rows, which go in pieces.</summary>
    /// <param name="x">The rows, [rows, heads, dimension].</param>
    /// <param name="index">Out: the codes, [rows, heads]; -1 where there is none.</param>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public void Encode(ReadOnlySpan<float> x, Span<int> index)
    {
        ThrowIfDisposed();
        _spans.Encode(x, index, (rows, places) => Encode(rows, places));
    }

    /// <summary>The code of every index, bit for bit.</summary>
    /// <param name="index">The codes, [rows, heads]; -1, or any that is not of a code: zeros.</param>
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
    /// <param name="output">Out: their codes, [rows, heads, dimension].</param>
    /// <param name="index">Out: the indices, [rows, heads].</param>
    /// <returns>The losses.</returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public CodebookLoss Forward(ReadOnlySpan<float> x, Span<float> output, Span<int> index)
    {
        ThrowIfDisposed();
        Span<float> losses = [0, 0];
        _spans.Forward(x, output, index, losses, Forward);
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

    /// <summary>Gives the codebook the centres of rows by k-means (L2, whatever the metric); moving means start anew from them.</summary>
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
}
