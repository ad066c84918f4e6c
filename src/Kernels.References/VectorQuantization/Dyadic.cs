using System.Numerics;

namespace Kernels.References.VectorQuantization;

/// <summary>Binary32 numbers as integers: when sums of them are exact in any order, and exact arithmetic where
/// not.</summary>
internal static class Dyadic
{
    /// <summary>The least exponent of binary32.</summary>
    internal const int LeastExponent = -149;

    /// <summary>x 2^149, an integer.</summary>
    internal static BigInteger Integer(double x)
    {
        (long mantissa, int exponent) = Split(x);
        return (BigInteger)mantissa << (exponent - LeastExponent);
    }

    /// <summary>The largest power of two that divides all numbers, and the largest magnitude.</summary>
    /// <returns>The exponent is the largest integer if all numbers are zero.</returns>
    internal static (int Exponent, double Largest) Measure(ReadOnlySpan<float> values)
    {
        int exponent = int.MaxValue;
        double largest = 0;
        foreach (float value in values)
        {
            if (value != 0 && float.IsFinite(value))
            {
                exponent = Math.Min(exponent, Split(value).Exponent);
                largest = Math.Max(largest, Math.Abs(value));
            }
        }

        return (exponent, largest);
    }

    /// <summary>Whether multiples of 2^exponent whose sizes sum to this have exact partial sums, in any
    /// order.</summary>
    /// <param name="size">The sum of the sizes.</param>
    /// <param name="exponent">The exponent of the unit.</param>
    /// <param name="bits">Bits of the mantissa: 24 or 53.</param>
    internal static bool IsExact(double size, int exponent, int bits)
    {
        bool isInRange = bits != 24 || (exponent >= LeastExponent && size <= float.MaxValue);
        return size == 0 || (isInRange && size <= Math.ScaleB(1, Math.Min(exponent, 900) + bits));
    }

    private static (long Mantissa, int Exponent) Split(double x)
    {
        long bits = BitConverter.DoubleToInt64Bits(x);
        if (x == 0)
        {
            return (0, LeastExponent);
        }

        // Binary32 numbers are normal in binary64.
        long mantissa = (bits & ((1L << 52) - 1)) | (1L << 52);
        int exponent = (int)((bits >> 52) & 0x7FF) - 1075;
        int zeros = BitOperations.TrailingZeroCount(mantissa);
        mantissa >>= zeros;
        return (x < 0 ? -mantissa : mantissa, exponent + zeros);
    }
}
