namespace Kernels.References.VectorQuantization;

/// <summary>What comes of quantizing rows whose codes are known: output, losses, gradients, counts.</summary>
/// <remarks>
/// Source: van den Oord et al. 2017, arXiv:1711.00937, equation 3, with means over all components as VQGAN and FVQ
/// (arXiv:2509.10140) take them. With m rows that count, of n:
/// codebook loss = sum (e - z)^2 / (m d), commitment loss = beta times that,
/// dz = g + (2 beta / (m d)) (z - e), de_k = (2 / (m d)) sum over the rows of k of (e_k - z).
/// <para>
/// A row with index -1 (masked, or without a nearest code) does not count: output 0, gradient 0, no loss. The means
/// are over the rows that count; of none they are 0.
/// </para>
/// </remarks>
public static class QuantizeReference
{
    /// <summary>z + (e - z) in binary32, as frameworks compute the output.</summary>
    /// <param name="z">The component of the row.</param>
    /// <param name="e">The component of its code.</param>
    /// <returns>
    /// A number within u (2 |e - z| + |e|) of e, u = 2^-24 to first order; equal to e where z / 2 &lt;= e &lt;= 2 z
    /// (Sterbenz), not in
    /// general: with z = 1 and e = 2^-30 it is 0.
    /// </returns>
    public static float StraightThrough(float z, float e) => z + (e - z);

    /// <summary>Output, losses, gradient to the rows, counts.</summary>
    /// <param name="x">The rows z, [n, d].</param>
    /// <param name="codes">The codes e, [k, d].</param>
    /// <param name="index">The code of each row, [n]; -1 for a row that does not count.</param>
    /// <param name="d">The dimension.</param>
    /// <param name="beta">The weight of the commitment.</param>
    /// <param name="grad">The gradient g that comes to the output, [n, d]; empty for none.</param>
    /// <param name="depth">The largest number of additions a term of the loss goes through; by default all of
    /// them.</param>
    /// <returns>
    /// Output [n, d] (the bound admits e itself as well as z + (e - z)), codebook and commitment loss, gradX [n, d],
    /// counts [k].
    /// </returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An index is below -1 or not below k; beta is negative.</exception>
    public static (Bounded[] Output, Bounded Codebook, Bounded Commitment, Bounded[] GradX, int[] Counts) Evaluate(
        ReadOnlySpan<float> x, ReadOnlySpan<float> codes, ReadOnlySpan<int> index, int d, double beta = 0.25,
        ReadOnlySpan<float> grad = default, int? depth = null)
    {
        Check.NotNegative(beta);
        int k = Check.Rows(codes, d);
        Check.Length(x, index.Length * d);
        if (!grad.IsEmpty)
        {
            Check.Length(grad, x.Length);
        }

        int rows = 0;
        foreach (int i in index)
        {
            rows += i >= 0 ? 1 : 0;
        }

        double components = (double)rows * d;
        // Folded once, or by a division where only the device knows how many rows count.
        Bounded slope = rows == 0
            ? 0
            : Bounded.Either(Bounded.Rounded(2 * beta / components), Bounded.Rounded(2 * beta / d) / rows);
        var output = new Bounded[x.Length];
        var gradX = new Bounded[x.Length];
        var terms = new List<Bounded>();
        int[] counts = new int[k];
        for (int n = 0; n < index.Length; n++)
        {
            int code = Check.Index(index[n], k, nameof(index));
            if (code < 0)
            {
                continue;
            }

            counts[code]++;
            for (int i = n * d; i < (n + 1) * d; i++)
            {
                Bounded e = codes[(code * d) + (i - (n * d))];
                Bounded difference = (Bounded)x[i] - e;
                terms.Add(difference * difference);
                Bounded twice = x[i] + (e - x[i]);
                output[i] = e with { Bound = twice.Bound };
                Bounded g = grad.IsEmpty ? 0 : grad[i];
                gradX[i] = g + (slope * difference);
            }
        }

        if (rows == 0)
        {
            return (output, 0, 0, gradX, counts);
        }

        Bounded sum = Bounded.Sum([.. terms], depth);
        // By a division, or by the rounded reciprocal.
        Bounded mean = Bounded.Either(sum / components, sum * Bounded.Rounded(1 / components));
        return (output, mean, mean * Bounded.Rounded(beta), gradX, counts);
    }

    /// <summary>The gradient of the codebook loss to the codes.</summary>
    /// <param name="x">The rows, [n, d].</param>
    /// <param name="codes">The codes, [k, d].</param>
    /// <param name="index">The code of each row, [n]; -1 for a row that does not count.</param>
    /// <param name="d">The dimension.</param>
    /// <param name="weight">The weight of the codebook loss.</param>
    /// <returns>
    /// [k, d]; exactly 0 for a code without rows. The bound holds for n_k e - s_k as well as for the sum of the
    /// differences: g(n_k + 5) (n_k |e| + sum |z|) times the factor.
    /// </returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An index is below -1 or not below k.</exception>
    public static Bounded[] CodebookGradient(
        ReadOnlySpan<float> x, ReadOnlySpan<float> codes, ReadOnlySpan<int> index, int d, double weight = 1)
    {
        int k = Check.Rows(codes, d);
        (Bounded[] sums, int[] counts) = SegmentSumReference.Evaluate(x, index, k, d);
        float[] sizes = x.ToArray();
        for (int i = 0; i < sizes.Length; i++)
        {
            sizes[i] = Math.Abs(sizes[i]);
        }

        Bounded[] size = SegmentSumReference.Evaluate(sizes, index, k, d).Sums;
        int rows = counts.Sum();
        var gradient = new Bounded[codes.Length];
        for (int j = 0; j < gradient.Length; j++)
        {
            int count = counts[j / d];
            if (count == 0)
            {
                continue;
            }

            double factor = 2 * weight / ((double)rows * d);
            double e = (double)count * codes[j];
            double bound = Bounded.Gamma(count + 5) * (Math.Abs(e) + size[j].Value) * Math.Abs(factor);
            gradient[j] = new Bounded(
                factor * (e - sums[j].Value),
                double.IsPositiveInfinity(sums[j].Bound) ? sums[j].Bound : bound + (2 * Bounded.LeastSubnormal));
        }

        return gradient;
    }
}
