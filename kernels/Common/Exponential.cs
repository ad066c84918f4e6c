namespace Kernels.DeviceCode.Common;

/// <summary>The exponential by a polynomial, the same on every device: no approximate instruction is used.</summary>
internal static class Exponential
{
    private const float Log2E = 1.44269504f;
    private const float Ln2High = 0.693145752f;     // the leading 15 bits: k * Ln2High is exact for |k| < 512
    private const float Ln2Low = 1.42860677e-6f;
    private const float RoundToInteger = 12582912f; // 1.5 * 2^23
    private const float Least = -87.3f;             // exp(x) stays a normal number

    /// <summary>exp(x) for x &lt;= 0, within 2 ulp; 0 below -87.3, where the result would leave the normal range.</summary>
    /// <remarks>NaN stays NaN.</remarks>
    internal static T OfNegative<T>(T x)
        where T : struct, ILane<T>
    {
        T clamped = T.IfLess(x, T.Of(Least), T.Of(Least), x);
        // A subtraction: ILGPU would fold the two constants of (x + c) + -c.
        T k = clamped * Log2E + RoundToInteger - RoundToInteger;
        T r = clamped - k * Ln2High - k * Ln2Low;
        // exp(r) on |r| <= ln(2) / 2: Taylor to r^7 / 7!; the next term is below 2^-27 of the sum.
        T sum = r * (1f / 5040f) + 1f / 720f;
        sum = sum * r + 1f / 120f;
        sum = sum * r + 1f / 24f;
        sum = sum * r + 1f / 6f;
        sum = sum * r + 0.5f;
        sum = sum * r + 1f;
        sum = sum * r + 1f;
        return T.IfLess(x, T.Of(Least), T.Of(0f), sum * T.PowerOfTwo(k));
    }
}
