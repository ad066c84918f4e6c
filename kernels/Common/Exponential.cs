namespace Kernels.DeviceCode.Common;

/// <summary>The exponential by a polynomial, the same on every device: no approximate instruction is used.</summary>
internal static class Exponential
{
    private const float Log2E = 1.44269504f;
    private const float Ln2High = 0.693145752f;     // the leading 15 bits: k * Ln2High is exact for |k| < 512
    private const float Ln2Low = 1.42860677e-6f;
    private const float RoundToInteger = 12582912f; // 1.5 * 2^23
    private const float RoundAndBias = RoundToInteger + 127f;
    private const float Least = -87.3f;             // exp(x) stays a normal number

    /// <summary>
    /// 1 + exp(-x) for x &gt;= 0, within 2^-23 and the rounding of the sum: two thirds of the work of
    /// <see cref="OfNegative"/>.
    /// </summary>
    /// <remarks>
    /// Error: the argument's rounding costs at most 1.25 x exp(-x) 2^-24, the polynomial, its evaluation and its product
    /// 2 exp(-x) 2^-24, 1 + 2^k 2^-24 where it is not exact. 2 at 0; 1 above 87; NaN stays NaN.
    /// </remarks>
    internal static T OnePlusFading<T>(T x)
        where T : struct, ILane<T>
    {
        T y = T.IfGreater(x, T.Of(87f), T.Of(87f), x) * -Log2E;
        T biased = y + RoundAndBias;
        T f = y - (biased - RoundAndBias);
        T power = T.PowerOfTwoBiased(biased);
        // 2^f on |f| <= 1/2 through the Chebyshev nodes of degree 6, 0 among them: relative error below 2^-25.6. The chain of
        // dependent operations is what bounds the loops over memory: powers of f^2, and 2^k before the polynomial is known.
        T square = f * f;
        T sum = (f * 1.5461445e-4f + 1.3400428e-3f) * square + (f * 9.618057e-3f + 5.5503272e-2f);
        sum = sum * square + (f * 2.4022651e-1f + 6.9314718e-1f);
        return sum * (f * power) + (power + 1f);
    }

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
