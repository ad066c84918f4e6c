namespace Kernels.DeviceCode.Common;

/// <summary>The natural logarithm by a polynomial, the same on every device: no approximate instruction is used.</summary>
internal static class Logarithm
{
    private const float Ln2High = 0.693145752f; // the leading 15 bits: k * Ln2High is exact
    private const float Ln2Low = 1.42860677e-6f;
    private const float Root2 = 1.41421356f;

    /// <summary>log(x) for 1 &lt;= x &lt; 2^32, within 2 ulp. NaN stays NaN.</summary>
    internal static T OfAtLeastOne<T>(T x)
        where T : struct, ILane<T>
    {
        // x = 2^k m by exact halvings, with m in [1, sqrt(2)) or [sqrt(1/2), 1).
        T k = T.Of(0f);
        Halve(ref x, ref k, 65536f, 16f);
        Halve(ref x, ref k, 256f, 8f);
        Halve(ref x, ref k, 16f, 4f);
        Halve(ref x, ref k, 4f, 2f);
        Halve(ref x, ref k, 2f, 1f);
        k = T.IfLess(x, T.Of(Root2), k, k + 1f);
        T m = T.IfLess(x, T.Of(Root2), x, x * 0.5f);
        // log(m) = 2 atanh(f) = f (2 + 2 f^2 / 3 + 2 f^4 / 5 + ...), f = (m - 1) / (m + 1), |f| < 0.1716: the first term
        // left out is below 2^-28 of the sum. As g - f (g - rest) with the exact g = m - 1, only small terms are rounded:
        // 2 f = g - f g.
        T g = m - 1f;
        T f = g / (m + 1f);
        T square = f * f;
        T rest = square * (2f / 9f) + 2f / 7f;
        rest = rest * square + 2f / 5f;
        rest = rest * square + 2f / 3f;
        rest = rest * square;
        return k * Ln2High + (g - (f * (g - rest) - k * Ln2Low));
    }

    private static void Halve<T>(ref T x, ref T k, float power, float exponent)
        where T : struct, ILane<T>
    {
        T bound = T.Of(power);
        k = T.IfLess(x, bound, k, k + exponent);
        x = T.IfLess(x, bound, x, x * (1f / power));
    }
}
