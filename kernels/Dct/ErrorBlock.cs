using ILGPU;
using ILGPU.Algorithms;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Linear;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Reductions;

namespace Kernels.DeviceCode.Dct;

/// <summary>What an error feedback in few bits consists of.</summary>
internal struct ErrorBlocks
{
    /// <summary>Elements of a block.</summary>
    internal const int Length = 256;

    /// <summary>Codes: one to a byte, or two, the even element in the low half. A block begins at a byte.</summary>
    public ArrayView<byte> Codes;

    /// <summary>Of each block its least number and its unit: [blocks, 2].</summary>
    public ArrayView<float> Ranges;

    /// <summary>Elements in all.</summary>
    public long Count;

    /// <summary>The largest code: 255 or 15.</summary>
    public int MaxCode;

    /// <summary>x of an element.</summary>
    internal readonly float Decode(long i)
    {
        long block = i / Length;
        int code = MaxCode == 255 ? Codes[i] : Codes[i >> 1] >> (int)(i & 1) * 4 & 15;
        return code * Ranges[2 * block + 1] + Ranges[2 * block];
    }

    /// <summary>floor((x - least) / unit + 1/2) within the codes; 0 if the unit is 0.</summary>
    internal readonly int Encode(float x, float least, float unit)
    {
        if (unit == 0f)
        {
            return 0;
        }

        float code = (x - least) / unit + 0.5f;
        // NaN becomes 0 here, and its unit is NaN.
        return code >= 0f ? (int)XMath.Min(code, (float)MaxCode) : 0;
    }

    /// <summary>The unit of a range.</summary>
    internal readonly float UnitOf(float least, float most) => (most - least) / MaxCode;
}

/// <summary>Decodes the numbers of an error feedback, one each.</summary>
/// <remarks>Traffic: reads a code, and the range from cache; writes a float. Error: derived in the reference.</remarks>
internal struct ErrorDecode : IItemWork
{
    public ErrorBlocks Blocks;
    public ArrayView<float> To;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform) => To[i] = Blocks.Decode(i);
}

/// <summary>Encodes an error feedback: a group a block.</summary>
/// <remarks>
/// Source: Modoranu et al. 2024, arXiv:2405.15593, algorithm 1: u = (max - min) / (2^b - 1), q = floor((x - min) / u + 1/2).
/// Shapes: from [n], codes [n] or [n / 2], ranges [blocks, 2]; blocks of 256, the last one perhaps shorter.
/// Traffic: reads x twice, the second time from cache; writes the codes.
/// Needs: 1 KiB of shared memory, a group size that is a power of two up to 256.
/// Domain: a block with a NaN or an infinity decodes to NaN or infinity. A skipped step writes nothing.
/// Error: derived in the reference.
/// </remarks>
internal static class ErrorBlockKernel
{
    [DeviceKernel("dct/errorblock.encode")]
    internal static void Encode(ArrayView<float> from, ErrorBlocks blocks, ArrayView<StepControl> control)
    {
        ArrayView<float> shared = SharedMemory.Allocate<float>(GroupTree.MaxGroup);
        long begin = (long)Grid.IdxX * ErrorBlocks.Length;
        int count = (int)IntrinsicMath.Min((long)ErrorBlocks.Length, blocks.Count - begin);
        float most = float.NegativeInfinity;
        float least = float.PositiveInfinity;
        float all = 0f;
        for (int i = Group.IdxX; i < count; i += Group.DimX)
        {
            float x = from[begin + i];
            most = GroupTree.Larger(most, x);
            least = -GroupTree.Larger(-least, -x);
            all += x - x; // NaN if one is not finite
        }

        most = GroupTree.Max(shared, most);
        least = -GroupTree.Max(shared, -least);
        all = GroupTree.Sum(shared, all);
        float unit = blocks.UnitOf(least, most) + all;
        if (control[0].Skip != 0f)
        {
            return;
        }

        if (Group.IdxX == 0)
        {
            blocks.Ranges[2L * Grid.IdxX] = least;
            blocks.Ranges[2L * Grid.IdxX + 1] = unit;
        }

        if (blocks.MaxCode == 255)
        {
            for (int i = Group.IdxX; i < count; i += Group.DimX)
            {
                blocks.Codes[begin + i] = (byte)blocks.Encode(from[begin + i], least, unit);
            }
        }
        else
        {
            for (int i = Group.IdxX; 2 * i < count; i += Group.DimX)
            {
                int code = blocks.Encode(from[begin + 2 * i], least, unit);
                if (2 * i + 1 < count)
                {
                    code |= blocks.Encode(from[begin + 2 * i + 1], least, unit) << 4;
                }

                blocks.Codes[begin / 2 + i] = (byte)code;
            }
        }
    }
}
