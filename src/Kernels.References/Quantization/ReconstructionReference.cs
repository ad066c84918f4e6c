namespace Kernels.References.Quantization;

/// <summary>The objective of a layer: |X W^T - X Q^T|^2, the sum of squares of what its outputs lose.</summary>
/// <remarks>
/// Source: Nagel et al. 2020, AdaRound, arXiv:2004.10568; Li et al. 2021, BRECQ, arXiv:2102.05426. Not
/// divided by anything. dQ = 2 (X Q^T - X W^T)^T X = 2 (Q - W) X^T X.
/// <para>
/// Bound: for residuals X (Q - W)^T, for X Q^T - X W^T, and for the form with X^T X, sums in any order. All terms are
/// products of x, x and |w| + |q|: with a = sum |x| (|w| + |q|) the size of a residual, a gradient is within
/// gamma(n + columns + 4) 2 sum a |x|, and the value within gamma(k + 6) sum a^2, n the rows of X and k the larger of
/// 2 columns + n rows, and n + columns + rows columns for the form with X^T X.
/// </para>
/// </remarks>
public static class ReconstructionReference
{
    /// <summary>The value, and its gradient to Q.</summary>
    /// <param name="x">X, [n, columns].</param>
    /// <param name="w">W, [rows, columns].</param>
    /// <param name="q">Q, [rows, columns].</param>
    /// <param name="columns">The number of columns, at least 1.</param>
    /// <returns>The sum of squares, and [rows, columns].</returns>
    /// <exception cref="ArgumentException">These are not whole rows, or W and Q differ in length.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There are too few columns.</exception>
    public static (Bounded Value, Bounded[] GradQ) Evaluate(
        ReadOnlySpan<float> x, ReadOnlySpan<float> w, ReadOnlySpan<float> q, int columns)
    {
        int n = Check.Rows(x, columns);
        int rows = Check.Rows(w, columns);
        Check.SameLength(w, q);
        double value = 0;
        double size = 0;
        double largest = 1 + Largest(x) + Largest(w) + Largest(q);
        double underflow = 2 * largest * largest * Bounded.LeastSubnormal;
        double[] gradient = new double[w.Length];
        double[] sizes = new double[w.Length];
        for (int i = 0; i < n * rows; i++)
        {
            ReadOnlySpan<float> own = x.Slice(i / rows * columns, columns);
            int start = i % rows * columns;
            double residual = 0;
            double a = 0;
            for (int j = 0; j < columns; j++)
            {
                residual += own[j] * ((double)q[start + j] - w[start + j]);
                a += Math.Abs(own[j]) * (Math.Abs((double)q[start + j]) + Math.Abs(w[start + j]));
            }

            value += residual * residual;
            size += a * a;
            for (int j = 0; j < columns; j++)
            {
                gradient[start + j] += 2 * residual * own[j];
                sizes[start + j] += 2 * a * Math.Abs(own[j]);
            }
        }

        var gradQ = new Bounded[w.Length];
        for (int i = 0; i < gradQ.Length; i++)
        {
            gradQ[i] = Within(gradient[i], sizes[i], n + columns + 4, 2 * n * columns * underflow);
        }

        int roundings = Math.Max((2 * columns) + (n * rows), n + columns + w.Length) + 6;
        return (Within(value, size, roundings, 2.0 * n * rows * columns * largest * underflow), gradQ);
    }

    private static double Largest(ReadOnlySpan<float> values)
    {
        double largest = 0;
        foreach (float value in values)
        {
            largest = Math.Max(largest, float.IsFinite(value) ? Math.Abs(value) : 0);
        }

        return largest;
    }

    private static Bounded Within(double value, double size, int roundings, double underflow) => new(
        value,
        size > float.MaxValue / 2
            ? double.PositiveInfinity
            : (Bounded.Gamma(roundings) * size) + (roundings * size * 1.2e-16) + underflow);
}
