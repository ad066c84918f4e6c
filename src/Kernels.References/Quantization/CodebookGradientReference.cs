namespace Kernels.References.Quantization;

/// <summary>The gradients to codes and scales of Q = s C[I], for given indices.</summary>
/// <remarks>
/// dC_k = sum over the weights of code k of s dQ, ds = sum over the weights of the scale of C[I] dQ. The bounds hold
/// for products and sums in any order.
/// </remarks>
public static class CodebookGradientReference
{
    /// <summary>The gradient to the codes.</summary>
    /// <param name="shape">The shape of the matrix.</param>
    /// <param name="index">The indices, [rows, columns / length].</param>
    /// <param name="grad">The gradient dQ, [rows, columns].</param>
    /// <param name="scale">The scales, or empty if the shape has none.</param>
    /// <returns>[codebooks, k, length]; exactly 0 for a code without weights.</returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    /// <exception cref="ArgumentNullException">The shape is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no such code.</exception>
    public static Bounded[] Codes(
        CodebookShape shape, ReadOnlySpan<int> index, ReadOnlySpan<float> grad, ReadOnlySpan<float> scale)
    {
        ArgumentNullException.ThrowIfNull(shape);
        Check.Length(grad, shape.Weights);
        Check.Length(index, shape.Indices);
        Check.Length(scale, shape.Scales?.Count ?? 0);
        List<Bounded>[] terms = Lists(shape.CodebookNumbers);
        for (int i = 0; i < grad.Length; i++)
        {
            terms[shape.Entry(i, index)].Add((Bounded)shape.Scale(i, scale) * grad[i]);
        }

        return Sums(terms, shape.Scales is null ? 0 : 1);
    }

    /// <summary>The gradient to the scales.</summary>
    /// <param name="shape">The shape of the matrix, with scales.</param>
    /// <param name="index">The indices, [rows, columns / length].</param>
    /// <param name="grad">The gradient dQ, [rows, columns].</param>
    /// <param name="codebook">The codes, [codebooks, k, length].</param>
    /// <returns>[scales]; a scale of 0 has one as well.</returns>
    /// <exception cref="ArgumentException">A length does not fit, or the shape has no scales.</exception>
    /// <exception cref="ArgumentNullException">The shape is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no such code.</exception>
    public static Bounded[] Scales(
        CodebookShape shape, ReadOnlySpan<int> index, ReadOnlySpan<float> grad, ReadOnlySpan<float> codebook)
    {
        ArgumentNullException.ThrowIfNull(shape);
        Check.Length(grad, shape.Weights);
        Check.Length(index, shape.Indices);
        Check.Length(codebook, shape.CodebookNumbers);
        if (shape.Scales is null)
        {
            throw new ArgumentException("The shape has no scales.", nameof(shape));
        }

        List<Bounded>[] terms = Lists(shape.Scales.Count);
        for (int i = 0; i < grad.Length; i++)
        {
            terms[shape.Scales.Of(i)].Add((Bounded)codebook[shape.Entry(i, index)] * grad[i]);
        }

        return Sums(terms, 1);
    }

    private static List<Bounded>[] Lists(int count) =>
        Array.ConvertAll(new List<Bounded>[count], _ => new List<Bounded>());

    // Sums may be taken before their product with a factor that many terms share; one rounding more, since a factor may
    // be 1, and one underflow.
    private static Bounded[] Sums(List<Bounded>[] terms, int products) => Array.ConvertAll(terms, own =>
    {
        Bounded sum = Bounded.Sum([.. own], Math.Max(own.Count - 1, 0) + (own.Count > 1 ? products : 0));
        return own.Count > 1 && products > 0 ? sum with { Bound = sum.Bound + Bounded.LeastSubnormal } : sum;
    });
}
