using ILGPU;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Storage;
using static Kernels.DeviceCode.Optimizers.EightBitBlock;

namespace Kernels.DeviceCode.Optimizers;

/// <summary>8-bit state from F32 and back: how a state is saved, loaded and begun.</summary>
/// <remarks>
/// Source, storage, domain and error: <see cref="EightBitAdam"/>.
/// Shapes: x, codes [n]; scales [ceil(n / 256)]; one group of 256 for each block, one element per item.
/// Traffic: 5 + 4 / 256 bytes an element.
/// </remarks>
internal static class EightBitState
{
    /// <summary>codes and scales of signed values, one group of 256 for each block.</summary>
    /// <param name="x">Values, [n], only read; one that is not finite becomes 0.</param>
    /// <param name="codes">Codes, [n], written.</param>
    /// <param name="scales">Scales, [ceil(n / 256)], written.</param>
    /// <param name="first">First block.</param>
    [DeviceKernel("optimizers/eightbit.quantize.signed")]
    internal static void QuantizeSigned(ArrayView<float> x, ArrayView<byte> codes, ArrayView<float> scales, long first)
    {
        long block = first + Grid.IdxX;
        long i = block * Update.BlockLength + Group.IdxX;
        float value = 0f;
        if (i < x.Length)
        {
            value = Finite(Lane.Of(x[i])).Value;
        }

        Largest largest = LargestOf256(value, 0f);
        if (i < x.Length)
        {
            codes[i] = (byte)(int)DynamicMap.EncodeSigned(Lane.Of(value) * Inverse(largest.M)).Value;
        }

        if (Group.IdxX == 0)
        {
            scales[block] = Scale(largest.M);
        }
    }

    /// <summary>codes and scales of values that are not negative, as <see cref="QuantizeSigned"/>.</summary>
    /// <param name="x">Values, [n], only read; one that is negative or not finite becomes 0.</param>
    /// <param name="codes">Codes, [n], written.</param>
    /// <param name="scales">Scales, [ceil(n / 256)], written.</param>
    /// <param name="first">First block.</param>
    [DeviceKernel("optimizers/eightbit.quantize.unsigned")]
    internal static void QuantizeUnsigned(
        ArrayView<float> x, ArrayView<byte> codes, ArrayView<float> scales, long first)
    {
        long block = first + Grid.IdxX;
        long i = block * Update.BlockLength + Group.IdxX;
        float value = 0f;
        if (i < x.Length)
        {
            value = NotNegative(Lane.Of(x[i])).Value;
        }

        Largest largest = LargestOf256(0f, value);
        if (i < x.Length)
        {
            Lane v = Lane.Of(value);
            codes[i] = (byte)(int)DynamicMap.EncodeUnsigned(v, v * Inverse(largest.V)).Value;
        }

        if (Group.IdxX == 0)
        {
            scales[block] = Scale(largest.V);
        }
    }

    /// <summary>The values of signed codes, one group of 256 for each block.</summary>
    [DeviceKernel("optimizers/eightbit.dequantize.signed")]
    internal static void DequantizeSigned(
        ArrayView<byte> codes, ArrayView<float> scales, ArrayView<float> x, long first)
    {
        long block = first + Grid.IdxX;
        long i = block * Update.BlockLength + Group.IdxX;
        if (i < x.Length)
        {
            x[i] = DynamicMap.DecodeSigned(Number(codes[i])).Value * scales[block];
        }
    }

    /// <summary>The values of unsigned codes, one group of 256 for each block.</summary>
    [DeviceKernel("optimizers/eightbit.dequantize.unsigned")]
    internal static void DequantizeUnsigned(
        ArrayView<byte> codes, ArrayView<float> scales, ArrayView<float> x, long first)
    {
        long block = first + Grid.IdxX;
        long i = block * Update.BlockLength + Group.IdxX;
        if (i < x.Length)
        {
            x[i] = DynamicMap.DecodeUnsigned(Number(codes[i])).Value * scales[block];
        }
    }
}
