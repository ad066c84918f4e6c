namespace Kernels.References.Quantization;

/// <summary>The weights that codes stand for: s C[I].</summary>
/// <remarks>
/// Exact without scales; one rounded product with them. A scale of 0 gives 0, with the sign that the product has, and a
/// code that is not finite becomes what IEEE 754 makes of the product.
/// </remarks>
public static class DequantizeReference
{
    /// <summary>Dequantizes.</summary>
    /// <param name="shape">The shape of the matrix.</param>
    /// <param name="index">The indices, [rows, columns / length].</param>
    /// <param name="codebook">The codes, [codebooks, k, length].</param>
    /// <param name="scale">The scales, or empty if the shape has none.</param>
    /// <returns>[rows, columns].</returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    /// <exception cref="ArgumentNullException">The shape is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no such code.</exception>
    public static Bounded[] Evaluate(
        CodebookShape shape, ReadOnlySpan<int> index, ReadOnlySpan<float> codebook, ReadOnlySpan<float> scale)
    {
        ArgumentNullException.ThrowIfNull(shape);
        shape.CheckAll(index, codebook, scale);
        var q = new Bounded[shape.Weights];
        for (int i = 0; i < q.Length; i++)
        {
            q[i] = (Bounded)shape.Scale(i, scale) * codebook[shape.Entry(i, index)];
        }

        return q;
    }
}
