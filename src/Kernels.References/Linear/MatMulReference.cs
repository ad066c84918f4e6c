namespace Kernels.References.Linear;

/// <summary>C = act(C0 + bias + op(A) op(B)) in binary64, row-major.</summary>
/// <remarks>
/// Bound: a binary32 computation that adds the k products, the bias and C0 in any order rounds a product once and a
/// sum at most k + 2 times on its way, so it is within gamma(k + 2) (|C0| + |bias| + sum |a| |b|) of the exact sum
/// (Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, section 3.1), plus half a least subnormal
/// for each product that underflows. The activation is in <see cref="ActivationReference"/>.
/// </remarks>
public static class MatMulReference
{
    /// <summary>The product.</summary>
    /// <param name="a">A: [m, k], or [k, m] if transposed.</param>
    /// <param name="transposeA">Whether op(A) is the transpose of A.</param>
    /// <param name="b">B: [k, n], or [n, k] if transposed.</param>
    /// <param name="transposeB">Whether op(B) is the transpose of B.</param>
    /// <param name="m">Rows of C.</param>
    /// <param name="n">Columns of C.</param>
    /// <param name="k">Length of the inner products.</param>
    /// <param name="bias">[n], or empty.</param>
    /// <param name="c0">[m, n], or empty.</param>
    /// <param name="activation">The activation with its bound, such as <see cref="ActivationReference.Gelu"/>; null for none.</param>
    /// <returns>[m, n]: values, and how far a binary32 computation may be from them.</returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    public static Bounded[] Multiply(
        ReadOnlySpan<float> a, bool transposeA, ReadOnlySpan<float> b, bool transposeB, int m, int n, int k,
        ReadOnlySpan<float> bias, ReadOnlySpan<float> c0, Func<Bounded, Bounded>? activation = null)
    {
        if (a.Length != m * k || b.Length != k * n || (bias.Length != 0 && bias.Length != n)
            || (c0.Length != 0 && c0.Length != m * n))
        {
            throw new ArgumentException("The lengths must be a: m k, b: k n, bias: n or 0, c0: m n or 0.", nameof(a));
        }

        var c = new Bounded[m * n];
        for (int i = 0; i < m; i++)
        {
            for (int j = 0; j < n; j++)
            {
                double sum = c0.IsEmpty ? 0 : c0[(i * n) + j];
                double size = Math.Abs(sum);
                if (!bias.IsEmpty)
                {
                    sum += bias[j];
                    size += Math.Abs(bias[j]);
                }

                for (int p = 0; p < k; p++)
                {
                    double product = (double)a[transposeA ? (p * m) + i : (i * k) + p]
                        * b[transposeB ? (j * k) + p : (p * n) + j];
                    sum += product;
                    size += Math.Abs(product);
                }

                // The last term: what binary64 itself may have lost.
                double bound = (Bounded.Gamma(k + 2) * size) + ((k + 1) * Bounded.LeastSubnormal)
                    + ((k + 2) * size * 1.2e-16);
                var element = new Bounded(sum, size > float.MaxValue / 2 ? double.PositiveInfinity : bound);
                c[(i * n) + j] = activation is null ? element : activation(element);
            }
        }

        return c;
    }

    /// <summary>Column sums, the gradient of a bias: out = sum over rows of x [rows, n], plus what out held.</summary>
    /// <param name="x">[rows, n].</param>
    /// <param name="rows">Number of rows.</param>
    /// <param name="n">Number of columns.</param>
    /// <param name="held">[n], or empty.</param>
    /// <returns>[n]. The bound is gamma(rows) sum |x|: right for additions in any order.</returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    public static Bounded[] ColumnSum(ReadOnlySpan<float> x, int rows, int n, ReadOnlySpan<float> held)
    {
        if (x.Length != rows * n || (held.Length != 0 && held.Length != n))
        {
            throw new ArgumentException("The lengths must be x: rows n, held: n or 0.", nameof(x));
        }

        var sums = new Bounded[n];
        for (int j = 0; j < n; j++)
        {
            double sum = held.IsEmpty ? 0 : held[j];
            double size = Math.Abs(sum);
            for (int i = 0; i < rows; i++)
            {
                sum += x[(i * n) + j];
                size += Math.Abs(x[(i * n) + j]);
            }

            double bound = (Bounded.Gamma(rows + 1) * size) + ((rows + 1) * size * 1.2e-16);
            sums[j] = new Bounded(sum, size > float.MaxValue / 2 ? double.PositiveInfinity : bound);
        }

        return sums;
    }
}
