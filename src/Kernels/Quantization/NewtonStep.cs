namespace Kernels.Quantization;

/// <summary>Newton's step of a few numbers, on the host in binary64.</summary>
internal static class NewtonStep
{
    // Relative to the largest diagonal element: what a number without weights is divided by.
    private const double Ridge = 1e-9;

    /// <summary>Takes x - A^-1 g / 2 for k numbers from <paramref name="first"/> on, and nothing where A is not positive
    /// or the result is not finite.</summary>
    /// <param name="values">x, in place.</param>
    /// <param name="gradient">g.</param>
    /// <param name="columns">The columns of A, half of the second derivative.</param>
    /// <param name="first">The first number.</param>
    /// <param name="k">Numbers.</param>
    internal static void Take(Span<float> values, ReadOnlySpan<float> gradient, float[][] columns, int first, int k)
    {
        double[] a = new double[k * k];
        double largest = 0;
        for (int i = 0; i < k; i++)
        {
            for (int j = 0; j < k; j++)
            {
                a[(i * k) + j] = 0.5 * ((double)columns[j][first + i] + columns[i][first + j]);
            }

            largest = Math.Max(largest, a[(i * k) + i]);
        }

        double[] x = new double[k];
        for (int i = 0; i < k; i++)
        {
            a[(i * k) + i] += Ridge * largest;
            x[i] = 0.5 * gradient[first + i];
        }

        if (!(largest > 0) || !Solve(a, x, k))
        {
            return;
        }

        for (int i = 0; i < k; i++)
        {
            if (!float.IsFinite((float)(values[first + i] - x[i])))
            {
                return;
            }
        }

        for (int i = 0; i < k; i++)
        {
            values[first + i] = (float)(values[first + i] - x[i]);
        }
    }

    /// <summary>Solves A x = b by Cholesky's decomposition, in place; false if A is not positive.</summary>
    private static bool Solve(double[] a, double[] x, int k)
    {
        for (int i = 0; i < k; i++)
        {
            for (int j = 0; j <= i; j++)
            {
                double sum = a[(i * k) + j];
                for (int l = 0; l < j; l++)
                {
                    sum -= a[(i * k) + l] * a[(j * k) + l];
                }

                if (i == j && !(sum > 0))
                {
                    return false;
                }

                a[(i * k) + j] = i == j ? Math.Sqrt(sum) : sum / a[(j * k) + j];
            }
        }

        for (int i = 0; i < k; i++)
        {
            for (int l = 0; l < i; l++)
            {
                x[i] -= a[(i * k) + l] * x[l];
            }

            x[i] /= a[(i * k) + i];
        }

        for (int i = k - 1; i >= 0; i--)
        {
            for (int l = i + 1; l < k; l++)
            {
                x[i] -= a[(l * k) + i] * x[l];
            }

            x[i] /= a[(i * k) + i];
        }

        return true;
    }
}
