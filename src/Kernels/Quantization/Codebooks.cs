using Kernels.Validation;

namespace Kernels.Quantization;

/// <summary>Codebooks that need no fit, ascending.</summary>
/// <remarks>Source: NF4: Dettmers et al. 2023, QLoRA, arXiv:2305.14314, appendix E, with the digits of bitsandbytes; FP4:
/// bitsandbytes. Both are for weights over the largest magnitude of their block, see <see cref="AbsMax"/>.</remarks>
public static class Codebooks
{
    private static readonly float[] s_nf4 =
    [
        -1, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
        -0.18477343022823334f, -0.09105003625154495f, 0, 0.07958029955625534f, 0.16093020141124725f,
        0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1,
    ];

    private static readonly float[] s_fp4 =
    [
        -1, -8f / 12, -6f / 12, -4f / 12, -3f / 12, -2f / 12, -0.0625f / 12, 0, -0f, 0.0625f / 12, 2f / 12, 3f / 12,
        4f / 12, 6f / 12, 8f / 12, 1,
    ];

    /// <summary>NF4: 16 quantiles of the normal distribution in [-1, 1], 0 among them.</summary>
    public static ReadOnlySpan<float> Nf4 => s_nf4;

    /// <summary>FP4: a sign, two bits of exponent and one of fraction: 16 numbers in [-1, 1]. Code 8 is -0, which equals
    /// code 7 and is never the nearest one.</summary>
    public static ReadOnlySpan<float> Fp4 => s_fp4;

    /// <summary>A grid from -1 to 1: (2 j - k + 1) / (k - 1), rounded once. An even number of codes has no 0.</summary>
    /// <param name="codes">The number k of codes, 2 to 256.</param>
    /// <returns>[k].</returns>
    /// <exception cref="ArgumentOutOfRangeException">The number is out of range.</exception>
    public static float[] Uniform(int codes)
    {
        Require.InRange(codes, 2, 257);
        var grid = new float[codes];
        for (int j = 0; j < codes; j++)
        {
            grid[j] = (float)((2 * j) - codes + 1) / (codes - 1);
        }

        return grid;
    }

    /// <summary>k quantiles of numbers: code j is the (2 j + 1) / (2 k) quantile, the middle of the j-th of k equal
    /// parts.</summary>
    /// <param name="w">The numbers, at least one, finite.</param>
    /// <param name="codes">The number k of codes, 1 to 256.</param>
    /// <returns>[k], ascending. A quantile p is at the place (n - 1) p of the sorted numbers, between two by a straight line
    /// (type 7 of Hyndman and Fan 1996, as in NumPy), rounded once. O(n log n).</returns>
    /// <exception cref="ArgumentOutOfRangeException">The number of codes is out of range.</exception>
    /// <exception cref="ArgumentException">There is no number, or one is not finite.</exception>
    public static float[] Quantiles(ReadOnlySpan<float> w, int codes)
    {
        Require.InRange(codes, 1, 257);
        float[] sorted = w.ToArray();
        if (sorted.Length == 0 || !Array.TrueForAll(sorted, float.IsFinite))
        {
            throw new ArgumentException("There must be numbers, all of them finite.", nameof(w));
        }

        Array.Sort(sorted);
        var quantiles = new float[codes];
        for (int j = 0; j < codes; j++)
        {
            quantiles[j] = (float)Quantile(sorted, j, codes);
        }

        return quantiles;
    }

    /// <summary>One of so many quantiles of sorted numbers.</summary>
    internal static double Quantile(ReadOnlySpan<float> sorted, int j, int quantiles)
    {
        long numerator = ((2L * j) + 1) * (sorted.Length - 1);
        int place = (int)(numerator / (2L * quantiles));
        double rest = numerator % (2L * quantiles) / (2.0 * quantiles);
        double low = sorted[place];
        double high = sorted[Math.Min(place + 1, sorted.Length - 1)];
        return low + (rest * (high - low));
    }
}
