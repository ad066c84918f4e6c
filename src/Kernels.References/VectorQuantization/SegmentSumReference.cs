namespace Kernels.References.VectorQuantization;

/// <summary>Counts and sums of the rows of each code, in row order.</summary>
/// <remarks>
/// Bound: n_k rows added in any order, g(n_k - 1) sum |x|, g(n) = n u / (1 - n u). It is 0 for one row, for none, and
/// where the numbers are so short that no order rounds (integers with sums up to 2^24).
/// </remarks>
public static class SegmentSumReference
{
    /// <summary>Sums the rows of each code.</summary>
    /// <param name="x">The rows, [n, d].</param>
    /// <param name="index">The code of each row, [n]; -1 for a row that does not count.</param>
    /// <param name="k">The number of codes.</param>
    /// <param name="d">The dimension.</param>
    /// <returns>The sums [k, d], exactly 0 for a code without rows, and the counts [k].</returns>
    /// <exception cref="ArgumentException">There are not n rows of d numbers.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An index is below -1 or not below k.</exception>
    public static (Bounded[] Sums, int[] Counts) Evaluate(ReadOnlySpan<float> x, ReadOnlySpan<int> index, int k, int d)
    {
        Check.Length(x, index.Length * d);
        double[] sums = new double[k * d];
        double[] sizes = new double[k * d];
        int[] counts = new int[k];
        for (int n = 0; n < index.Length; n++)
        {
            int code = Check.Index(index[n], k, nameof(index));
            if (code < 0)
            {
                continue;
            }

            counts[code]++;
            for (int i = 0; i < d; i++)
            {
                sums[(code * d) + i] += x[(n * d) + i];
                sizes[(code * d) + i] += Math.Abs(x[(n * d) + i]);
            }
        }

        int unit = Dyadic.Measure(x).Exponent;
        var result = new Bounded[k * d];
        for (int j = 0; j < result.Length; j++)
        {
            int rows = counts[j / d];
            double bound = rows < 2 || Dyadic.IsExact(sizes[j], unit, 24)
                ? 0
                : (Bounded.Gamma(rows - 1) * sizes[j]) + (rows * sizes[j] * 1.2e-16);
            bound = sizes[j] > float.MaxValue / 2 && rows > 1 ? double.PositiveInfinity : bound;
            result[j] = new Bounded(sums[j], double.IsNaN(sums[j]) && double.IsNaN(sizes[j]) ? double.NaN : bound);
        }

        return (result, counts);
    }
}
