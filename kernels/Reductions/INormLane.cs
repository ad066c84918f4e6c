using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Util;

namespace Kernels.DeviceCode.Reductions;

/// <summary>
/// What sums of squares need of a number, or of a register of numbers on the host: arithmetic, and powers of two by
/// their bits.
/// </summary>
internal interface INormLane<T>
    where T : struct, INormLane<T>
{
    static abstract T operator +(T left, T right);

    static abstract T operator *(T left, T right);

    static abstract T Sqrt(T value);

    static abstract T Abs(T value);

    /// <summary>The larger of two numbers that are not negative; a NaN is larger than any.</summary>
    static abstract T Larger(T left, T right);

    /// <summary>The power of two at or below a number that is not negative, held within 2^-126 and 2^126.</summary>
    static abstract T PowerOf(T value);

    /// <summary>1 / a power of two within 2^-126 and 2^126; exact.</summary>
    static abstract T InverseOf(T power);
}

/// <summary>One float.</summary>
internal struct NormLane : INormLane<NormLane>
{
    internal const uint Exponent = 0x7F800000;
    internal const uint Least = 0x00800000;   // 2^-126
    internal const uint Largest = 0x7E800000; // 2^126
    internal const uint Inversion = Least + Largest;

    public float Value;

    public static NormLane operator +(NormLane left, NormLane right) => Of(left.Value + right.Value);

    public static NormLane operator *(NormLane left, NormLane right) => Of(left.Value * right.Value);

    public static NormLane Of(float value) => new() { Value = value };

    public static NormLane Sqrt(NormLane value) => Of(XMath.Sqrt(value.Value));

    public static NormLane Abs(NormLane value) => Of(XMath.Abs(value.Value));

    // By the bits, whose order is the same: a chain of choices between floats is not vectorised by PoCL (0.5 against
    // 0.1 ns an element), one between integers is.
    public static NormLane Larger(NormLane left, NormLane right) =>
        FromBits(Larger(Interop.FloatAsInt(left.Value), Interop.FloatAsInt(right.Value)));

    public static NormLane PowerOf(NormLane value)
    {
        uint power = Larger(Interop.FloatAsInt(value.Value) & Exponent, Least);
        return FromBits(Utilities.Select(power < Largest, power, Largest));
    }

    public static NormLane InverseOf(NormLane power) => FromBits(Inversion - Interop.FloatAsInt(power.Value));

    private static uint Larger(uint left, uint right) => Utilities.Select(left > right, left, right);

    private static NormLane FromBits(uint bits) => Of(Interop.IntAsFloat(bits));
}
