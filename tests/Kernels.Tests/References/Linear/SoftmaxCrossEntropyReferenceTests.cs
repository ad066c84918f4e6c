using Kernels.References;
using Kernels.References.Linear;

namespace Kernels.Tests.References.Linear;

public sealed class SoftmaxCrossEntropyReferenceTests
{
    private const double U = Bounded.UnitRoundoff;
    private const double Least = Bounded.LeastSubnormal;

    [Fact]
    public void A_small_case_by_hand()
    {
        // Probabilities 1/4, 3/4; and 1/2, 1/2.
        (Bounded[] losses, Bounded mean, Bounded[] gradient) = SoftmaxCrossEntropyReference.Evaluate(
            [2, 2 + MathF.Log(3), 5, 5], [0, 1], 2);
        AssertClose([Math.Log(4), Math.Log(2)], losses);
        AssertClose([(Math.Log(4) + Math.Log(2)) / 2], [mean]);
        AssertClose([-3 / 8.0, 3 / 8.0, 1 / 4.0, -1 / 4.0], gradient);

        static void AssertClose(double[] expected, Bounded[] got) =>
            Assert.All(got.Select((v, i) => (v.Value, i)), p => Assert.Equal(expected[p.i], p.Value, 1e-6));
    }

    /// <summary>The sum is the number of classes, each term has 4 roundoffs.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(65536)]
    public void Bounds_of_equal_logits_count_their_roundings(int classes)
    {
        float[] logits = new float[2 * classes];
        Array.Fill(logits, 0.7f);
        (Bounded[] losses, Bounded mean, Bounded[] gradient) = SoftmaxCrossEntropyReference.Evaluate(
            logits, [0, classes - 1], classes);
        double off = 1.01 * ((4 * U) + Bounded.Gamma(classes));
        double q = off / (1 - off);
        double loss = 1.01 * (q + (4 * U * Math.Log(classes)));
        Assert.All(losses, v => AssertClose(loss, v.Bound));
        // One addition, one division.
        AssertClose(loss + (2 * U * Math.Log(classes)), mean.Bound);

        double share = 1.0 / classes;
        AssertClose(1.01 * ((share * ((6 * U) + q)) + (3 * U * (1 - share))) / 2, gradient[0].Bound);
        double last = classes == 1 ? 0 : share;
        AssertClose(1.01 * ((share * ((6 * U) + q)) + (3 * U * last)) / 2, gradient[classes - 1].Bound);

        static void AssertClose(double expected, double bound) => Assert.Equal(1, bound / expected, 2e-6);
    }

    [Fact]
    public void Bounds_of_a_distant_logit_count_their_roundings()
    {
        // The difference, 50, and the loss, 50; 6 of the sum, which the logarithm takes over.
        (Bounded[] losses, _, Bounded[] gradient) = SoftmaxCrossEntropyReference.Evaluate([1, -49], [1], 2);
        Assert.Equal((1.01 * 1.01 * 6) + 50 + 50, losses[0].Bound / U, 1e-3);
        Assert.Equal(1.01 * (4 + (1.01 * 6) + 2 + 3), gradient[0].Bound / U, 1e-3);
        Assert.Equal(1.01 * 3, gradient[1].Bound / U, 1e-3);
        // exp(-30) has 34 roundoffs, and the softmax 2 more and those of the sum.
        gradient = SoftmaxCrossEntropyReference.Evaluate([1, -29], [0], 2).Gradient;
        Assert.Equal(1.01 * (34 + (1.01 * 6) + 2 + 3), gradient[1].Bound / U / Math.Exp(-30), 1e-3);
        // Nothing but what an exponential that is 0 may have been.
        gradient = SoftmaxCrossEntropyReference.Evaluate([0, -1000], [0], 2).Gradient;
        Assert.Equal(1.01 * (4 + (1.01 * 6) + 2), gradient[0].Bound / U, 1e-3);
        Assert.Equal(0, gradient[1].Value);
        Assert.Equal((1.01 * 1.3e-38) + Least, gradient[1].Bound, Least / 2);
        Assert.Equal(
            gradient[1], SoftmaxCrossEntropyReference.Evaluate([0, float.NegativeInfinity], [0], 2).Gradient[1]);
    }

    [Fact]
    public void What_is_not_finite_is_exactly_so()
    {
        (Bounded[] losses, Bounded mean, _) = SoftmaxCrossEntropyReference.Evaluate(
            [0, float.NegativeInfinity], [1], 2);
        Assert.Equal(new Bounded(double.PositiveInfinity, 0), Assert.Single(losses));
        Assert.Equal(double.PositiveInfinity, mean.Bound);
        Assert.Equal(double.NaN, SoftmaxCrossEntropyReference.Evaluate([], [], 2).Mean);
        foreach (int label in new[] { -1, 2 })
        {
            (losses, mean, Bounded[] gradient) = SoftmaxCrossEntropyReference.Evaluate([0, 1], [label], 2);
            Bounded[] all = [.. losses, mean, .. gradient];
            Assert.All(all, v => Assert.True(v.Admits(float.NaN) && !v.Admits(0)));
        }
    }

    [Fact]
    public void Wrong_calls_are_refused()
    {
        Assert.Throws<ArgumentException>("logits", () => SoftmaxCrossEntropyReference.Evaluate([1, 2, 3], [0], 2));
        Assert.Throws<ArgumentException>("logits", () => SoftmaxCrossEntropyReference.Evaluate([], [0], 0));
        Assert.Throws<ArgumentException>("logits", () => SoftmaxCrossEntropyReference.Evaluate([1], [0], -1));
    }
}
