using Kernels.References;
using Kernels.References.VectorQuantization;

namespace Kernels.Tests.References.VectorQuantization;

public sealed class SoftmaxCodesReferenceTests
{
    private const int D = 3;
    private const int K = 7;
    private const int N = 4;

    /// <remarks>
    /// Central differences with a step h are within h^2 / 6 of the largest third derivative. Logits are linear in a number,
    /// with factors a that differ by at most r, so that of the mean of c = g v is E (c - Ec) (a - Ea)^3 - 3 Var a Cov(c, a),
    /// at most 19 / 16 r^3 times the range of c; r is twice the largest code along x, and the largest x along a code, which
    /// is in the logits of all rows. Numbers are multiples of h, so that steps are exact; binary64 loses some hundred
    /// roundings.
    /// </remarks>
    [Fact]
    public void Gradients_are_those_of_the_soft_output_plus_the_hard_one()
    {
        const float H = 1f / 16384;
        var random = new Random(1);
        float[] x = Array.ConvertAll(Floats(random, N * D, 2), v => MathF.Round(v / H) * H);
        float[] codes = Array.ConvertAll(Floats(random, K * D, 1), v => MathF.Round(v / H) * H);
        float[] g = Floats(random, N * D, 1);
        int[] index = [0, 3, -1, 3];
        (Bounded[] gradX, Bounded[] gradCodes) = SoftmaxCodesReference.Backward(x, codes, index, g, D);
        double most = codes.Max(MathF.Abs);
        double[] ranges = [.. g.Chunk(D).Select(row => 2 * most * row.Sum(v => (double)Math.Abs(v)))];
        double lost = Math.ScaleB(100 * ranges.Sum(), -53) / H;
        for (int i = 0; i < x.Length; i++)
        {
            double expected = (Soft(x, i, H) - Soft(x, i, -H)) / (2 * H);
            double third = 19.0 / 16 * Math.Pow(2 * most, 3) * ranges[i / D];
            Assert.Equal(expected, gradX[i].Value, (H * H / 6 * third) + lost);
        }

        // The values are constant in the soft part: only the logits depend on the codes there.
        for (int i = 0; i < codes.Length; i++)
        {
            double hard = Enumerable.Range(0, N).Where(n => index[n] == i / D).Sum(n => (double)g[(n * D) + (i % D)]);
            double third = 19.0 / 16 * Math.Pow(x.Max(MathF.Abs), 3) * ranges.Sum();
            Assert.Equal(
                hard + ((Soft(codes, i, H) - Soft(codes, i, -H)) / (2 * H)), gradCodes[i].Value, (H * H / 6 * third) + lost);
        }

        double Soft(float[] what, int i, float h)
        {
            float[] values = [.. codes];
            float old = what[i];
            what[i] += h;
            double sum = 0;
            for (int n = 0; n < N; n++)
            {
                double[] e = [.. Enumerable.Range(0, K).Select(j => Math.Exp(Dot(x, n, codes, j)))];
                sum += index[n] < 0 ? 0 : Enumerable.Range(0, K).Sum(j => e[j] / e.Sum() * Dot(g, n, values, j));
            }

            what[i] = old;
            return sum;
        }

        static double Dot(float[] a, int n, float[] b, int j) =>
            Enumerable.Range(0, D).Sum(i => (double)a[(n * D) + i] * b[(j * D) + i]);
    }

    [Fact]
    public void Probabilities_sum_to_1_and_large_logits_do_not_overflow()
    {
        Bounded[] p = SoftmaxCodesReference.Probabilities([100, 200, 0, 0], [3, 4, 3, 4, -5, 1], 2);
        Assert.Equal([0.5, 0.5, 0], p[..3].Select(v => v.Value));
        Assert.Equal(1, p[3..].Sum(v => v.Value), 1e-15);
        (Bounded[] gradX, Bounded[] gradCodes) = SoftmaxCodesReference.Backward([1, 2], [5, 6], [0], [7, 8], 2);
        Assert.Equal([0.0, 0], gradX.Select(v => v.Value)); // K = 1: nothing to choose
        Assert.Equal([7.0, 8], gradCodes.Select(v => v.Value));
    }

    [Fact]
    public void Binary32_with_a_running_maximum_is_within_the_bounds()
    {
        var random = new Random(2);
        foreach (float scale in new[] { 0.1f, 1f, 8f })
        {
            const int Codes = 100;
            float[] z = Floats(random, D, scale);
            float[] codes = Floats(random, Codes * D, 1);
            float[] g = Floats(random, D, 1);
            float largest = float.NegativeInfinity;
            float sum = 0;
            float along = 0;
            float[] te = new float[D];
            float[] pe = new float[D];
            for (int j = 0; j < Codes; j++)
            {
                float[] e = codes[(j * D)..((j + 1) * D)];
                float logit = Dot(z, e);
                float t = Dot(g, e);
                float next = MathF.Max(largest, logit);
                float rescale = MathF.Exp(largest - next);
                float p = MathF.Exp(logit - next);
                sum = (sum * rescale) + p;
                along = (along * rescale) + (p * t);
                for (int i = 0; i < D; i++)
                {
                    te[i] = (te[i] * rescale) + (p * t * e[i]);
                    pe[i] = (pe[i] * rescale) + (p * e[i]);
                }

                largest = next;
            }

            (Bounded[] gradX, Bounded[] gradCodes) = SoftmaxCodesReference.Backward(z, codes, [5], g, D);
            for (int i = 0; i < D; i++)
            {
                Assert.True(gradX[i].Admits((te[i] / sum) - (along / sum * (pe[i] / sum))));
                Assert.InRange(gradX[i].Bound, 0, 1e-3);
            }

            for (int j = 0; j < Codes; j++)
            {
                float[] e = codes[(j * D)..((j + 1) * D)];
                float logit = MathF.Exp(Dot(z, e) - largest) / sum * (Dot(g, e) - (along / sum));
                for (int i = 0; i < D; i++)
                {
                    Assert.True(gradCodes[(j * D) + i].Admits((j == 5 ? g[i] : 0) + (logit * z[i])));
                }
            }
        }
    }

    /// <summary>Worked out once in binary64: another count of roundings is another number.</summary>
    [Fact]
    public void The_bounds_are_those_of_their_derivation()
    {
        AssertBounds(
            [9.2875271415e-7, 9.11079145853e-7, 8.93741740961e-7, 8.35104102445e-7, 8.99845189202e-7, 9.69603952367e-7],
            SoftmaxCodesReference.Probabilities(Sixtyfourths(4, 0), Sixtyfourths(6, 1), 2));
        AssertBounds(
            [7.2327711892e-7, 7.09430170421e-7, 6.9584812137e-7, 6.48056974483e-7, 6.98535002434e-7, 7.52943094097e-7],
            SoftmaxCodesReference.Probabilities(Sixtyfourths(4, 0), Sixtyfourths(6, 1), 2, rescalings: 2));
        // Far codes may be flushed to 0, and beyond 100 below the largest nothing is rescaled.
        AssertBounds(
            [1.3e-38, 4.37439909181e-5, 1.3e-38], SoftmaxCodesReference.Probabilities([30], [-4, 4, 0], 1));
        Assert.All(
            SoftmaxCodesReference.Probabilities([1e4f], [1e4f, 9e3f], 1),
            p => Assert.Equal(double.PositiveInfinity, p.Bound));

        (Bounded[] gradX, Bounded[] gradCodes) = SoftmaxCodesReference.Backward(
            Sixtyfourths(6, 0), Sixtyfourths(6, 1), [2, -1, 0], Sixtyfourths(6, 2), 2);
        AssertBounds([5.42138575107e-7, 2.09105457851e-6, 0, 0, 2.98702664178e-7, 1.06352419624e-6], gradX);
        AssertBounds(
            [8.17304290761e-7, 8.38058728694e-7, 5.71205332198e-7, 7.37835040561e-7, 6.32980109311e-7, 1.0076155985e-6],
            gradCodes);

        // What underflows, and a hard code whose own gradient is the most of it.
        (gradX, gradCodes) = SoftmaxCodesReference.Backward([30, 0], [-4, 0, 4, 0, 0, 0], [1], [0.5f, 2], 2, 1);
        AssertBounds([0.00173372629967, 3 * Bounded.LeastSubnormal], gradX);
        double least = Bounded.LeastSubnormal * (1 + Bounded.Gamma(4));
        AssertBounds(
            [1.96950047097e-36, least, 0.0130030695571, 4.76837726638e-7, 1.18170028314e-36, least], gradCodes);

        static void AssertBounds(double[] expected, Bounded[] actual)
        {
            Assert.Equal(expected.Length, actual.Length);
            Assert.All(expected.Zip(actual), pair => Assert.InRange(
                pair.Second.Bound, pair.First * (1 - 1e-8), pair.First * (1 + 1e-8)));
        }
    }

    [Fact]
    public void Wrong_calls_are_refused()
    {
        Assert.Throws<ArgumentException>("grad", () => SoftmaxCodesReference.Backward([1], [1], [0], [], 1));
        Assert.Throws<ArgumentException>("x", () => SoftmaxCodesReference.Backward([1, 2], [1], [0], [1], 1));
        Assert.Throws<ArgumentOutOfRangeException>(
            "index", () => SoftmaxCodesReference.Backward([1], [1], [1], [1], 1));
    }

    private static float Dot(float[] a, float[] b) => a.Zip(b, (x, y) => x * y).Aggregate((x, y) => x + y);

    private static float[] Sixtyfourths(int n, int t) =>
        [.. Enumerable.Range(1, n).Select(i => ((i * (37 + (10 * t)) % 101) - 50) / 64f)];

    private static float[] Floats(Random random, int n, float scale) =>
        [.. Enumerable.Range(0, n).Select(_ => scale * (float)((random.NextDouble() * 2) - 1))];
}
