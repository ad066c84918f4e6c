using ILGPU;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.Quantization;

/// <summary>Scales in 8 bits: their mean is taken off, and what is left has block-wise codes of the signed dynamic map.</summary>
/// <remarks>
/// Source: Dettmers et al. 2023, arXiv:2305.14314, section 3 (double quantization), as bitsandbytes does it.
/// Shapes: scales, codes [n], block scales [ceil(n / 256)], offset [1].
/// Traffic: 13 bytes a scale to encode, 5 to decode.
/// Order: sums over the scales of a block, ascending, then over blocks, ascending.
/// Error: codes as of <see cref="DynamicMap"/>. Domain: scales that are finite and not negative.
/// </remarks>
internal struct DoubleQuantizationArguments
{
    /// <summary>Scales that share a scale of their own.</summary>
    internal const int Block = 256;

    public ArrayView<float> Scales;
    public ArrayView<byte> Codes;
    public ArrayView<float> BlockScales;
    public ArrayView<float> Offset;

    /// <summary>[blocks]: sums of the scales.</summary>
    public ArrayView<float> Sums;
    public int Count;
    public int Blocks;
}

/// <summary>The sum of the scales of a block, one block per item.</summary>
internal struct DoubleQuantizationSumWork : IItemWork
{
    public DoubleQuantizationArguments Arguments;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int first = (int)i * DoubleQuantizationArguments.Block;
        int end = IntrinsicMath.Min(first + DoubleQuantizationArguments.Block, Arguments.Count);
        float sum = 0f;
        for (int scale = first; scale < end; scale++)
        {
            sum += Arguments.Scales[scale];
        }

        Arguments.Sums[i] = sum;
    }
}

/// <summary>The mean, one item.</summary>
internal struct DoubleQuantizationMeanWork : IItemWork
{
    public DoubleQuantizationArguments Arguments;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        float sum = 0f;
        for (int block = 0; block < Arguments.Blocks; block++)
        {
            sum += Arguments.Sums[block];
        }

        Arguments.Offset[0] = sum / Arguments.Count;
    }
}

/// <summary>The scale of a block, one block per item.</summary>
internal struct DoubleQuantizationScaleWork : IItemWork
{
    public DoubleQuantizationArguments Arguments;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int first = (int)i * DoubleQuantizationArguments.Block;
        int end = IntrinsicMath.Min(first + DoubleQuantizationArguments.Block, Arguments.Count);
        float offset = Arguments.Offset[0];
        float largest = 0f;
        for (int scale = first; scale < end; scale++)
        {
            Lane rest = Lane.Abs(EightBitBlock.Finite(Lane.Of(Arguments.Scales[scale] - offset)));
            largest = Lane.IfGreater(rest, Lane.Of(largest), rest, Lane.Of(largest)).Value;
        }

        Arguments.BlockScales[i] = EightBitBlock.Scale(largest);
    }
}

/// <summary>The code of a scale, one scale per item.</summary>
internal struct DoubleQuantizationCodeWork : IItemWork
{
    public DoubleQuantizationArguments Arguments;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        Lane rest = EightBitBlock.Finite(Lane.Of(Arguments.Scales[i] - Arguments.Offset[0]));
        float scale = Arguments.BlockScales[i / DoubleQuantizationArguments.Block];
        Arguments.Codes[i] = (byte)EightBitBlock.CodeM(rest, EightBitBlock.Inverse(scale));
    }
}

/// <summary>The scale of a code, one scale per item.</summary>
internal struct DoubleQuantizationDecodeWork : IItemWork
{
    public DoubleQuantizationArguments Arguments;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        Lane number = DynamicMap.DecodeSigned(EightBitBlock.Number(Arguments.Codes[i]));
        float scale = Arguments.BlockScales[i / DoubleQuantizationArguments.Block];
        Arguments.Scales[i] = number.Value * scale + Arguments.Offset[0];
    }
}
