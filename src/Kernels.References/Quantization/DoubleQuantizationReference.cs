using Kernels.References.Optimizers;

namespace Kernels.References.Quantization;

/// <summary>Scales in 8 bits: their mean is taken off, and what is left has block-wise codes of the signed dynamic
/// map.</summary>
/// <remarks>
/// Source: Dettmers et al. 2023, arXiv:2305.14314, section 3 (double quantization), as bitsandbytes does it
/// (quantize_4bit with compress_statistics): offset = mean(a), d = a - offset, and d in blocks of 256 with a scale of
/// their largest magnitude; the map is that of 8-bit optimizers (2021, arXiv:2110.02861), see
/// <see cref="EightBitAdamReference.Numbers"/>.
/// A scale that comes back may be a little below 0. Scales must be finite and not negative, or they are outside the
/// domain.
/// </remarks>
public static class DoubleQuantizationReference
{
    /// <summary>Scales that share a scale of their own.</summary>
    public const int BlockLength = EightBitAdamReference.BlockLength;

    /// <summary>The mean of the scales.</summary>
    /// <param name="scales">The scales.</param>
    /// <returns>0 if there are none; the bound holds for a sum in any order, divided or times a reciprocal.</returns>
    public static Bounded Offset(ReadOnlySpan<float> scales)
    {
        if (scales.IsEmpty)
        {
            return 0;
        }

        Bounded sum = Bounded.Sum(Array.ConvertAll(scales.ToArray(), scale => (Bounded)scale));
        return Bounded.Either(sum / scales.Length, sum * Bounded.Rounded(1.0 / scales.Length));
    }

    /// <summary>Encodes, in binary64 narrowed once.</summary>
    /// <param name="scales">The scales, [n].</param>
    /// <returns>Codes [n], a scale for each block of 256 of them, and the offset.</returns>
    public static (byte[] Codes, float[] BlockScales, float Offset) Encode(ReadOnlySpan<float> scales)
    {
        float offset = (float)Offset(scales).Value;
        float[] rest = Array.ConvertAll(scales.ToArray(), scale => (float)((double)scale - offset));
        float[] blockScales = BlockAbsMaxReference.Scales(rest, BlockLength);
        var codes = new byte[rest.Length];
        for (int i = 0; i < rest.Length; i++)
        {
            double scale = blockScales[i / BlockLength];
            codes[i] = (byte)EightBitAdamReference.Nearest(scale == 0 ? 0 : rest[i] / scale, isSigned: true);
        }

        return (codes, blockScales, offset);
    }

    /// <summary>Decodes.</summary>
    /// <param name="codes">The codes, [n].</param>
    /// <param name="blockScales">The scale of each block of 256.</param>
    /// <param name="offset">The offset.</param>
    /// <returns>map[code] scale + offset, [n].</returns>
    /// <exception cref="ArgumentException">There are not as many blocks.</exception>
    public static Bounded[] Decode(ReadOnlySpan<byte> codes, ReadOnlySpan<float> blockScales, float offset)
    {
        Check.Length(blockScales, QuantizationScope.Blocks(BlockLength, codes.Length).Count);
        var scales = new Bounded[codes.Length];
        for (int i = 0; i < scales.Length; i++)
        {
            scales[i] = EightBitAdamReference.Decode(codes[i], blockScales[i / BlockLength], isSigned: true) + offset;
        }

        return scales;
    }

    /// <summary>Whether a binary32 computation may have encoded these scales so.</summary>
    /// <param name="scales">The scales, [n].</param>
    /// <param name="codes">The codes found.</param>
    /// <param name="blockScales">The scale of each block, as found.</param>
    /// <param name="offset">The offset found.</param>
    /// <returns>Whether the offset is within its bound, and scales and codes are right for this offset.</returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    public static bool Admits(
        ReadOnlySpan<float> scales, ReadOnlySpan<byte> codes, ReadOnlySpan<float> blockScales, float offset)
    {
        QuantizationScope blocks = QuantizationScope.Blocks(BlockLength, scales.Length);
        Check.Length(codes, scales.Length);
        Check.Length(blockScales, blocks.Count);
        if (!Offset(scales).Admits(offset))
        {
            return false;
        }

        Bounded[] rest = Array.ConvertAll(scales.ToArray(), scale => (Bounded)scale - offset);
        for (int block = 0; block < blocks.Count; block++)
        {
            (int start, int length) = blocks.Run(block);
            if (!EightBitAdamReference.AdmitsScale(rest.AsSpan(start, length), blockScales[block]))
            {
                return false;
            }

            for (int i = start; i < start + length; i++)
            {
                if (!EightBitAdamReference.AdmitsCode(rest[i], blockScales[block], codes[i], isSigned: true))
                {
                    return false;
                }
            }
        }

        return true;
    }
}
