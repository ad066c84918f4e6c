namespace Kernels.References.Linear;

/// <summary>Multi-head attention of every token to every token, and its gradient, in binary64.</summary>
/// <remarks>
/// <para>
/// Source: Vaswani et al. 2017, arXiv:1706.03762, equation 1: softmax(Q K^T / sqrt(size)) V for each head.
/// </para>
/// <para>
/// Bound: a logit is within gamma(size + 3) sum |q k| / sqrt(size) of its value (products, sums, the scale and its
/// rounding), and an absolute error e of a logit is a relative one of exp(e) - 1 of its weight. A weight is computed as
/// exp(logit - maximum) over the sum of these, where maximum and sum may be running ones of at least 16 tokens at a
/// time: each time a larger maximum comes, sum and result are multiplied by an exponential of the difference. The
/// arguments' roundings cost u times the distances, which add up to at most the spread of the logits; each exponential
/// costs 2 ulp and its product u; exponentials below 2^-126 may be lost. What a weight may be off relatively, in sum and
/// quotient too, is then multiplied into the values. The backward pass computes the weights again, with the same bound.
/// Before they are divided by their sum, at most the number of tokens, the terms may overflow where the result does not.
/// </para>
/// </remarks>
public static class AttentionReference
{
    private const double U = Bounded.UnitRoundoff;

    /// <summary>The result of the forward pass.</summary>
    /// <param name="qkv">[tokens, 3, heads, size]: queries, keys, values of each token.</param>
    /// <param name="heads">Heads, at least 1.</param>
    /// <param name="size">Dimensions of a head, at least 1.</param>
    /// <returns>[tokens, heads, size].</returns>
    /// <exception cref="ArgumentException">The length is no multiple of 3 heads size.</exception>
    public static Bounded[] Forward(ReadOnlySpan<float> qkv, int heads, int size)
    {
        int tokens = Check.Rows(qkv, 3 * heads * size);
        var mixed = new Bounded[tokens * heads * size];
        var terms = new Bounded[tokens];
        for (int head = 0; head < heads; head++)
        {
            for (int row = 0; row < tokens; row++)
            {
                Bounded[] weights = Weights(qkv, tokens, heads, size, head, row);
                for (int d = 0; d < size; d++)
                {
                    double length = 0;
                    for (int j = 0; j < tokens; j++)
                    {
                        terms[j] = weights[j] * Bounded.FromDouble(qkv[At(j, 2, heads, size, head) + d]);
                        length += Math.Abs(terms[j].Value) + terms[j].Bound;
                    }

                    Bounded sum = Bounded.Sum(terms);
                    mixed[(((row * heads) + head) * size) + d] = float.IsPositiveInfinity((float)(length * tokens))
                        ? sum with { Bound = double.PositiveInfinity }
                        : sum;
                }
            }
        }

        return mixed;
    }

    /// <summary>The gradient, through the result of a forward pass.</summary>
    /// <param name="qkv">[tokens, 3, heads, size].</param>
    /// <param name="mixed">The result of the forward pass, as it was computed.</param>
    /// <param name="grad">The gradient to the result, [tokens, heads, size].</param>
    /// <param name="heads">Heads, at least 1.</param>
    /// <param name="size">Dimensions of a head, at least 1.</param>
    /// <returns>[tokens, 3, heads, size].</returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    public static Bounded[] Backward(
        ReadOnlySpan<float> qkv, ReadOnlySpan<float> mixed, ReadOnlySpan<float> grad, int heads, int size)
    {
        int tokens = Check.Rows(qkv, 3 * heads * size);
        Check.Length(mixed, tokens * heads * size, nameof(mixed));
        Check.SameLength(mixed, grad);
        Bounded scale = Bounded.Rounded(1 / Math.Sqrt(size));
        var result = new Bounded[qkv.Length];
        for (int head = 0; head < heads; head++)
        {
            var weights = new Bounded[tokens][];
            var slopes = new Bounded[tokens][];
            for (int row = 0; row < tokens; row++)
            {
                ReadOnlySpan<float> g = grad.Slice(((row * heads) + head) * size, size);
                Bounded along = Dot(g, mixed.Slice(((row * heads) + head) * size, size));
                weights[row] = Weights(qkv, tokens, heads, size, head, row);
                slopes[row] = new Bounded[tokens];
                for (int j = 0; j < tokens; j++)
                {
                    Bounded inner = Dot(g, qkv.Slice(At(j, 2, heads, size, head), size)) - along;
                    slopes[row][j] = weights[row][j] * inner;
                }
            }

            var queryTerms = new Bounded[tokens];
            var keyTerms = new Bounded[tokens];
            var valueTerms = new Bounded[tokens];
            for (int token = 0; token < tokens; token++)
            {
                for (int d = 0; d < size; d++)
                {
                    for (int j = 0; j < tokens; j++)
                    {
                        queryTerms[j] = slopes[token][j] * Bounded.FromDouble(qkv[At(j, 1, heads, size, head) + d]);
                        keyTerms[j] = slopes[j][token] * Bounded.FromDouble(qkv[At(j, 0, heads, size, head) + d]);
                        valueTerms[j] = weights[j][token]
                            * Bounded.FromDouble(grad[(((j * heads) + head) * size) + d]);
                    }

                    result[At(token, 0, heads, size, head) + d] = Bounded.Sum(queryTerms) * scale;
                    result[At(token, 1, heads, size, head) + d] = Bounded.Sum(keyTerms) * scale;
                    result[At(token, 2, heads, size, head) + d] = Bounded.Sum(valueTerms);
                }
            }
        }

        return result;
    }

    private static int At(int token, int part, int heads, int size, int head) =>
        ((((token * 3) + part) * heads) + head) * size;

    private static Bounded Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        var terms = new Bounded[a.Length];
        for (int i = 0; i < terms.Length; i++)
        {
            terms[i] = Bounded.FromDouble(a[i]) * Bounded.FromDouble(b[i]);
        }

        return Bounded.Sum(terms);
    }

    /// <summary>The weights of a row, with the bounds of a running softmax.</summary>
    private static Bounded[] Weights(ReadOnlySpan<float> qkv, int tokens, int heads, int size, int head, int row)
    {
        var logits = new double[tokens];
        var errors = new double[tokens];
        double scale = 1 / Math.Sqrt(size);
        double gamma = Bounded.Gamma(size + 3);
        ReadOnlySpan<float> q = qkv.Slice(At(row, 0, heads, size, head), size);
        for (int j = 0; j < tokens; j++)
        {
            ReadOnlySpan<float> k = qkv.Slice(At(j, 1, heads, size, head), size);
            double sum = 0;
            double length = 0;
            for (int d = 0; d < size; d++)
            {
                sum += (double)q[d] * k[d];
                length += Math.Abs((double)q[d] * k[d]);
            }

            logits[j] = sum * scale;
            // Products that underflow lose less than binary64 can add to 1.
            errors[j] = gamma * length * scale;
        }

        double largest = double.NegativeInfinity;
        double least = double.PositiveInfinity;
        double worst = 0;
        foreach (double logit in logits)
        {
            largest = Math.Max(largest, logit);
            least = Math.Min(least, logit);
        }

        foreach (double error in errors)
        {
            worst = Math.Max(worst, error);
        }

        double spread = largest - least + (2 * worst);
        double total = 0;
        foreach (double logit in logits)
        {
            total += Math.Exp(logit - largest);
        }

        // Times that the maximum may move: each an exponential (2 ulp, 4 u) and a product; then the sum and the quotient.
        double moves = (tokens / 16.0) + 1;
        double common = (2 * worst) + (2 * U * spread) + (U * ((12 * moves) + (2 * tokens) + 20));
        double lost = 1.2e-38 * (1 + (1 / total));
        var weights = new Bounded[tokens];
        for (int j = 0; j < tokens; j++)
        {
            double weight = Math.Exp(logits[j] - largest) / total;
            double bound = (weight * (Math.Exp(errors[j] + common) - 1)) + lost;
            weights[j] = new Bounded(
                weight, double.IsNaN(weight) ? double.NaN : double.IsFinite(bound) ? bound : double.PositiveInfinity);
        }

        return weights;
    }
}
