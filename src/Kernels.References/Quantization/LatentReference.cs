namespace Kernels.References.Quantization;

/// <summary>The mapping with one latent number for each weight in place of k logits.</summary>
/// <remarks>
/// Ours, in the spirit of the straight-through estimator (Bengio, Leonard, Courville 2013, arXiv:1308.3432). The code
/// in use is j = round(v), between 0 and k - 1, and a half is rounded down, so that a tie has the lower code as
/// everywhere: j = ceil(v - 1/2), which is exact in binary32. NaN has code 0. The gradient is g times the slope of the
/// codebook at j: (c_(j+1) - c_(j-1)) / 2, and the one gap that there is at an end; 0 for k = 1. It does not vanish
/// for a v outside of [0, k - 1], so a step of learning should put such a v back to the end.
/// </remarks>
public static class LatentReference
{
    /// <summary>The codes in use.</summary>
    /// <param name="latent">[m].</param>
    /// <param name="k">The number of codes, at least 1.</param>
    /// <returns>[m].</returns>
    /// <exception cref="ArgumentOutOfRangeException">There are too few codes.</exception>
    public static int[] Hard(ReadOnlySpan<float> latent, int k)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 1);
        var index = new int[latent.Length];
        for (int i = 0; i < index.Length; i++)
        {
            index[i] = float.IsNaN(latent[i]) ? 0 : (int)Math.Clamp(Math.Ceiling(latent[i] - 0.5), 0, k - 1);
        }

        return index;
    }

    /// <summary>The gradient to the latent numbers.</summary>
    /// <param name="latent">[m].</param>
    /// <param name="codebook">The codes of all these weights, [k], ascending, finite.</param>
    /// <param name="grad">The gradient g to the weights, [m].</param>
    /// <returns>[m]; the bound holds for a half of a difference and for a difference of halves.</returns>
    /// <exception cref="ArgumentException">A length does not fit, or the codes are not such.</exception>
    public static Bounded[] Gradient(
        ReadOnlySpan<float> latent, ReadOnlySpan<float> codebook, ReadOnlySpan<float> grad)
    {
        Check.SameLength(latent, grad);
        _ = new AssignReference(codebook); // refuses codes that are not such
        int[] index = Hard(latent, codebook.Length);
        var gradient = new Bounded[index.Length];
        for (int i = 0; i < index.Length; i++)
        {
            int low = Math.Max(index[i] - 1, 0);
            int high = Math.Min(index[i] + 1, codebook.Length - 1);
            Bounded slope = (Bounded)codebook[high] - codebook[low];
            gradient[i] = grad[i] * (high - low == 2 ? 0.5 * slope : slope);
        }

        return gradient;
    }
}
