using ILGPU;

namespace Kernels.DeviceCode.Quantization;

/// <summary>How codes lie in bytes; see the public format for what the words mean.</summary>
internal struct PackedFormat
{
    /// <summary>Lanes of a whole planar block.</summary>
    internal const int Lanes = 32;

    /// <summary>The number k of values of a code.</summary>
    public int Codes;

    /// <summary>Bits of a field; 0 for digits.</summary>
    public int FieldBits;

    /// <summary>Digits of a unit, and its bytes, 1 or 4.</summary>
    public int UnitDigits;
    public int UnitBytes;

    /// <summary>k^(D / 2), by which the digits of a word are cut into two halves.</summary>
    public uint HalfPower;

    /// <summary>floor(2^32 / k) + 1: x / k = (x times this) / 2^32 for all x below 2^32 / k.</summary>
    public uint Reciprocal;

    /// <summary>Codes of a run: of a row in planar order, of all rows in linear order.</summary>
    public int RunCodes;

    /// <summary>Words of a run, in planar order.</summary>
    public int RunWords;

    /// <summary>Codes of a lane of a planar block.</summary>
    public readonly int Steps => FieldBits > 0 ? 32 : UnitDigits * (4 / UnitBytes);

    /// <summary>Codes of a whole planar block.</summary>
    public readonly int BlockCodes => Lanes * Steps;

    /// <summary>Words of a whole planar block.</summary>
    public readonly int BlockWords => Lanes * (FieldBits > 0 ? FieldBits : 1);

    /// <summary>Codes of a row, from the first on, in blocks of a multiple of sixteen lanes with all their steps.</summary>
    public readonly int SixteenCodes => (RunCodes - RunCodes % BlockCodes) + (RunCodes % BlockCodes % (16 * Steps) == 0
        ? RunCodes % BlockCodes
        : 0);

    /// <summary>Lanes of a planar block of which so many codes are left.</summary>
    public readonly int LanesOf(int left) => IntrinsicMath.Min(Lanes, (left + Steps - 1) / Steps);

    /// <summary>Codes of a lane of a planar block of so many lanes, of which so many codes are left.</summary>
    public readonly int StepsOf(int left, int lanes, int lane) =>
        IntrinsicMath.Min(Steps, (left - lane + lanes - 1) / lanes);

    /// <summary>A code as it may be used: below k, whatever the bits are.</summary>
    public readonly int Clamp(int code) => IntrinsicMath.Min(code, Codes - 1);

    /// <summary>The first digit of a number below 2^32 / k, which it takes away.</summary>
    /// <remarks>The halves of a word of digits are below 2^20 for every k, whatever the word is.</remarks>
    public readonly int TakeDigit(ref uint number)
    {
        uint rest = (uint)(((ulong)number * Reciprocal) >> 32);
        int digit = (int)(number - rest * (uint)Codes);
        number = rest;
        return digit;
    }

    /// <summary>The code of any step of a lane of a planar block of any number of lanes; it may be k or more.</summary>
    public readonly int Code(ArrayView<uint> words, long at, int lanes, int step)
    {
        if (FieldBits == 0)
        {
            int unit = step / UnitDigits;
            uint number = UnitBytes == 4 ? words[at] : (words[at] >> (8 * unit)) & 0xFFu;
            uint power = 1;
            for (int digit = unit * UnitDigits; digit < step; digit++)
            {
                power *= (uint)Codes;
            }

            return (int)(number / power % (uint)Codes);
        }

        return Field(words, at, lanes, step, FieldBits);
    }

    /// <summary>The field of a step of a lane of a planar block of any number of lanes.</summary>
    internal static int Field(ArrayView<uint> words, long at, int lanes, int step, int bits)
    {
        if (bits == 8)
        {
            return (int)(words[at + (long)(step >> 2) * lanes] >> ((8 * step) & 31)) & 255;
        }

        int code = 0;
        if ((bits & 4) != 0)
        {
            code = (int)(words[at + (long)(step >> 3) * lanes] >> ((4 * step) & 31)) & 15;
        }

        if ((bits & 2) != 0)
        {
            uint two = words[at + (long)((bits & 4) + (step >> 4)) * lanes];
            code |= ((int)(two >> ((2 * step) & 31)) & 3) << (bits & 4);
        }

        if ((bits & 1) != 0)
        {
            code |= ((int)(words[at + (long)(bits & 6) * lanes] >> step) & 1) << (bits & 6);
        }

        return code;
    }
}
