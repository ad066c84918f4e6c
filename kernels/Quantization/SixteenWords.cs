using ILGPU;
using Sixteen = Kernels.DeviceCode.Linear.Sixteen;

namespace Kernels.DeviceCode.Quantization;

/// <summary>Sixteen neighbouring words as scalars, for OpenCL CPU devices, beside a <see cref="Sixteen"/>; nothing here may
/// be indexed or looped over.</summary>
internal struct SixteenWords
{
    public uint V0;
    public uint V1;
    public uint V2;
    public uint V3;
    public uint V4;
    public uint V5;
    public uint V6;
    public uint V7;
    public uint V8;
    public uint V9;
    public uint V10;
    public uint V11;
    public uint V12;
    public uint V13;
    public uint V14;
    public uint V15;

    /// <summary>The bits from a place on of sixteen neighbouring words.</summary>
    internal static SixteenWords Part(ArrayView<uint> words, long at, int shift, uint mask) => new()
    {
        V0 = (words[at + 0] >> shift) & mask,
        V1 = (words[at + 1] >> shift) & mask,
        V2 = (words[at + 2] >> shift) & mask,
        V3 = (words[at + 3] >> shift) & mask,
        V4 = (words[at + 4] >> shift) & mask,
        V5 = (words[at + 5] >> shift) & mask,
        V6 = (words[at + 6] >> shift) & mask,
        V7 = (words[at + 7] >> shift) & mask,
        V8 = (words[at + 8] >> shift) & mask,
        V9 = (words[at + 9] >> shift) & mask,
        V10 = (words[at + 10] >> shift) & mask,
        V11 = (words[at + 11] >> shift) & mask,
        V12 = (words[at + 12] >> shift) & mask,
        V13 = (words[at + 13] >> shift) & mask,
        V14 = (words[at + 14] >> shift) & mask,
        V15 = (words[at + 15] >> shift) & mask,
    };

    /// <summary>These and others, which are shifted to the left.</summary>
    internal readonly SixteenWords Or(SixteenWords other, int shift) => new()
    {
        V0 = V0 | (other.V0 << shift),
        V1 = V1 | (other.V1 << shift),
        V2 = V2 | (other.V2 << shift),
        V3 = V3 | (other.V3 << shift),
        V4 = V4 | (other.V4 << shift),
        V5 = V5 | (other.V5 << shift),
        V6 = V6 | (other.V6 << shift),
        V7 = V7 | (other.V7 << shift),
        V8 = V8 | (other.V8 << shift),
        V9 = V9 | (other.V9 << shift),
        V10 = V10 | (other.V10 << shift),
        V11 = V11 | (other.V11 << shift),
        V12 = V12 | (other.V12 << shift),
        V13 = V13 | (other.V13 << shift),
        V14 = V14 | (other.V14 << shift),
        V15 = V15 | (other.V15 << shift),
    };

    /// <summary>The fields of a step of sixteen neighbouring lanes of a planar block.</summary>
    internal static SixteenWords Fields<TBits>(ArrayView<uint> words, long at, int lanes, int step)
        where TBits : struct, IFieldBits
    {
        if (TBits.Bits == 8)
        {
            return Part(words, at + (long)(step >> 2) * lanes, (8 * step) & 31, 255u);
        }

        SixteenWords codes = default;
        if ((TBits.Bits & 4) != 0)
        {
            codes = Part(words, at + (long)(step >> 3) * lanes, (4 * step) & 31, 15u);
        }

        if ((TBits.Bits & 2) != 0)
        {
            SixteenWords two = Part(
                words, at + (long)((TBits.Bits & 4) + (step >> 4)) * lanes, (2 * step) & 31, 3u);
            codes = (TBits.Bits & 4) != 0 ? codes.Or(two, 4) : two;
        }

        if ((TBits.Bits & 1) != 0)
        {
            SixteenWords one = Part(words, at + (long)(TBits.Bits & 6) * lanes, step, 1u);
            codes = (TBits.Bits & 6) != 0 ? codes.Or(one, TBits.Bits & 6) : one;
        }

        return codes;
    }

    /// <summary>What a table has for each.</summary>
    internal readonly Sixteen Look(ArrayView<float> table) => new()
    {
        V0 = table[(int)V0],
        V1 = table[(int)V1],
        V2 = table[(int)V2],
        V3 = table[(int)V3],
        V4 = table[(int)V4],
        V5 = table[(int)V5],
        V6 = table[(int)V6],
        V7 = table[(int)V7],
        V8 = table[(int)V8],
        V9 = table[(int)V9],
        V10 = table[(int)V10],
        V11 = table[(int)V11],
        V12 = table[(int)V12],
        V13 = table[(int)V13],
        V14 = table[(int)V14],
        V15 = table[(int)V15],
    };

    /// <summary>What a table of sixteen columns has for each in its own column.</summary>
    internal readonly Sixteen LookLanes(ArrayView<float> table) => new()
    {
        V0 = table[(int)V0 * Sixteen.Width + 0],
        V1 = table[(int)V1 * Sixteen.Width + 1],
        V2 = table[(int)V2 * Sixteen.Width + 2],
        V3 = table[(int)V3 * Sixteen.Width + 3],
        V4 = table[(int)V4 * Sixteen.Width + 4],
        V5 = table[(int)V5 * Sixteen.Width + 5],
        V6 = table[(int)V6 * Sixteen.Width + 6],
        V7 = table[(int)V7 * Sixteen.Width + 7],
        V8 = table[(int)V8 * Sixteen.Width + 8],
        V9 = table[(int)V9 * Sixteen.Width + 9],
        V10 = table[(int)V10 * Sixteen.Width + 10],
        V11 = table[(int)V11 * Sixteen.Width + 11],
        V12 = table[(int)V12 * Sixteen.Width + 12],
        V13 = table[(int)V13 * Sixteen.Width + 13],
        V14 = table[(int)V14 * Sixteen.Width + 14],
        V15 = table[(int)V15 * Sixteen.Width + 15],
    };
}
