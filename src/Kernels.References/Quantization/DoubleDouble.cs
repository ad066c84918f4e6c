using System.Runtime.InteropServices;

namespace Kernels.References.Quantization;

/// <summary>The unevaluated sum of two binary64 numbers: some 104 bits.</summary>
/// <remarks>
/// Source: Dekker 1971; Joldes, Muller, Popescu 2017, algorithms 6, 12 and 17: relative errors of 3 2^-106 (sum), 5
/// 2^-106 (product) and 15 2^-106 (quotient).
/// </remarks>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct DoubleDouble(double High, double Low)
{
    public static implicit operator DoubleDouble(double value) => new(value, 0);

    public static DoubleDouble operator +(DoubleDouble a, DoubleDouble b)
    {
        (double high, double error) = TwoSum(a.High, b.High);
        (double low, double rest) = TwoSum(a.Low, b.Low);
        (high, error) = Fast(high, error + low);
        return Fast(high, error + rest);
    }

    public static DoubleDouble operator -(DoubleDouble a) => new(-a.High, -a.Low);

    public static DoubleDouble operator -(DoubleDouble a, DoubleDouble b) => a + (-b);

    public static DoubleDouble operator *(DoubleDouble a, DoubleDouble b)
    {
        double high = a.High * b.High;
        double error = Math.FusedMultiplyAdd(a.High, b.High, -high);
        double low = Math.FusedMultiplyAdd(
            a.Low, b.High, Math.FusedMultiplyAdd(a.High, b.Low, a.Low * b.Low));
        return Fast(high, error + low);
    }

    public static DoubleDouble operator /(DoubleDouble a, DoubleDouble b)
    {
        double first = a.High / b.High;
        DoubleDouble rest = a - (first * b);
        return Fast(first, rest.High / b.High);
    }

    /// <summary>The nearest binary32 number; the low part decides between two that are equally near to the high
    /// one.</summary>
    internal float ToSingle()
    {
        float near = (float)High;
        double rest = High - near;
        // Only halfway is the number as far on the other side one of binary32; anything else is farther from there than
        // the low part can be.
        double other = near + (2 * rest);
        return other == (float)other && Math.Sign(Low) == Math.Sign(rest) ? (float)other : near;
    }

    private static (double Sum, double Error) TwoSum(double a, double b)
    {
        double sum = a + b;
        double part = sum - a;
        return (sum, (a - (sum - part)) + (b - part));
    }

    private static DoubleDouble Fast(double large, double small)
    {
        double sum = large + small;
        return new(sum, small - (sum - large));
    }
}
