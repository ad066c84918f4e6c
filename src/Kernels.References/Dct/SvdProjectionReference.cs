namespace Kernels.References.Dct;

/// <summary>The best subspaces of a gradient: what a choice of columns of a fixed basis is compared with.</summary>
/// <remarks>
/// Source: Hestenes 1958, one-sided Jacobi rotations; Demmel and Veselic 1992 for its accuracy; the use as a
/// projection: Zhao et al. 2024, arXiv:2403.03507. Of all subspaces of dimension r, that of the first r singular
/// vectors carries the most of |G|^2 (Eckart and Young 1936). Binary64; for the host, without bounds.
/// </remarks>
public static class SvdProjectionReference
{
    // Sweeps converge quadratically; matrices of some hundred columns take ten.
    private const int MaxSweeps = 60;

    // Of a matrix without full rank the rotations leave rows that become smaller with every sweep. They are 0 before
    // products of them underflow, which no rotation would make orthogonal.
    private const double Negligible = 1e-100;

    /// <summary>A = U diag(s) V^T, with k = min(rows, columns).</summary>
    /// <param name="a">[rows, columns], row-major, finite.</param>
    /// <param name="rows">Rows of A.</param>
    /// <param name="columns">Columns of A.</param>
    /// <returns>
    /// U [rows, k], s [k] descending and V [columns, k]. The longer of U and V has columns of zeros for singular values
    /// that are 0; the other is orthogonal.
    /// </returns>
    /// <exception cref="ArgumentException">The length is not rows times columns.</exception>
    /// <exception cref="ArithmeticException">The rotations do not end, as of numbers that are not finite.</exception>
    public static (double[] U, double[] Singular, double[] V) Decompose(
        ReadOnlySpan<double> a, int rows, int columns)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        Check.Length(a, rows * columns);
        // Rows of w are the columns that become orthogonal.
        bool isTall = rows >= columns;
        int k = Math.Min(rows, columns);
        int length = Math.Max(rows, columns);
        double[] w = isTall ? BoundedMatrix.Transpose(a, rows, columns) : a.ToArray();
        var turns = new double[k * k];
        for (int i = 0; i < k; i++)
        {
            turns[(i * k) + i] = 1;
        }

        int sweep = 0;
        double negligible = Negligible * BoundedMatrix.Norm(a);
        while (Sweep(w, turns, k, length, negligible))
        {
            if (++sweep == MaxSweeps)
            {
                throw new ArithmeticException("The rotations do not end.");
            }
        }

        var norms = new double[k];
        for (int i = 0; i < k; i++)
        {
            norms[i] = BoundedMatrix.Norm(w.AsSpan(i * length, length));
        }

        int[] order = [.. Enumerable.Range(0, k).OrderByDescending(i => norms[i])];
        var singular = new double[k];
        var longer = new double[length * k];
        var shorter = new double[k * k];
        for (int c = 0; c < k; c++)
        {
            int from = order[c];
            singular[c] = norms[from];
            for (int i = 0; i < length; i++)
            {
                longer[(i * k) + c] = norms[from] == 0 ? 0 : w[(from * length) + i] / norms[from];
            }

            for (int i = 0; i < k; i++)
            {
                shorter[(i * k) + c] = turns[(from * k) + i];
            }
        }

        return isTall ? (longer, singular, shorter) : (shorter, singular, longer);
    }

    /// <summary>The share of |A|^2 that the best subspace of each dimension carries.</summary>
    /// <param name="a">[rows, columns], row-major, finite.</param>
    /// <param name="rows">Rows of A.</param>
    /// <param name="columns">Columns of A.</param>
    /// <returns>[min(rows, columns)], for dimensions 1, 2 and so on; 1 of a matrix that is 0.</returns>
    /// <exception cref="ArgumentException">The length is not rows times columns.</exception>
    public static double[] Energy(ReadOnlySpan<double> a, int rows, int columns)
    {
        double[] energy = Decompose(a, rows, columns).Singular;
        double all = energy.Sum(s => s * s);
        double sum = 0;
        for (int r = 0; r < energy.Length; r++)
        {
            sum += energy[r] * energy[r];
            energy[r] = all == 0 ? 1 : sum / all;
        }

        return energy;
    }

    /// <summary>
    /// The first right singular vectors of a matrix with at least as many rows as columns, or left of others.
    /// </summary>
    /// <param name="a">[rows, columns], row-major, finite.</param>
    /// <param name="rows">Rows of A.</param>
    /// <param name="columns">Columns of A.</param>
    /// <param name="rank">r, 1 to min(rows, columns).</param>
    /// <returns>[min(rows, columns), r], orthonormal columns.</returns>
    /// <exception cref="ArgumentException">The length is not rows times columns.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The rank is out of its range.</exception>
    public static double[] Subspace(ReadOnlySpan<double> a, int rows, int columns, int rank)
    {
        (double[] u, double[] singular, double[] v) = Decompose(a, rows, columns);
        ArgumentOutOfRangeException.ThrowIfLessThan(rank, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rank, singular.Length);
        double[] vectors = rows >= columns ? v : u;
        int k = singular.Length;
        var result = new double[k * rank];
        for (int i = 0; i < result.Length; i++)
        {
            result[i] = vectors[(i / rank * k) + (i % rank)];
        }

        return result;
    }

    /// <summary>Makes each two rows orthogonal in turn; whether one rotation was more than rounding.</summary>
    private static bool Sweep(double[] w, double[] turns, int k, int length, double negligible)
    {
        bool turned = false;
        for (int p = 0; p < k - 1; p++)
        {
            for (int q = p + 1; q < k; q++)
            {
                Span<double> a = w.AsSpan(p * length, length);
                Span<double> b = w.AsSpan(q * length, length);
                double aa = 0;
                double bb = 0;
                double ab = 0;
                for (int i = 0; i < length; i++)
                {
                    aa += a[i] * a[i];
                    bb += b[i] * b[i];
                    ab += a[i] * b[i];
                }

                if (Math.Sqrt(Math.Min(aa, bb)) <= negligible
                    || Math.Abs(ab) <= 2.3e-16 * length * Math.Sqrt(aa) * Math.Sqrt(bb))
                {
                    continue;
                }

                turned = true;
                double zeta = (bb - aa) / (2 * ab);
                double size = Math.Abs(zeta);
                double tangent = (zeta < 0 ? -1 : 1) / (size + (size > 1e8 ? size : Math.Sqrt(1 + (size * size))));
                double cosine = 1 / Math.Sqrt(1 + (tangent * tangent));
                Rotate(a, b, cosine, cosine * tangent);
                Rotate(turns.AsSpan(p * k, k), turns.AsSpan(q * k, k), cosine, cosine * tangent);
            }
        }

        return turned;
    }

    private static void Rotate(Span<double> a, Span<double> b, double cosine, double sine)
    {
        for (int i = 0; i < a.Length; i++)
        {
            (a[i], b[i]) = ((cosine * a[i]) - (sine * b[i]), (sine * a[i]) + (cosine * b[i]));
        }
    }
}
