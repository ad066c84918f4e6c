using ILGPU;
using ILGPU.Util;

namespace Kernels.DeviceCode.VectorQuantization;

/// <summary>
/// Sums of products of floats as integers, digit by digit: exact for all finite floats, without binary64 and without an
/// accumulator in memory.
/// </summary>
/// <remarks>
/// A number is <see cref="Count"/> digits of 16 bits in units of 2^-298, the product of the two smallest floats; the
/// last digit holds the sign. Every item sums one digit of all products, then one item carries. Source: the fixed-point
/// accumulator of Kulisch, Computer Arithmetic and Validity, 2013, chapter 8, cut into its digits.
/// </remarks>
internal static class ExactDigits
{
    /// <summary>
    /// Digits of a number: |2 z.e - |e|^2| is below 2^278 for up to 2^20 products, 576 bits of 2^-298; two more for the
    /// carry and the sign.
    /// </summary>
    internal const int Count = 38;

    /// <summary>Bits of a digit.</summary>
    internal const int Bits = 16;

    private const long Mask = (1 << Bits) - 1;

    /// <summary>What 2^twos a b has in a digit, with its sign.</summary>
    internal static long Of(float a, float b, int twos, int digit)
    {
        uint x = Interop.FloatAsInt(a);
        uint y = Interop.FloatAsInt(b);
        long product = (long)Significand(x) * Significand(y);
        // Where the lowest bit of the product lies in the digit; below 0, the digit is higher up.
        int place = Exponent(x) + Exponent(y) - 2 + twos - digit * Bits;
        long low = product << IntrinsicMath.Clamp(place, 0, Bits);
        long part = low >> IntrinsicMath.Clamp(-place, 0, 63) & Mask;
        return Utilities.Select((x ^ y) >> 31 == 0, part, -part);
    }

    /// <summary>Makes digits of sums of digits: 0 to 2^16 - 1, but for the last. For one item.</summary>
    internal static void Carry(ArrayView<long> digits, int begin, int count)
    {
        long carry = 0;
        for (int i = begin; i < begin + count - 1; i++)
        {
            long sum = digits[i] + carry;
            digits[i] = sum & Mask;
            carry = sum >> Bits;
        }

        digits[begin + count - 1] += carry;
    }

    /// <summary>1, 0 or -1 for carried digits.</summary>
    internal static int Sign(ArrayView<long> digits, int begin, int count)
    {
        long any = 0;
        for (int i = begin; i < begin + count; i++)
        {
            any |= digits[i];
        }

        int positive = Utilities.Select(any == 0, 0, 1);
        return Utilities.Select(digits[begin + count - 1] < 0, -1, positive);
    }

    /// <summary>The sign of a - b for carried digits.</summary>
    internal static int Compare(ArrayView<long> digits, int a, int b, int count)
    {
        int order = 0;
        for (int i = 0; i < count; i++)
        {
            long difference = digits[a + i] - digits[b + i];
            order = Utilities.Select(difference > 0, 1, Utilities.Select(difference < 0, -1, order));
        }

        return order;
    }

    /// <summary>One digit, not yet carried, of the product of two numbers that are not negative.</summary>
    internal static long ProductDigit(ArrayView<long> digits, int a, int countA, int b, int countB, int digit)
    {
        long sum = 0;
        int from = IntrinsicMath.Max(0, digit - countB + 1);
        int to = IntrinsicMath.Min(countA - 1, digit);
        for (int i = from; i <= to; i++)
        {
            sum += digits[a + i] * digits[b + digit - i];
        }

        return sum;
    }

    private static uint Significand(uint bits)
    {
        uint fraction = bits & 0x7FFFFF;
        return Utilities.Select((bits & 0x7F800000) == 0, fraction, fraction | 0x800000);
    }

    private static int Exponent(uint bits) => IntrinsicMath.Max((int)(bits >> 23) & 0xFF, 1);
}
