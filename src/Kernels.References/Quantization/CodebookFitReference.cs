namespace Kernels.References.Quantization;

/// <summary>Codebooks of the least weighted squared error: exactly by dynamic programming, by Lloyd's steps, and codes
/// or scales alone by their closed forms.</summary>
/// <remarks>
/// <para>
/// Source: Lloyd 1982; Wu 1991, Optimal quantization by matrix searching; Wang, Song 2011, Ckmeans.1d.dp; for the
/// weights h (of the diagonal of a Hessian, or of Fisher's information) Kim et al. 2024, SqueezeLLM, arXiv:2306.07629.
/// </para>
/// <para>
/// Sums are kept in numbers of twice binary64's precision, and for the dynamic program they are taken of distances to
/// the mean. So the cost sum h w^2 - (sum h w)^2 / sum h of a part is off by some 2^-100 of sum h w^2 of the whole,
/// and a mean is rounded once, for all that can be seen.
/// </para>
/// </remarks>
public static partial class CodebookFitReference
{
    /// <summary>One step of Lloyd's: nearest codes, then their weighted means, by direct sums.</summary>
    /// <param name="w">The numbers, finite.</param>
    /// <param name="codebook">The codes before, ascending.</param>
    /// <param name="h">The weight of each number, finite and not negative; all 1 if empty.</param>
    /// <returns>
    /// The codes after, each rounded to the nearest binary32 number, in ascending order, and the index of the codes
    /// before. A code without weight keeps its value. The error never rises, not by a rounding either: the error of a
    /// cell grows with the distance to its mean, and no binary32 number is nearer to that. (Of equal codes only the
    /// first moves, and may pass the others; hence the order.)
    /// </returns>
    /// <exception cref="ArgumentException">A length does not fit, or a number is not such.</exception>
    public static (float[] Codebook, int[] Index) Step(
        ReadOnlySpan<float> w, ReadOnlySpan<float> codebook, ReadOnlySpan<float> h = default)
    {
        CheckWeights(w, h);
        var nearest = new AssignReference(codebook);
        var index = new int[w.Length];
        var sums = new (DoubleDouble Weight, DoubleDouble Product)[codebook.Length];
        for (int i = 0; i < w.Length; i++)
        {
            index[i] = nearest.Nearest(w[i], 1);
            Add(ref sums[index[i]], w[i], h.IsEmpty ? 1 : h[i]);
        }

        return (Means(codebook, sums), index);
    }

    /// <summary>The same step by a sort and prefix sums.</summary>
    /// <param name="w">The numbers, finite.</param>
    /// <param name="codebook">The codes before, ascending.</param>
    /// <param name="h">The weight of each number, finite and not negative; all 1 if empty.</param>
    /// <returns>The codes after, as from <see cref="Step"/>.</returns>
    /// <exception cref="ArgumentException">A length does not fit, or a number is not such.</exception>
    public static float[] StepBySort(
        ReadOnlySpan<float> w, ReadOnlySpan<float> codebook, ReadOnlySpan<float> h = default)
    {
        CheckWeights(w, h);
        var nearest = new AssignReference(codebook);
        float[] sorted = w.ToArray();
        float[] weights = h.IsEmpty ? [.. Enumerable.Repeat(1f, w.Length)] : h.ToArray();
        Array.Sort(sorted, weights);
        var prefix = new (DoubleDouble Weight, DoubleDouble Product)[w.Length + 1];
        for (int i = 0; i < sorted.Length; i++)
        {
            prefix[i + 1] = prefix[i];
            Add(ref prefix[i + 1], sorted[i], weights[i]);
        }

        var sums = new (DoubleDouble Weight, DoubleDouble Product)[codebook.Length];
        int start = 0;
        for (int code = 0; code < sums.Length; code++)
        {
            // The first number whose code is higher.
            int low = start;
            int high = sorted.Length;
            while (low < high)
            {
                int middle = (low + high) / 2;
                (low, high) = nearest.Nearest(sorted[middle], 1) <= code ? (middle + 1, high) : (low, middle);
            }

            sums[code] = (prefix[low].Weight - prefix[start].Weight, prefix[low].Product - prefix[start].Product);
            start = low;
        }

        return Means(codebook, sums);
    }

    /// <summary>The best codes for given indices and scales: C_k = sum h s w / sum h s^2.</summary>
    /// <param name="shape">The shape of the matrix.</param>
    /// <param name="w">The weights, [rows, columns].</param>
    /// <param name="index">The indices, [rows, columns / length].</param>
    /// <param name="codebook">The codes before, [codebooks, k, length].</param>
    /// <param name="scale">The scales, or empty if the shape has none.</param>
    /// <param name="h">How much each weight counts, not negative; all 1 if empty.</param>
    /// <returns>
    /// The codes after; one without weights, or of scales that are all 0, keeps its value exactly. The bound holds for
    /// sums in any order, products in any, and a division or a product with a reciprocal. The order of codes may
    /// change.
    /// </returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    /// <exception cref="ArgumentNullException">The shape is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no such code.</exception>
    public static Bounded[] Codes(
        CodebookShape shape, ReadOnlySpan<float> w, ReadOnlySpan<int> index, ReadOnlySpan<float> codebook,
        ReadOnlySpan<float> scale, ReadOnlySpan<float> h = default)
    {
        CheckMatrix(shape, w, index, codebook, scale, h);
        var quotients = new Quotients(shape.CodebookNumbers);
        for (int i = 0; i < w.Length; i++)
        {
            quotients.Add(shape.Entry(i, index), w[i], shape.Scale(i, scale), h.IsEmpty ? 1 : h[i]);
        }

        return quotients.Divide(codebook);
    }

    /// <summary>The best scales for given indices and codes: s_g = sum h c w / sum h c^2.</summary>
    /// <param name="shape">The shape of the matrix, with scales.</param>
    /// <param name="w">The weights, [rows, columns].</param>
    /// <param name="index">The indices, [rows, columns / length].</param>
    /// <param name="codebook">The codes, [codebooks, k, length].</param>
    /// <param name="scale">The scales before.</param>
    /// <param name="h">How much each weight counts, not negative; all 1 if empty.</param>
    /// <returns>The scales after; one without weights, or of codes that are all 0, keeps its value exactly. Bounds as
    /// above.</returns>
    /// <exception cref="ArgumentException">A length does not fit, or the shape has no scales.</exception>
    /// <exception cref="ArgumentNullException">The shape is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no such code.</exception>
    public static Bounded[] Scales(
        CodebookShape shape, ReadOnlySpan<float> w, ReadOnlySpan<int> index, ReadOnlySpan<float> codebook,
        ReadOnlySpan<float> scale, ReadOnlySpan<float> h = default)
    {
        CheckMatrix(shape, w, index, codebook, scale, h);
        if (shape.Scales is null)
        {
            throw new ArgumentException("The shape has no scales.", nameof(shape));
        }

        var quotients = new Quotients(shape.Scales.Count);
        for (int i = 0; i < w.Length; i++)
        {
            quotients.Add(shape.Scales.Of(i), w[i], codebook[shape.Entry(i, index)], h.IsEmpty ? 1 : h[i]);
        }

        return quotients.Divide(scale);
    }

    /// <summary>The weighted squared error, sum h (w - s c)^2, in binary64.</summary>
    /// <param name="shape">The shape of the matrix.</param>
    /// <param name="w">The weights, [rows, columns].</param>
    /// <param name="index">The indices, [rows, columns / length].</param>
    /// <param name="codebook">The codes, [codebooks, k, length].</param>
    /// <param name="scale">The scales, or empty if the shape has none.</param>
    /// <param name="h">How much each weight counts, not negative; all 1 if empty.</param>
    /// <returns>The sum, rounded once.</returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    /// <exception cref="ArgumentNullException">The shape is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no such code.</exception>
    public static double Error(
        CodebookShape shape, ReadOnlySpan<float> w, ReadOnlySpan<int> index, ReadOnlySpan<float> codebook,
        ReadOnlySpan<float> scale, ReadOnlySpan<float> h = default)
    {
        CheckMatrix(shape, w, index, codebook, scale, h);
        DoubleDouble sum = 0;
        for (int i = 0; i < w.Length; i++)
        {
            DoubleDouble difference = (DoubleDouble)w[i]
                - ((double)shape.Scale(i, scale) * codebook[shape.Entry(i, index)]);
            sum += difference * difference * (h.IsEmpty ? 1 : h[i]);
        }

        return sum.High;
    }

    private static void Add(ref (DoubleDouble Weight, DoubleDouble Product) sum, float w, float h) =>
        sum = (sum.Weight + h, sum.Product + ((double)h * w));

    private static float[] Means(
        ReadOnlySpan<float> codebook, ReadOnlySpan<(DoubleDouble Weight, DoubleDouble Product)> sums)
    {
        float[] means = codebook.ToArray();
        for (int code = 0; code < means.Length; code++)
        {
            if (sums[code].Weight.High > 0)
            {
                means[code] = (sums[code].Product / sums[code].Weight).ToSingle();
            }
        }

        Array.Sort(means);
        return means;
    }

    private static int Nearest(double[] codebook, double w)
    {
        int best = 0;
        for (int code = 1; code < codebook.Length; code++)
        {
            best = Math.Abs(w - codebook[code]) < Math.Abs(w - codebook[best]) ? code : best;
        }

        return best;
    }

    private static void CheckWeights(ReadOnlySpan<float> w, ReadOnlySpan<float> h)
    {
        foreach (float number in w)
        {
            if (!float.IsFinite(number))
            {
                throw new ArgumentException($"Must be finite, got {number}.", nameof(w));
            }
        }

        if (!h.IsEmpty)
        {
            Check.SameLength(w, h);
        }

        foreach (float weight in h)
        {
            if (!(weight >= 0 && float.IsFinite(weight)))
            {
                throw new ArgumentException($"Must be finite and not negative, got {weight}.", nameof(h));
            }
        }
    }

    private static void CheckMatrix(
        CodebookShape shape, ReadOnlySpan<float> w, ReadOnlySpan<int> index, ReadOnlySpan<float> codebook,
        ReadOnlySpan<float> scale, ReadOnlySpan<float> h)
    {
        ArgumentNullException.ThrowIfNull(shape);
        Check.Length(w, shape.Weights);
        shape.CheckAll(index, codebook, scale);
        if (!h.IsEmpty)
        {
            Check.SameLength(w, h);
        }
    }

    /// <summary>sum h f w / sum h f^2 for a number of places.</summary>
    private sealed class Quotients(int count)
    {
        private readonly List<Bounded>[] _numerators = Lists(count);
        private readonly List<Bounded>[] _denominators = Lists(count);

        // A factor that many terms share may come after their sum, where a term that is 1 does not save its rounding.
        private readonly int[] _roundings = new int[count];

        internal void Add(int place, Bounded w, Bounded factor, Bounded h)
        {
            _numerators[place].Add(h * (factor * w));
            _denominators[place].Add(h * (factor * factor));
            _roundings[place] |= factor.Value != 1 || h.Value != 1 ? 2 : 0;
        }

        internal Bounded[] Divide(ReadOnlySpan<float> before)
        {
            var result = new Bounded[before.Length];
            for (int i = 0; i < result.Length; i++)
            {
                int depth = Math.Max(_numerators[i].Count - 1, 0) + _roundings[i];
                Bounded numerator = Bounded.Sum([.. _numerators[i]], depth);
                Bounded denominator = Bounded.Sum([.. _denominators[i]], depth);
                result[i] = denominator.Value == 0
                    ? before[i]
                    : Bounded.Either(numerator / denominator, numerator * (Bounded.FromDouble(1) / denominator));
            }

            return result;
        }

        private static List<Bounded>[] Lists(int count) =>
            [.. Enumerable.Range(0, count).Select(_ => new List<Bounded>())];
    }
}
