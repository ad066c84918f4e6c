namespace Kernels.References.Quantization;

/// <summary>Codebooks that need no fit, ascending, and the one that is read off a sorted tensor.</summary>
/// <remarks>
/// Source: NF4: Dettmers et al. 2023, QLoRA, arXiv:2305.14314, appendix E, with the digits of bitsandbytes
/// (functional.py); FP4: bitsandbytes, a sign, two bits of exponent and one of fraction, divided by the largest number.
/// </remarks>
public static class CodebooksReference
{
    private static readonly float[] s_nf4 =
    [
        -1, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
        -0.18477343022823334f, -0.09105003625154495f, 0, 0.07958029955625534f, 0.16093020141124725f,
        0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1,
    ];

    // Twelfths.
    private static readonly float[] s_fp4 = [0, 0.0625f, 8, 12, 4, 6, 2, 3];

    /// <summary>NF4: 16 quantiles of the normal distribution in [-1, 1], 0 among them.</summary>
    public static IReadOnlyList<float> Nf4 => s_nf4;

    /// <summary>FP4 in ascending order: 16 numbers in [-1, 1]. Code 8 is -0, which equals code 7 and is never the
    /// nearest one.</summary>
    public static IReadOnlyList<float> Fp4 { get; } = [.. Fp4Pattern().Select(Fp4Number)];

    /// <summary>What bitsandbytes stores for the numbers of <see cref="Fp4"/>: the sign in bit 3, and the number's
    /// place in their table.</summary>
    public static IReadOnlyList<int> Fp4Patterns { get; } = [.. Fp4Pattern()];

    /// <summary>A grid from -1 to 1: (2 j - k + 1) / (k - 1), rounded once, so that it is symmetric.</summary>
    /// <param name="k">The number of codes, at least 2. An even one has no 0.</param>
    /// <returns>[k].</returns>
    /// <exception cref="ArgumentOutOfRangeException">There are too few codes.</exception>
    public static float[] Uniform(int k)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 2);
        return [.. Enumerable.Range(0, k).Select(j => (float)((2.0 * j) - k + 1) / (k - 1))];
    }

    /// <summary>k quantiles of a tensor: code j is the (2 j + 1) / (2 k) quantile, the middle of the j-th of k equal
    /// parts.</summary>
    /// <param name="w">The numbers, at least one, finite.</param>
    /// <param name="k">The number of codes.</param>
    /// <returns>
    /// [k]. A quantile p is at the place (n - 1) p of the sorted numbers, between two by a straight line (type 7 of
    /// Hyndman and Fan 1996, as in NumPy). The bound covers both forms of the line, from a fraction rounded once.
    /// </returns>
    /// <exception cref="ArgumentOutOfRangeException">There are too few codes.</exception>
    /// <exception cref="ArgumentException">There is no number, or one is not finite.</exception>
    public static Bounded[] Quantiles(ReadOnlySpan<float> w, int k)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 1);
        float[] sorted = Sorted(w);
        var codes = new Bounded[k];
        for (int j = 0; j < k; j++)
        {
            // The place is a fraction of integers; only its rest is rounded.
            long numerator = ((2L * j) + 1) * (sorted.Length - 1);
            int place = (int)(numerator / (2L * k));
            double rest = numerator % (2L * k) / (2.0 * k);
            Bounded low = sorted[place];
            Bounded high = sorted[Math.Min(place + 1, sorted.Length - 1)];
            Bounded fraction = rest is 0 ? 0 : new Bounded(rest, Bounded.UnitRoundoff * rest);
            codes[j] = low == high || rest is 0
                ? low
                : Bounded.Either(low + (fraction * (high - low)), ((1 - fraction) * low) + (fraction * high));
        }

        return codes;
    }

    internal static float[] Sorted(ReadOnlySpan<float> w)
    {
        float[] sorted = w.ToArray();
        if (sorted.Length == 0 || !Array.TrueForAll(sorted, float.IsFinite))
        {
            throw new ArgumentException("Expected finite numbers, at least one.", nameof(w));
        }

        Array.Sort(sorted);
        return sorted;
    }

    // Ascending numbers; of the two zeros the positive one first.
    private static IEnumerable<int> Fp4Pattern() =>
        Enumerable.Range(0, 16).OrderBy(Fp4Number).ThenBy(pattern => pattern);

    private static float Fp4Number(int pattern) => (pattern < 8 ? 1f : -1f) * (s_fp4[pattern & 7] / 12);
}
