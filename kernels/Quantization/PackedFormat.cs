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

    /// <summary>Words of a lane of a planar block.</summary>
    public readonly int LaneWords => FieldBits > 0 ? FieldBits : 1;

    /// <summary>Lanes of a planar block of which so many codes are left.</summary>
    public readonly int LanesOf(int left) => IntrinsicMath.Min(Lanes, (left + Steps - 1) / Steps);

    /// <summary>A code as it may be used: below k, whatever the bits are.</summary>
    public readonly int Clamp(int code) => IntrinsicMath.Min(code, Codes - 1);

    /// <summary>The first digit of a number below 2^32 / k, which it takes away.</summary>
    public readonly int TakeDigit(ref uint number)
    {
        uint rest = (uint)(((ulong)number * Reciprocal) >> 32);
        int digit = (int)(number - rest * (uint)Codes);
        number = rest;
        return digit;
    }
}
