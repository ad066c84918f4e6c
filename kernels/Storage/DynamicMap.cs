using ILGPU;
using ILGPU.Util;
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
/// 10^(i-7) (1 + 9 (2j + 1) / (2w)) = (18 (w + j) - 16 w + 9) 10^(i-7) / (2w): an integer times a constant, so one
/// rounding and the same bits on every device. Backwards, w + floor(a w 10^(7-i) / 9 - w / 9) = floor(a w 10^(7-i) / 9
/// + 8 w / 9). Only where two decades meet is the point between two numbers not the edge of a step: between the last
/// number of one, 10^(i-7) (1 - 0.9 / w), and the first of the next, 10^(i-7) (1 + 4.5 / w), lies 10^(i-7) (1 + 1.8 / w).
/// Ties: the lower code. Roundings in the position sum to less than 2^-14 steps; <see cref="Bias"/> outweighs them.
/// Error: numbers within 2^-23 of themselves; a value may take the other neighbour if it is within 2^-12 steps of the
/// point between the two.
/// </remarks>
internal static class DynamicMap
{
    /// <summary>The code of 0 with a sign; codes are sorted, so that code - 127 has the sign of the number.</summary>
    internal const int SignedZero = 127;

    private const float Bias = 1f / 8192f;

    /// <summary>The number of a code with a sign.</summary>
    /// <param name="code">0 .. 255.</param>
    internal static float DecodeSigned(int code)
    {
        int index = code - SignedZero;
        float magnitude = Middle(Utilities.Select(index < 0, -index, index), 9f);
        return Utilities.Select(index < 0, -magnitude, magnitude);
    }

    /// <summary>The number of a code without a sign.</summary>
    /// <param name="code">0 .. 255.</param>
    internal static float DecodeUnsigned(int code) => Middle((code + 1) * 0.5f, 4.5f);

    /// <summary>The code with a sign nearest to x, plus a fraction that truncation removes.</summary>
    /// <param name="x">In [-1, 1].</param>
    internal static T EncodeSigned<T>(T x)
        where T : struct, ILane<T>
    {
        T a = T.Abs(x);
        T position = Position(
            a, T.IfLess(x, T.Of(0f), T.Of(Bias), T.Of(-Bias)), 1f,
            (float)(1e-6 * (1 + 1.8 / 2)), (float)(1e-5 * (1 + 1.8 / 4)), (float)(1e-4 * (1 + 1.8 / 8)),
            (float)(1e-3 * (1 + 1.8 / 16)), (float)(1e-2 * (1 + 1.8 / 32)), (float)(1e-1 * (1 + 1.8 / 64)));
        // 1 has no negative.
        T top = T.IfLess(x, T.Of(0f), T.Of(127.5f), T.Of(128.5f));
        position = T.IfGreater(a, T.Of((float)(1 - 0.225 / 64)), top, position);
        position = T.IfGreater(a, T.Of((float)(1e-7 * 5.5 / 2)), position, T.Of(0.5f));
        return T.IfLess(x, T.Of(0f), T.Of(128f) - position, position + 127f);
    }

    /// <summary>
    /// The code without a sign nearest to x, plus a fraction that truncation removes; what is not 0 never becomes 0,
    /// but at least the least number of the map.
    /// </summary>
    /// <param name="value">Before scaling; not negative: decides what is 0.</param>
    /// <param name="x">In [0, 1].</param>
    internal static T EncodeUnsigned<T>(T value, T x)
        where T : struct, ILane<T>
    {
        T position = Position(
            x, T.Of(-Bias), 2f,
            (float)(1e-6 * (1 + 1.8 / 4)), (float)(1e-5 * (1 + 1.8 / 8)), (float)(1e-4 * (1 + 1.8 / 16)),
            (float)(1e-3 * (1 + 1.8 / 32)), (float)(1e-2 * (1 + 1.8 / 64)), (float)(1e-1 * (1 + 1.8 / 128)));
        T code = T.IfGreater(x, T.Of((float)(1 - 0.225 / 128)), T.Of(255.5f), position - 1f);
        code = T.IfLess(code, T.Of(1.5f), T.Of(1.5f), code);
        return T.IfGreater(value, T.Of(0f), code, T.Of(0.5f));
    }

    /// <summary>The middle of a step; 0 below 1, and 1 from 128 on.</summary>
    /// <param name="f">(w + j) / unit.</param>
    /// <param name="half">9 / unit.</param>
    private static float Middle(float f, float half)
    {
        float w = Interop.IntAsFloat(Interop.FloatAsInt(f) & 0xFF800000u); // the power of two at or below
        float step = 1e-7f / 2f;
        step = Utilities.Select(f >= 2f, 1e-6f / 4f, step);
        step = Utilities.Select(f >= 4f, 1e-5f / 8f, step);
        step = Utilities.Select(f >= 8f, 1e-4f / 16f, step);
        step = Utilities.Select(f >= 16f, 1e-3f / 32f, step);
        step = Utilities.Select(f >= 32f, 1e-2f / 64f, step);
        step = Utilities.Select(f >= 64f, 1e-1f / 128f, step);
        float middle = (18f * f - 16f * w + half) * step;
        middle = Utilities.Select(f >= 1f, middle, 0f);
        return Utilities.Select(f >= 128f, 1f, middle);
    }

    /// <summary>w + j of the step that holds a, with a fraction.</summary>
    private static T Position<T>(
        T a, T bias, float unit, float seam1, float seam2, float seam3, float seam4, float seam5, float seam6)
        where T : struct, ILane<T>
    {
        T w = T.Of(1f);
        T slope = T.Of((float)(1e7 / 9));
        w = T.IfGreater(a, T.Of(seam1), T.Of(2f), w);
        slope = T.IfGreater(a, T.Of(seam1), T.Of((float)(2e6 / 9)), slope);
        w = T.IfGreater(a, T.Of(seam2), T.Of(4f), w);
        slope = T.IfGreater(a, T.Of(seam2), T.Of((float)(4e5 / 9)), slope);
        w = T.IfGreater(a, T.Of(seam3), T.Of(8f), w);
        slope = T.IfGreater(a, T.Of(seam3), T.Of((float)(8e4 / 9)), slope);
        w = T.IfGreater(a, T.Of(seam4), T.Of(16f), w);
        slope = T.IfGreater(a, T.Of(seam4), T.Of((float)(16e3 / 9)), slope);
        w = T.IfGreater(a, T.Of(seam5), T.Of(32f), w);
        slope = T.IfGreater(a, T.Of(seam5), T.Of((float)(32e2 / 9)), slope);
        w = T.IfGreater(a, T.Of(seam6), T.Of(64f), w);
        slope = T.IfGreater(a, T.Of(seam6), T.Of((float)(64e1 / 9)), slope);
        T position = (a * slope + w * (float)(8.0 / 9)) * unit + bias;
        T last = w * (2f * unit) - 0.5f; // w + (w - 1), in the middle of what truncation maps there
        return T.IfLess(position, last, position, last);
    }
}
