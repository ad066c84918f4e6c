namespace Kernels.References.Quantization;

/// <summary>Block-wise scales: the largest magnitude of each block of consecutive weights.</summary>
/// <remarks>
/// Source: Dettmers et al. 2021, arXiv:2110.02861, section 2.1; 2023, arXiv:2305.14314, equation 1. Codes are then
/// those of <see cref="AssignReference"/> with the scope <see cref="QuantizationScope.Blocks"/>.
/// <para>
/// Decided here: weights that are not finite do not count, so that one of them spoils no other. A largest magnitude
/// below 2^-126 that is not 0 is stored as 2^-126, since its reciprocal may be infinite and a device may flush it. A
/// block of zeros has the scale 0 and the code nearest to 0 (7 for NF4); on CUDA bitsandbytes divides by it and stores
/// code 0, of -1. The choice matters when scales are stored in 8 bits: there a scale 0 comes back as a small number,
/// and only with the code of 0 the weights remain 0.
/// </para>
/// </remarks>
public static class BlockAbsMaxReference
{
    private const float LeastNormal = 1.1754943508222875e-38f;

    /// <summary>The scales, exactly.</summary>
    /// <param name="w">The weights.</param>
    /// <param name="block">The weights of a block; the last may be shorter.</param>
    /// <returns>A scale for each block.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A block has no weight.</exception>
    public static float[] Scales(ReadOnlySpan<float> w, int block)
    {
        QuantizationScope blocks = QuantizationScope.Blocks(block, w.Length);
        var scales = new float[blocks.Count];
        for (int i = 0; i < w.Length; i++)
        {
            if (float.IsFinite(w[i]) && w[i] != 0)
            {
                scales[i / block] = Math.Max(scales[i / block], Math.Max(Math.Abs(w[i]), LeastNormal));
            }
        }

        return scales;
    }
}
