using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Util;

namespace Kernels.DeviceCode.Common;

/// <summary>
/// Arithmetic on one float or on several at once, so that element-wise mathematics is written once: one float per
/// item on a device, one SIMD register on the host. Every operation is the binary32 one, element by element.
/// </summary>
internal interface ILane<T>
    where T : struct, ILane<T>
{
    static abstract T operator +(T left, T right);

    static abstract T operator +(T left, float right);

    static abstract T operator -(T left, T right);

    static abstract T operator -(T left, float right);

    static abstract T operator *(T left, T right);

    static abstract T operator *(T left, float right);

    static abstract T operator *(float left, T right);

    static abstract T operator /(T left, T right);

    static abstract T operator /(float left, T right);

    static abstract T Of(float value);

    static abstract T Sqrt(T value);

    static abstract T Abs(T value);

    /// <summary>2^k for integral k in -126 .. 127, by its bits.</summary>
    static abstract T PowerOfTwo(T k);

    /// <summary>2^k for integral k in -126 .. 127, given k + 127 + 1.5 * 2^23: its low bits are the exponent's.</summary>
    static abstract T PowerOfTwoBiased(T biased);

    /// <summary>The power of two at or below a normal number that is not negative; 0 for 0.</summary>
    static abstract T PowerAtOrBelow(T value);

    /// <summary>The lesser of two numbers that are not negative.</summary>
    static abstract T Lesser(T left, T right);

    /// <summary>A number that is not negative with the sign of another.</summary>
    static abstract T WithSign(T magnitude, T sign);

    /// <summary>Whether a bit of the biased exponent of a number is set ? yes : no.</summary>
    /// <param name="value">Any number.</param>
    /// <param name="bit">0 to 7.</param>
    /// <param name="yes">Where it is set.</param>
    /// <param name="no">Where it is not.</param>
    static abstract T IfExponentBit(T value, int bit, T yes, T no);

    /// <summary>left &gt; right ? yes : no, without a branch; a comparison with NaN is false.</summary>
    /// <remarks>
    /// A constant must stand on the right: ILGPU 1.5.3 turns <c>0 &gt; x</c> into an unordered <c>x &lt; 0</c>, which
    /// is true for NaN.
    /// </remarks>
    static abstract T IfGreater(T left, T right, T yes, T no);

    /// <summary>left &lt; right ? yes : no, as <see cref="IfGreater"/>.</summary>
    static abstract T IfLess(T left, T right, T yes, T no);

    /// <summary>condition ? yes : no, the same for all.</summary>
    static abstract T If(bool condition, T yes, T no);
}

/// <summary>One float.</summary>
internal struct Lane : ILane<Lane>, ILinearLane<Lane>
{
    public float Value;

    public static Lane operator +(Lane left, Lane right) => Of(left.Value + right.Value);

    public static Lane operator +(Lane left, float right) => Of(left.Value + right);

    public static Lane operator -(Lane left, Lane right) => Of(left.Value - right.Value);

    public static Lane operator -(Lane left, float right) => Of(left.Value - right);

    public static Lane operator *(Lane left, Lane right) => Of(left.Value * right.Value);

    public static Lane operator *(Lane left, float right) => Of(left.Value * right);

    public static Lane operator *(float left, Lane right) => Of(left * right.Value);

    public static Lane operator /(Lane left, Lane right) => Of(left.Value / right.Value);

    public static Lane operator /(float left, Lane right) => Of(left / right.Value);

    public static Lane MultiplyAdd(Lane left, float right, Lane addend) => Of(left.Value * right + addend.Value);

    public static Lane Of(float value) => new() { Value = value };

    public static Lane Sqrt(Lane value) => Of(XMath.Sqrt(value.Value));

    public static Lane Abs(Lane value) => Of(XMath.Abs(value.Value));

    public static Lane PowerOfTwo(Lane k) => Of(Interop.IntAsFloat((uint)((int)k.Value + 127) << 23));

    public static Lane PowerOfTwoBiased(Lane biased) => Of(Interop.IntAsFloat(Interop.FloatAsInt(biased.Value) << 23));

    public static Lane PowerAtOrBelow(Lane value) =>
        Of(Interop.IntAsFloat(Interop.FloatAsInt(value.Value) & 0xFF800000u));

    // By the bits, whose order is the same: SIMD units compare integers where they do not multiply.
    public static Lane Lesser(Lane left, Lane right) => Of(Interop.IntAsFloat((uint)IntrinsicMath.Min(
        (int)Interop.FloatAsInt(left.Value), (int)Interop.FloatAsInt(right.Value))));

    public static Lane WithSign(Lane magnitude, Lane sign) => Of(Interop.IntAsFloat(
        Interop.FloatAsInt(magnitude.Value) | (Interop.FloatAsInt(sign.Value) & 0x80000000u)));

    // The bit becomes the sign: SIMD units choose by it.
    public static Lane IfExponentBit(Lane value, int bit, Lane yes, Lane no) => Of(Utilities.Select(
        (int)(Interop.FloatAsInt(value.Value) << (8 - bit)) < 0, yes.Value, no.Value));

    public static Lane IfGreater(Lane left, Lane right, Lane yes, Lane no) =>
        Of(Utilities.Select(left.Value > right.Value, yes.Value, no.Value));

    public static Lane IfLess(Lane left, Lane right, Lane yes, Lane no) =>
        Of(Utilities.Select(left.Value < right.Value, yes.Value, no.Value));

    public static Lane If(bool condition, Lane yes, Lane no) =>
        Of(Utilities.Select(condition, yes.Value, no.Value));
}
