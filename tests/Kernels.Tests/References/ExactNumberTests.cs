using System.Numerics;
using Kernels.References.Quantization;
using Kernels.References.VectorQuantization;

namespace Kernels.Tests.References;

/// <summary>Arithmetic that is exact, or nearly so, against that of integers.</summary>
public class ExactNumberTests
{
    // All numbers here are integers times 2^-600.
    private const int Shift = 600;

    [Fact]
    public void A_number_is_an_integer_times_the_least_one()
    {
        Assert.Equal(BigInteger.One, Dyadic.Integer(float.Epsilon));
        Assert.Equal(BigInteger.One << 149, Dyadic.Integer(1));
        Assert.Equal(-3 * (BigInteger.One << 147), Dyadic.Integer(-0.75));
        Assert.Equal(BigInteger.Zero, Dyadic.Integer(0));
        Assert.Equal(BigInteger.Zero, Dyadic.Integer(-0.0));
        Assert.Equal(((BigInteger.One << 24) - 1) << (104 + 149), Dyadic.Integer(float.MaxValue));
    }

    [Fact]
    public void The_largest_common_power_of_two_and_the_largest_magnitude()
    {
        Assert.Equal((-2, 6.0), Dyadic.Measure([6, 0, -0.75f, float.NaN, float.PositiveInfinity]));
        Assert.Equal((1, 6.0), Dyadic.Measure([4, -6]));
        Assert.Equal((0, 1.0), Dyadic.Measure([1]));
        Assert.Equal((Dyadic.LeastExponent, 1.0), Dyadic.Measure([float.Epsilon, 1]));
        Assert.Equal((int.MaxValue, 0.0), Dyadic.Measure([0, -0f]));
        Assert.Equal((int.MaxValue, 0.0), Dyadic.Measure([float.NegativeInfinity]));
    }

    [Fact]
    public void Sums_are_exact_as_long_as_they_fit_the_bits()
    {
        Assert.True(Dyadic.IsExact(1 << 24, 0, 24));
        Assert.False(Dyadic.IsExact((1 << 24) + 1, 0, 24));
        Assert.True(Dyadic.IsExact(1L << 53, 0, 53));
        Assert.False(Dyadic.IsExact((1L << 53) + 2, 0, 53));
        Assert.True(Dyadic.IsExact(Math.ScaleB(1, 21), -3, 24));
        Assert.False(Dyadic.IsExact(Math.ScaleB(1.5, 21), -3, 24));

        // Units below the least number and sums above the largest are not binary32.
        Assert.True(Dyadic.IsExact(Math.ScaleB(1, -126), -149, 24));
        Assert.False(Dyadic.IsExact(Math.ScaleB(1, -148), -150, 24));
        Assert.True(Dyadic.IsExact(Math.ScaleB(1, -148), -150, 53));
        Assert.True(Dyadic.IsExact(0, -150, 24));
        Assert.True(Dyadic.IsExact(float.MaxValue, 104, 24));
        Assert.False(Dyadic.IsExact(Math.ScaleB(1, 128), 104, 24));
        Assert.True(Dyadic.IsExact(Math.ScaleB(1, 128), 104, 53));
        Assert.True(Dyadic.IsExact(Math.ScaleB(1, 953), int.MaxValue, 53));
        Assert.False(Dyadic.IsExact(Math.ScaleB(1.5, 953), int.MaxValue, 53));
    }

    [Fact]
    public void Sums_and_products_of_two_numbers_each_are_off_by_what_is_published()
    {
        var random = new Random(1);
        for (int i = 0; i < 20_000; i++)
        {
            DoubleDouble a = Draw(random);
            DoubleDouble b = random.Next(3) == 0 ? Near(-a, random) : Draw(random);
            AssertWithin(3, Exact(a) + Exact(b), a + b);
            AssertWithin(3, Exact(a) - Exact(b), a - b);
            AssertWithin(5, (Exact(a) * Exact(b)) >> Shift, a * b);
            AssertWithin(15, (Exact(a) << Shift) / Exact(b), a / b);
            Assert.Equal(-Exact(a), Exact(-a));
        }
    }

    [Fact]
    public void The_nearest_binary32_number_is_decided_by_the_low_part()
    {
        double tie = 1 + Math.ScaleB(1, -24);
        double odd = 1 + Math.ScaleB(3, -24);
        double least = Math.ScaleB(1, -70);
        float next = MathF.BitIncrement(1);
        Assert.Equal(1, new DoubleDouble(tie, 0).ToSingle());
        Assert.Equal(1, new DoubleDouble(tie, -least).ToSingle());
        Assert.Equal(next, new DoubleDouble(tie, least).ToSingle());
        Assert.Equal(next, new DoubleDouble(tie, double.Epsilon).ToSingle());
        Assert.Equal(next, new DoubleDouble(odd, -double.Epsilon).ToSingle());
        Assert.Equal(1, new DoubleDouble(Math.BitDecrement(tie), Math.ScaleB(1, -54)).ToSingle());
        // Below a power of two the step is half as large.
        float below = MathF.BitDecrement(1);
        Assert.Equal(1, new DoubleDouble(1 - Math.ScaleB(1, -25), 0).ToSingle());
        Assert.Equal(below, new DoubleDouble(1 - Math.ScaleB(1, -25), -least).ToSingle());
        Assert.Equal(MathF.BitIncrement(next), new DoubleDouble(odd, 0).ToSingle());
        Assert.Equal(MathF.BitIncrement(next), new DoubleDouble(odd, least).ToSingle());
        Assert.Equal(next, new DoubleDouble(odd, -least).ToSingle());
        Assert.Equal(-next, new DoubleDouble(-tie, -least).ToSingle());
        Assert.Equal(-1, new DoubleDouble(-tie, least).ToSingle());
        Assert.Equal(1, new DoubleDouble(1, 0).ToSingle());
        Assert.Equal(1, new DoubleDouble(1, least).ToSingle());
        Assert.Equal(float.MaxValue, new DoubleDouble(float.MaxValue, 1).ToSingle());
        Assert.Equal(float.MaxValue, new DoubleDouble(float.MaxValue, -1).ToSingle());
        Assert.Equal(float.PositiveInfinity, new DoubleDouble(1e300, 0).ToSingle());
    }

    private static DoubleDouble Draw(Random random)
    {
        double high = Math.ScaleB(random.NextDouble() + 0.5, random.Next(-40, 41)) * (random.Next(2) == 0 ? 1 : -1);
        // Less than half a unit of the high part, and often few digits.
        double low = Math.ScaleB(random.NextDouble() - 0.5, Math.ILogB(high) - 53 - (random.Next(4) == 0 ? 30 : 0));
        low = random.Next(4) == 0 ? 0 : low;
        double sum = high + low;
        return new DoubleDouble(sum, low - (sum - high));
    }

    private static DoubleDouble Near(DoubleDouble a, Random random) =>
        new(a.High, random.Next(2) == 0 ? -a.Low : a.Low * random.NextDouble());

    private static BigInteger Exact(double x)
    {
        if (x == 0)
        {
            return 0;
        }

        int exponent = Math.ILogB(x) - 52;
        return (BigInteger)Math.ScaleB(x, -exponent) << (Shift + exponent);
    }

    private static BigInteger Exact(DoubleDouble x) => Exact(x.High) + Exact(x.Low);

    /// <summary>Within so many times 2^-106, and with a low part of at most half a unit of the high one.</summary>
    private static void AssertWithin(int units, BigInteger expected, DoubleDouble actual)
    {
        BigInteger off = BigInteger.Abs(expected - Exact(actual)) << 106;
        Assert.True(off <= (units * BigInteger.Abs(expected)) + (BigInteger.One << 107), $"{actual} is off.");
        Assert.Equal(actual.High, actual.High + actual.Low);
    }
}
