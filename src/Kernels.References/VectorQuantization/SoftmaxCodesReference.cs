namespace Kernels.References.VectorQuantization;

/// <summary>The gradient of index back-propagation: softmax attention with keys and values from the codebook.</summary>
/// <remarks>
/// Source: Shi et al. 2024, IBQ, arXiv:2412.02692, and its code. Logits z.e_j, p = softmax, onehot = hard - sg(p) + p,
/// output = onehot E, which is e_hard. With t_j = g.e_j and t = sum p_j t_j: dlogit_j = p_j (t_j - t),
/// dz = sum dlogit_j e_j, de_j = sum over rows of (hard_j g + dlogit_j z). A row with index -1 has no gradient, and
/// gives none.
/// <para>
/// Bound, u = 2^-24, g(n) as ever: a logit is off by a_j = g(d) sum |z e| and the exponential of its distance x to the
/// largest by r_j = exp(a_j + max a + u |x|) - 1 + 4 u (2 ulp of its own, and 1.3e-38 where it is flushed). A sum that
/// is rescaled whenever a larger logit comes has five roundings for each rescaling, and the arguments of the
/// rescalings telescope to the range of the logits. With S the sum and R its relative error, p is off by r_j + R + 2 u.
/// Both factorings of dz are covered (t_j - t first, or sum p t e - t sum p e): each term is at most
/// p_j (T_j + T) |e|, T_j = sum |g e|, T = sum p T, times all the relative errors it meets.
/// First-order sums are enlarged by 1 %.
/// </para>
/// </remarks>
public static class SoftmaxCodesReference
{
    private const double U = Bounded.UnitRoundoff;
    private const double Flushed = Bounded.Flushed;
    private const double Slack = 1.01;

    /// <summary>The probabilities of the codes for each row.</summary>
    /// <param name="x">The rows z, [n, d].</param>
    /// <param name="codes">The codes, [k, d].</param>
    /// <param name="d">The dimension.</param>
    /// <param name="rescalings">How often a running sum may be rescaled; by default at every code.</param>
    /// <returns>[n, k].</returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    public static Bounded[] Probabilities(
        ReadOnlySpan<float> x, ReadOnlySpan<float> codes, int d, int? rescalings = null)
    {
        int n = Check.Rows(x, d);
        int k = Check.Rows(codes, d);
        var all = new Bounded[n * k];
        for (int i = 0; i < n; i++)
        {
            (double[] p, double[] relative) = Softmax(x.Slice(i * d, d), codes, k, rescalings ?? k);
            for (int j = 0; j < k; j++)
            {
                all[(i * k) + j] = Known(p[j], (Slack * p[j] * relative[j]) + Flushed);
            }
        }

        return all;
    }

    /// <summary>The gradients to rows and codes.</summary>
    /// <param name="x">The rows z, [n, d].</param>
    /// <param name="codes">The codes e, [k, d].</param>
    /// <param name="index">The hard code of each row, [n]; -1 for a row that does not count.</param>
    /// <param name="grad">The gradient g to the output, [n, d].</param>
    /// <param name="d">The dimension.</param>
    /// <param name="rescalings">How often a running sum may be rescaled; by default at every code.</param>
    /// <returns>gradX [n, d], gradCodes [k, d].</returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An index is below -1 or not below k.</exception>
    public static (Bounded[] GradX, Bounded[] GradCodes) Backward(
        ReadOnlySpan<float> x, ReadOnlySpan<float> codes, ReadOnlySpan<int> index, ReadOnlySpan<float> grad, int d,
        int? rescalings = null)
    {
        int k = Check.Rows(codes, d);
        Check.Length(x, index.Length * d);
        Check.SameLength(x, grad);
        var gradX = new Bounded[x.Length];
        double[] gradCodes = new double[codes.Length];
        double[] sizes = new double[codes.Length];
        double[] bounds = new double[codes.Length];
        double[] t = new double[k];
        double[] size = new double[k];
        for (int n = 0; n < index.Length; n++)
        {
            int hard = Check.Index(index[n], k, nameof(index));
            if (hard < 0)
            {
                continue;
            }

            ReadOnlySpan<float> z = x.Slice(n * d, d);
            ReadOnlySpan<float> g = grad.Slice(n * d, d);
            (double[] p, double[] relative) = Softmax(z, codes, k, rescalings ?? k);
            double mean = 0;
            double meanSize = 0;
            double meanError = 0;
            for (int j = 0; j < k; j++)
            {
                (t[j], size[j]) = Dot(g, codes.Slice(j * d, d));
                mean += p[j] * t[j];
                meanSize += p[j] * size[j];
                meanError += p[j] * size[j] * (relative[j] + Bounded.Gamma(k + d + 2));
            }

            for (int j = 0; j < k; j++)
            {
                double logit = p[j] * (t[j] - mean);
                double error = (p[j] * (size[j] + meanSize) * (relative[j] + Bounded.Gamma(k + d + 8)))
                    + (p[j] * meanError) + (Flushed * (size[j] + meanSize + 1));
                for (int i = 0; i < d; i++)
                {
                    double e = codes[(j * d) + i];
                    gradX[(n * d) + i] = Known(
                        gradX[(n * d) + i].Value + (logit * e),
                        gradX[(n * d) + i].Bound + (Slack * error * Math.Abs(e)) + Bounded.LeastSubnormal);
                    double own = j == hard ? g[i] : 0;
                    gradCodes[(j * d) + i] += own + (logit * z[i]);
                    sizes[(j * d) + i] += Math.Abs(own) + Math.Abs(logit * z[i]);
                    bounds[(j * d) + i] += (Slack * error * Math.Abs(z[i])) + Bounded.LeastSubnormal;
                }
            }
        }

        var result = new Bounded[codes.Length];
        double order = Bounded.Gamma((2 * index.Length) + 2);
        for (int i = 0; i < result.Length; i++)
        {
            result[i] = Known(gradCodes[i], bounds[i] + (order * (sizes[i] + bounds[i])));
        }

        return (gradX, result);
    }

    /// <summary>Nothing is known where the logits are so large that the error of a probability is no number.</summary>
    private static Bounded Known(double value, double bound) =>
        new(value, double.IsNaN(bound) ? double.PositiveInfinity : bound);

    private static (double[] P, double[] Relative) Softmax(
        ReadOnlySpan<float> z, ReadOnlySpan<float> codes, int k, int rescalings)
    {
        int d = z.Length;
        double[] logits = new double[k];
        double[] relative = new double[k];
        double largest = double.NegativeInfinity;
        double least = double.PositiveInfinity;
        double most = 0;
        for (int j = 0; j < k; j++)
        {
            (logits[j], double size) = Dot(z, codes.Slice(j * d, d));
            // Products that underflow lose less than binary64 can add to 1.
            relative[j] = Bounded.Gamma(d) * size;
            largest = Math.Max(largest, logits[j]);
            least = Math.Min(least, logits[j]);
            most = Math.Max(most, relative[j]);
        }

        // Beyond 100 below the largest, nothing is left to rescale.
        double rescaling = (5 * U * rescalings) + (U * Math.Min(largest - least, 100 + most));
        double total = 0;
        // So do exponentials that are flushed to 0.
        double error = 0;
        for (int j = 0; j < k; j++)
        {
            double x = logits[j] - largest;
            relative[j] = Math.Exp(relative[j] + most + (U * Math.Abs(x)) + rescaling) - 1 + (4 * U);
            logits[j] = Math.Exp(x);
            total += logits[j];
            error += logits[j] * relative[j];
        }

        double sum = (error + (Bounded.Gamma(k) * total)) / total * Slack;
        sum = sum < 1 ? sum / (1 - sum) : double.PositiveInfinity;
        for (int j = 0; j < k; j++)
        {
            logits[j] /= total;
            relative[j] += sum + (2 * U);
        }

        return (logits, relative);
    }

    private static (double Sum, double Size) Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        double sum = 0;
        double size = 0;
        for (int i = 0; i < a.Length; i++)
        {
            double product = (double)a[i] * b[i];
            sum += product;
            size += Math.Abs(product);
        }

        return (sum, size);
    }
}
