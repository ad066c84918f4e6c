using System.Numerics.Tensors;
using Kernels.VectorQuantization;

namespace Kernels.Tensors;

/// <summary>A codebook's calls on tensors. Rows are [..., dimension], or [..., heads, dimension] with several heads.</summary>
/// <remarks>
/// A <c>Tensor&lt;float&gt;</c> is taken as it is. Nothing is written where a tensor is refused.
/// <example><code>
/// Tensor&lt;float&gt; x = Tensor.Create(values, [rows, 64]);
/// Tensor&lt;int&gt; index = Tensor.CreateFromShape&lt;int&gt;([rows]);
/// codebook.Encode(x, index);
/// </code></example>
/// </remarks>
public static class CodebookTensors
{
    /// <summary>Finds the nearest code of every part of every row.</summary>
    /// <param name="codebook">The codebook.</param>
    /// <param name="x">The rows.</param>
    /// <param name="index">Out: the codes, an index for each part of a row; -1 where there is none.</param>
    /// <exception cref="ArgumentNullException"><paramref name="codebook"/> is null.</exception>
    /// <exception cref="ArgumentException">A shape does not fit, or a tensor is not contiguous.</exception>
    /// <exception cref="ObjectDisposedException">The codebook or its session is disposed.</exception>
    public static void Encode(this Codebook codebook, ReadOnlyTensorSpan<float> x, TensorSpan<int> index)
    {
        ArgumentNullException.ThrowIfNull(codebook);
        CheckRows(codebook, x.Lengths, nameof(x));
        CheckIndex(codebook, x.Lengths, index.Lengths);
        codebook.Encode(RowMajor.Span(x, nameof(x)), RowMajor.Span(index, nameof(index)));
    }

    /// <summary>The code of every index, bit for bit.</summary>
    /// <param name="codebook">The codebook.</param>
    /// <param name="index">The codes; -1, or any that is not of a code: zeros.</param>
    /// <param name="output">Out: the rows.</param>
    /// <exception cref="ArgumentNullException"><paramref name="codebook"/> is null.</exception>
    /// <exception cref="ArgumentException">A shape does not fit, or a tensor is not contiguous.</exception>
    /// <exception cref="ObjectDisposedException">The codebook or its session is disposed.</exception>
    public static void Decode(this Codebook codebook, ReadOnlyTensorSpan<int> index, TensorSpan<float> output)
    {
        ArgumentNullException.ThrowIfNull(codebook);
        CheckRows(codebook, output.Lengths, nameof(output));
        CheckIndex(codebook, output.Lengths, index.Lengths);
        codebook.Decode(RowMajor.Span(index, nameof(index)), RowMajor.Span(output, nameof(output)));
    }

    /// <summary>The forward pass of a training step.</summary>
    /// <param name="codebook">The codebook.</param>
    /// <param name="x">The rows.</param>
    /// <param name="output">Out: their codes, of the shape of the rows.</param>
    /// <param name="index">Out: the indices, one for each part of a row.</param>
    /// <returns>The losses.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="codebook"/> is null.</exception>
    /// <exception cref="ArgumentException">A shape does not fit, or a tensor is not contiguous.</exception>
    /// <exception cref="ObjectDisposedException">The codebook or its session is disposed.</exception>
    public static CodebookLoss Forward(
        this Codebook codebook, ReadOnlyTensorSpan<float> x, TensorSpan<float> output, TensorSpan<int> index)
    {
        ArgumentNullException.ThrowIfNull(codebook);
        CheckRows(codebook, x.Lengths, nameof(x));
        if (!output.Lengths.SequenceEqual(x.Lengths))
        {
            throw new ArgumentException(
                $"The shape must be that of x, {RowMajor.Text(x.Lengths)}, and is {RowMajor.Text(output.Lengths)}.",
                nameof(output));
        }

        CheckIndex(codebook, x.Lengths, index.Lengths);
        return codebook.Forward(
            RowMajor.Span(x, nameof(x)), RowMajor.Span(output, nameof(output)), RowMajor.Span(index, nameof(index)));
    }

    /// <summary>Gives the codebook the centres of rows by k-means.</summary>
    /// <param name="codebook">The codebook.</param>
    /// <param name="x">The rows. Of none the codes stay.</param>
    /// <param name="options">Steps and seed.</param>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ArgumentException">The shape does not fit, or the tensor is not contiguous.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The codebook or its session is disposed.</exception>
    public static void Fit(this Codebook codebook, ReadOnlyTensorSpan<float> x, KMeansOptions options)
    {
        ArgumentNullException.ThrowIfNull(codebook);
        CheckRows(codebook, x.Lengths, nameof(x));
        codebook.Fit(RowMajor.Span(x, nameof(x)), options);
    }

    /// <summary>How many of the last dimensions are those of a row: its numbers, or heads and numbers of a part.</summary>
    private static int RowDimensions(Codebook codebook, ReadOnlySpan<nint> lengths) =>
        lengths.Length >= 1 && lengths[^1] == codebook.RowLength ? 1
        : lengths.Length >= 2 && lengths[^1] == codebook.Dimension && lengths[^2] == codebook.Heads ? 2
        : 0;

    private static void CheckRows(Codebook codebook, ReadOnlySpan<nint> lengths, string name)
    {
        if (RowDimensions(codebook, lengths) == 0)
        {
            throw new ArgumentException(
                $"The shape must end with {codebook.RowLength}, the length of a row, or with {codebook.Heads}, "
                + $"{codebook.Dimension}, and is {RowMajor.Text(lengths)}.",
                name);
        }
    }

    private static void CheckIndex(Codebook codebook, ReadOnlySpan<nint> rows, ReadOnlySpan<nint> index)
    {
        ReadOnlySpan<nint> before = rows[..^RowDimensions(codebook, rows)];
        bool fits = index.StartsWith(before)
            && (index.Length == before.Length ? codebook.Heads == 1
                : index.Length == before.Length + 1 && index[^1] == codebook.Heads);
        if (!fits)
        {
            throw new ArgumentException(
                $"The shape must be that of the rows, {RowMajor.Text(before)}, and then {codebook.Heads}, the heads (1 may be "
                + $"left out); it is {RowMajor.Text(index)}.",
                nameof(index));
        }
    }
}
