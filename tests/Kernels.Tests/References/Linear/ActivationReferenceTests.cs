using Kernels.References;
using Kernels.References.Linear;

namespace Kernels.Tests.References.Linear;

public sealed class ActivationReferenceTests
{
    private const double U = Bounded.UnitRoundoff;
    private const double Least = Bounded.LeastSubnormal;
    private const double Flushed = 1.3e-38;

    private static readonly double[] s_arguments = [0, 1e-30, 0.25, 1, 3, 5.5, 10, 20, 50, 1e3];

    [Fact]
    public void The_function_and_the_slope_are_those_of_the_hyperbolic_tangent()
    {
        foreach (double x in s_arguments.Concat(s_arguments.Select(x => -x)))
        {
            double v = Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x));
            double tanh = Math.Tanh(v);
            Assert.Equal(x * (1 + tanh) / 2, ActivationReference.Gelu(x).Value, 1e-14 * Math.Abs(x));
            double slope = ((1 + tanh) / 2)
                + (x / 2 * (1 - (tanh * tanh)) * Math.Sqrt(2 / Math.PI) * (1 + (0.134145 * x * x)));
            Assert.Equal(3 * slope, ActivationReference.GeluBack(x, 3).Value, 1e-13);
            Assert.Equal(new Bounded(Math.Max(x, 0), 0), ActivationReference.Relu(x));
            Assert.Equal(new Bounded(x > 0 ? 3 : 0, 0), ActivationReference.ReluBack(x, 3));
        }

        Assert.Equal(new Bounded(0.5, 0.25), ActivationReference.Relu(new Bounded(0.5, 0.25)));
        Assert.True(double.IsNaN(ActivationReference.Relu(double.NaN).Value));
        Assert.True(double.IsNaN(ActivationReference.ReluBack(double.NaN, 3).Value));
    }

    [Fact]
    public void Bounds_count_their_roundings()
    {
        // Of x s(w): what comes from e, and 3 of 1 + e, division and product; q = 1 - s(|w|) is the share of e.
        const double W = 1.5957691216057308 * 1.044715;
        double s = 1 / (1 + Math.Exp(-W));
        const double R = (6 * W) + 4;
        AssertClose(1.01 * U * s * (((1 - s) * R) + 3), ActivationReference.Gelu(1));
        AssertClose(1.01 * U * (1 - s) * ((s * R) + 3), ActivationReference.Gelu(-1));
        AssertClose(1.01 * U * 3 * 10, ActivationReference.Gelu(10));
        AssertClose(1.01 * Flushed * 1000, ActivationReference.Gelu(-1000));
        AssertClose(1.01 * Flushed * 1e30, ActivationReference.Gelu(-1e30));
        Assert.Equal(new Bounded(0, Least), ActivationReference.Gelu(0));
        AssertClose(1.13 / 8, ActivationReference.Gelu(new Bounded(0, 1 / 8.0)));

        // Of the slope besides: 3 times e and 13 more of the tail, 1 of the sum; and 1 of the product.
        double tail = s * (1 - s) * 1.5957691216057308 * (1 + (3 * 0.044715));
        AssertClose(
            2 * 1.01 * U * ((s * (((1 - s) * R) + 3)) + (tail * ((3 * R) + 13)) + (2 * (s + tail))),
            ActivationReference.GeluBack(1, -2));
        AssertClose(
            2 * 1.01 * U * (((1 - s) * ((s * R) + 3)) + (tail * ((3 * R) + 13)) + (2 * Math.Abs(1 - s - tail))),
            ActivationReference.GeluBack(-1, 2));
        AssertClose(1.01 * U * ((0.5 * ((0.5 * 4) + 3)) + (2 * 0.5)), ActivationReference.GeluBack(0, 1));
        AssertClose(1.01 * U * (3 + 2), ActivationReference.GeluBack(1e30, 1));
        AssertClose(1.01 * Flushed * 240, ActivationReference.GeluBack(-1e30, 1));
        Assert.Equal(Least, ActivationReference.GeluBack(1, 0).Bound);

        static void AssertClose(double expected, Bounded got) => Assert.Equal(1, got.Bound / expected, 1e-6);
    }

    /// <summary>An exponential may be 0 below 1.3e-38: the slope is then off by most just there.</summary>
    [Fact]
    public void The_bound_of_a_slope_without_the_exponential_is_not_far_from_the_worst()
    {
        double worst = 0;
        for (double x = 9; x < 20; x += 1e-3)
        {
            double w = 1.5957691216057308 * (x + (0.044715 * x * x * x));
            double lost = Math.Min(Math.Exp(-w), Flushed);
            worst = Math.Max(worst, lost * (1 + (x * 1.5957691216057308 * (1 + (3 * 0.044715 * x * x)))));
        }

        Assert.InRange(ActivationReference.GeluBack(-1000, 1).Bound, worst, 1.06 * worst);
    }

    [Fact]
    public void What_is_not_finite_is_exactly_so_or_not_stated()
    {
        Assert.Equal(new Bounded(double.PositiveInfinity, 0), ActivationReference.Gelu(double.PositiveInfinity));
        Assert.Equal(
            double.PositiveInfinity, ActivationReference.Gelu(new Bounded(double.PositiveInfinity, 1)).Bound);
        Assert.False(ActivationReference.Gelu(double.NegativeInfinity).Admits(0));
        AssertSlope(1, double.PositiveInfinity);
        AssertSlope(0, double.NegativeInfinity);
        // The slope at 1.5 is 1.13.
        Assert.True(ActivationReference.GeluBack(1.5, float.MaxValue / 1.14).IsInDomain);
        Assert.Equal(double.PositiveInfinity, ActivationReference.GeluBack(1.5, float.MaxValue).Bound);

        static void AssertSlope(double expected, double x)
        {
            Bounded slope = ActivationReference.GeluBack(x, 1);
            Assert.Equal(expected, slope.Value);
            Assert.InRange(slope.Bound, 0, 1e-6);
        }
    }
}
