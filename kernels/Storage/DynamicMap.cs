using System.Runtime.CompilerServices;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Storage;

/// <summary>
/// Dynamic tree numbers of 8 bits: a magnitude in [0, 1] of seven decades, each cut into twice as many equal steps as
/// the decade below. Computed both ways by arithmetic, without a table.
/// </summary>
/// <remarks>
/// Source: Dettmers, Lewis, Shleifer, Zettlemoyer 2021, arXiv:2110.02861, section 1.3 and figure 2, and the map that
/// bitsandbytes builds from it (create_dynamic_map): the bits of a magnitude are zeros that count decades, a one that
/// ends them, and a linear fraction. Decade i in 0 .. 6 spans 10^(i-7) .. 10^(i-6) in w = unit * 2^i steps, unit 1 with
/// a sign and 2 without (the sign's bit goes to the fraction); a number of the map is the middle of its step. 0 and 1
/// are added: 2 * 127 + 2 numbers with a sign, 254 + 2 without.
/// Derivation: number the magnitudes w + j for step j of w. The middle of step j is
/// 10^(i-7) (1 + 9 (2j + 1) / (2w)) = (18 (w + j) - 16 w + 9) 5^i 10^-7 / 2: an integer times a constant, so the same
/// bits on every device. Backwards, w + j lies below a w 10^(7-i) / 9 + 8 w / 9: seven lines, each flatter than the one
/// before, that meet where the decades meet, so that the least of the seven is the line that holds. Only there is the
/// point between two numbers not the edge of a step: between the last number of one decade, 10^(i-7) (1 - 0.9 / w), and
/// the first of the next, 10^(i-7) (1 + 4.5 / w), lies 10^(i-7) (1 + 1.8 / w), 0.2 steps behind the edge; so what is at
/// most 0.2 above a power of two belongs below it, and what is a rounding below it stays there: positions are kept
/// <see cref="Lift"/> too high until that is decided. The lowest line is turned a little, so that the point between 0 and
/// the first number is 0.2 behind an edge too.
/// Ties: the lower code. Roundings in the position sum to less than 2^-14 steps; <see cref="Bias"/> outweighs them.
/// Error: numbers within 2^-23 of themselves; a value may take the other neighbour if it is within 2^-12 steps of the
/// point between the two.
/// </remarks>
internal static class DynamicMap
{
    /// <summary>The code of 0 with a sign; codes are sorted, so that code - 127 has the sign of the number.</summary>
    internal const int SignedZero = 127;

    private const float Bias = 1f / 8192f;

    private const float Lift = 1f / 1024f;

    /// <summary>The number of a code with a sign.</summary>
    /// <param name="code">0 .. 255.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T DecodeSigned<T>(T code)
        where T : struct, ILane<T>
    {
        T index = code - SignedZero;
        T a = T.Abs(index);
        return T.WithSign(Middle(a, a + a, 9f), index);
    }

    /// <summary>The number of a code without a sign.</summary>
    /// <param name="code">0 .. 255.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T DecodeUnsigned<T>(T code)
        where T : struct, ILane<T> => Middle(code, code + 1f, 4.5f);

    /// <summary>The code with a sign nearest to x, plus a fraction that truncation removes.</summary>
    /// <param name="x">In [-1, 1].</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T EncodeSigned<T>(T x)
        where T : struct, ILane<T>
    {
        T a = T.Abs(x);
        // The lowest line goes through 1.2 at half the least number and through 2 at 10^-6.
        T position = Position(a, 1f, (float)(0.8 / 7.25e-7), (float)(2 + Lift - 1e-6 * (0.8 / 7.25e-7)));
        // 1 has no negative: truncation makes 0 of -0.5.
        position = T.IfGreater(a, T.Of((float)(1 - 0.225 / 64)), T.Of(128.5f), position);
        return T.IfLess(x, T.Of(0f), T.Of(SignedZero + 1 + Lift - Bias) - position, position + (SignedZero - Lift - Bias));
    }

    /// <summary>
    /// The code without a sign nearest to x, plus a fraction that truncation removes; what is not 0 never becomes 0,
    /// but at least the least number of the map.
    /// </summary>
    /// <param name="value">Before scaling; not negative: decides what is 0.</param>
    /// <param name="x">In [0, 1].</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static T EncodeUnsigned<T>(T value, T x)
        where T : struct, ILane<T>
    {
        T position = Position(x, 2f, (float)(2e7 / 9), (float)(Lift + 16.0 / 9));
        T code = T.IfGreater(x, T.Of((float)(1 - 0.225 / 128)), T.Of(255.5f), position - (1f + Lift + Bias));
        code = T.IfLess(code, T.Of(1.5f), T.Of(1.5f), code);
        return T.IfGreater(value, T.Of(0f), code, T.Of(0.5f));
    }

    /// <summary>The middle of a step; 0 for the index 0, and 1 for the last.</summary>
    /// <param name="index">Index of the magnitude; 0 or at least 1.</param>
    /// <param name="f">(w + j) 2 / unit.</param>
    /// <param name="half">9 / unit.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Middle<T>(T index, T f, float half)
        where T : struct, ILane<T>
    {
        // 5^i by the bits of i, which are the last three of the exponent of 2w. All products but the last are exact.
        T power = T.IfExponentBit(f, 0, T.Of(5f), T.Of(1f)) * T.IfExponentBit(f, 1, T.Of(25f), T.Of(1f));
        T step = T.IfExponentBit(f, 2, T.Of((float)(625e-7 / 2)), T.Of((float)(1e-7 / 2)));
        T middle = ((f - T.PowerAtOrBelow(f)) * 8f + (f + half)) * power * step;
        return T.Lesser(T.Lesser(middle, T.Of(1f)), index);
    }

    /// <summary>
    /// w + j of the step that holds a, with a fraction and <see cref="Lift"/>; less than w where the step below is nearer.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Position<T>(T a, float unit, float slope, float start)
        where T : struct, ILane<T>
    {
        T position = a * slope + start;
        position = Lesser(position, a * (float)(2e6 / 9 * unit) + (float)(Lift + 16.0 / 9 * unit));
        position = Lesser(position, a * (float)(4e5 / 9 * unit) + (float)(Lift + 32.0 / 9 * unit));
        position = Lesser(position, a * (float)(8e4 / 9 * unit) + (float)(Lift + 64.0 / 9 * unit));
        position = Lesser(position, a * (float)(16e3 / 9 * unit) + (float)(Lift + 128.0 / 9 * unit));
        position = Lesser(position, a * (float)(32e2 / 9 * unit) + (float)(Lift + 256.0 / 9 * unit));
        position = Lesser(position, a * (float)(64e1 / 9 * unit) + (float)(Lift + 512.0 / 9 * unit));
        T behind = position - T.PowerAtOrBelow(position);
        return position - T.IfGreater(behind, T.Of(0.2f + Lift), T.Of(0f), T.Of(0.25f));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Lesser<T>(T x, T y)
        where T : struct, ILane<T> => T.Lesser(x, y);
}
