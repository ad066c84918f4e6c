using FsCheck.Xunit;
using Kernels.References;
using Kernels.References.Quantization;
using Kernels.Tests.Support;
using static Kernels.Tests.References.Quantization.Numbers;

namespace Kernels.Tests.References.Quantization;

public sealed class MappingReferenceTests
{
    private static readonly MappingDecay[] s_proximal =
        [MappingDecay.Ratio, MappingDecay.Exponential, MappingDecay.Adjacent];

    [Fact]
    public void The_largest_logit_has_it_and_the_first_of_equal_ones()
    {
        const float Nan = float.NaN;
        Assert.Equal(
            [1, 0, 2, 0, 1],
            MappingReference.Hard([0, 2, 2, 5, 5, 5, Nan, -3, 1, Nan, Nan, Nan, Nan, float.NegativeInfinity, Nan], 3));
        Assert.Equal([0, 0], MappingReference.Hard([-1, 4], 1));
    }

    [Theory]
    [InlineData(1.0)]
    [InlineData(0.5)]
    [InlineData(3.0)]
    public void The_default_gradient_is_that_of_the_soft_weight_and_sums_to_0(double temperature)
    {
        var random = new Random(1);
        const int K = 6;
        float[] codebook = Ascending(random, K, 2);
        float[] logits = Uniform(random, 4 * K, 3);
        float[] g = Uniform(random, 4);
        var mapping = new MappingReference(MappingDecay.Distance, true, temperature);
        Bounded[] gradient = mapping.Gradient(logits, codebook, g);
        Assert.All(gradient.Chunk(K), row => Assert.Equal(0, row.Sum(v => v.Value), 1e-15));
        double[] wide = Wide(logits);
        for (int i = 0; i < wide.Length; i++)
        {
            const double H = 1e-5;
            wide[i] += H;
            double plus = Soft(i / K);
            wide[i] -= 2 * H;
            double minus = Soft(i / K);
            wide[i] += H;
            Assert.Equal(g[i / K] * (plus - minus) / (2 * H), gradient[i].Value, 1e-9);
        }

        double Soft(int row)
        {
            double[] e = [.. wide[(row * K)..][..K].Select(l => Math.Exp(l / temperature))];
            return e.Zip(codebook, (a, c) => a * c).Sum() / e.Sum();
        }
    }

    [Property(MaxTest = 100)]
    public void A_proximal_gradient_has_the_sign_of_the_default_and_does_not_grow_with_the_distance(int seed)
    {
        var random = new Random(seed);
        int k = random.Next(2, 17);
        float[] codebook = random.Next(3) == 0
            ? [.. Integers(random, k, 5).Order()]
            : Ascending(random, k);
        float[] logits = new float[k];
        Array.Fill(logits, 0.5f);
        int hard = random.Next(k);
        logits[hard] = 1; // all others have the same probability
        Bounded[] usual = new MappingReference(MappingDecay.Distance, false, 1).Gradient(logits, codebook, [1]);
        foreach (MappingDecay decay in s_proximal)
        {
            double[] own = Values(new MappingReference(decay, false, 1).Gradient(logits, codebook, [1]));
            Assert.Equal(0, own[hard]);
            for (int i = 0; i < k; i++)
            {
                bool isFar = decay == MappingDecay.Adjacent && own[i] == 0;
                Assert.True(isFar || Math.Sign(own[i]) == Math.Sign(usual[i].Value));
                for (int other = 0; other < k; other++)
                {
                    // On one side of the code in use; adjacent codes may lie nearer on one side than on the other.
                    bool isSameSide = codebook[i] > codebook[hard] == codebook[other] > codebook[hard];
                    float a = Math.Abs(codebook[i] - codebook[hard]);
                    float b = Math.Abs(codebook[other] - codebook[hard]);
                    if (a > 0 && b > a && (isSameSide || decay != MappingDecay.Adjacent))
                    {
                        Assert.True(Math.Abs(own[other]) <= Math.Abs(own[i]) * (1 + 1e-12));
                        Assert.True(Math.Abs(usual[other].Value) > Math.Abs(usual[i].Value));
                    }
                }
            }

            double[] centred = Values(new MappingReference(decay, true, 1).Gradient(logits, codebook, [1]));
            Assert.Equal(0, centred.Sum(), 1e-14);
        }
    }

    [Fact]
    public void The_three_functions_are_those_of_the_definition()
    {
        // Gaps of 1, 1 and 4, mean gap 2; code 1 in use, probabilities 1/6, 1/2, 1/6, 1/6.
        float[] codebook = [-1, 0, 1, 5];
        float[] logits = [0, MathF.Log(3), 0, 0];
        AssertClose([-4 / 3.0 / 6, 0, 4 / 3.0 / 6, 4 / 7.0 / 6], Of(MappingDecay.Ratio), 1e-7);
        AssertClose(
            [-2 * Math.Exp(-0.5) / 6, 0, 2 * Math.Exp(-0.5) / 6, 2 * Math.Exp(-2.5) / 6], Of(MappingDecay.Exponential),
            1e-7);
        AssertClose([-2 / 6.0, 0, 2 / 6.0, 0], Of(MappingDecay.Adjacent), 1e-7);
        AssertClose([-1 / 6.0, 0, 1 / 6.0, 5 / 6.0], Of(MappingDecay.Distance), 1e-7);
        // One of the caller's; with a temperature of 2 and logits twice as large half of it.
        var own = new MappingReference((d, gap) => gap * gap * gap / (d * d), isCentred: false, temperature: 2);
        AssertClose(
            [-8 / 12.0, 0, 8 / 12.0, 8 / 25.0 / 12],
            Values(own.Gradient([0, 2 * MathF.Log(3), 0, 0], codebook, [1])), 1e-7);
        own = new MappingReference((d, _) => d, isCentred: true, temperature: 2);
        AssertClose(
            Values(new MappingReference(MappingDecay.Distance, true, 2).Gradient(logits, codebook, [1])),
            Values(own.Gradient(logits, codebook, [1])), 1e-15);
        // Equal codes take no part, and the next different one is adjacent; a mean gap of 1.
        AssertClose(
            [-1 / 8.0, 0, 0, 1 / 8.0],
            Values(new MappingReference(MappingDecay.Adjacent, false, 1).Gradient(
                [0, MathF.Log(5), 0, 0], [0, 2, 2, 3], [1])), 1e-7);

        double[] Of(MappingDecay decay) =>
            Values(new MappingReference(decay, false, 1).Gradient(logits, codebook, [1]));
    }

    /// <summary>Where a kernel may have 0 times infinity.</summary>
    [Theory]
    [InlineData(MappingDecay.Ratio, 1, 0, 0, float.NegativeInfinity)]
    [InlineData(MappingDecay.Ratio, 1e-2, 0, 0, 3e38f)]
    [InlineData(MappingDecay.Adjacent, 1, -2e38f, 3e38f, 0)]
    [InlineData(MappingDecay.Distance, 1, 0, 2e38f, 0)]
    public void Of_a_factor_that_overflows_nothing_is_said(
        MappingDecay decay, double temperature, float least, float greatest, float grad)
    {
        var mapping = new MappingReference(decay, decay == MappingDecay.Distance, temperature);
        float[] codebook = [least, least, greatest, greatest];
        Assert.All(mapping.Gradient([1, 0, 1, 1], codebook, [grad])[2..], slope => Assert.False(slope.IsInDomain));
        Assert.All(mapping.Gradient([1, 0, 1, 1], [0, 0, 1, 1], [1]), slope => Assert.True(slope.IsInDomain));
    }

    [Fact]
    public void Bounds_of_probabilities_count_their_roundings()
    {
        const double U = Bounded.UnitRoundoff;
        var mapping = new MappingReference(MappingDecay.Distance, false, 1);
        // Each of two has 4.04, the sum 2 of them and 2 of its own, its half and the reciprocal 3.02, and the product.
        Assert.All(mapping.Probabilities([7, 7], 2), p => Assert.Equal((4.04 / 2) + 3.02 + 0.5, p.Bound / U, 1e-4));
        // A product of g = 2 and a probability of 5.54, and two roundings for another order.
        Assert.Equal((2 * 5.54) + 1 + 2, mapping.Gradient([7, 7], [0, 1], [2])[1].Bound / U, 1e-3);
        // And of exp(-1), which has 5, another product.
        Bounded slope = new MappingReference(MappingDecay.Exponential, false, 1).Gradient([7, 7], [0, 1], [2])[1];
        Assert.Equal((2 * 5.54) + 1 + 5 + 1 + 2, slope.Bound / slope.Value / U, 1e-3);
        // A distance of 50 is rounded once, and with a temperature three times; 5.04 of the sum, and two more.
        Bounded far = mapping.Probabilities([7, 7, 1, -49], 2)[3];
        Assert.Equal((1.01 * 54) + 5.04 + 2, far.Bound / far.Value / U, 1e-3);
        far = new MappingReference(MappingDecay.Distance, false, 2).Probabilities([1, -99], 2)[1];
        Assert.Equal((1.01 * 154) + 5.04 + 2, far.Bound / far.Value / U, 1e-3);
        // What is 0, or is flushed to it.
        far = mapping.Probabilities([0, -1000], 2)[1];
        Assert.Equal(0, far.Value);
        Assert.Equal(1, far.Bound / 1.3e-38, 1e-5);
        Assert.Equal(far, mapping.Probabilities([0, float.NegativeInfinity], 2)[1]);
        Assert.Equal(1, Assert.Single(mapping.Probabilities([3], 1)));
    }

    /// <summary>In units of the least number: what an order of three or four factors may lose below it.</summary>
    [Theory]
    [InlineData(1, 1e-20f, 1e-20f, 1 + (2 * 2))]
    [InlineData(1, 3, 1e-20f, 1 + (2 * 4 * 2))]
    [InlineData(1, 1e-20f, 3, 3 + 1 + (2 * 4 * 2))]
    [InlineData(0.5, 1e-20f, 1e-20f, 2 + 1 + (2 * 3))]
    public void Bounds_of_a_product_count_what_underflows(double temperature, float grad, float code, double expected)
    {
        var mapping = new MappingReference(MappingDecay.Distance, false, temperature);
        Bounded slope = mapping.Gradient([0, -1000], [0, code], [grad])[1];
        Assert.Equal(0, slope.Value);
        Assert.Equal(expected, slope.Bound / Bounded.LeastSubnormal, 1e-3);
    }

    [Fact]
    public void What_underflows_may_meet_a_factor_that_is_all_roundings()
    {
        // The middle code less the mean is 0 within 16.08 roundoffs of a gap: 12.08 of two probabilities, 2 of the
        // product, 2 of the sum. Once in the product, and four times for its other orders.
        var mapping = new MappingReference(MappingDecay.Distance, true, 1);
        Bounded slope = mapping.Gradient([0, -1000, 0], [-1e20f, 0, 1e20f], [1e-30f])[1];
        Assert.Equal(0, slope.Value);
        Assert.Equal(5 * 16.08, slope.Bound / Bounded.LeastSubnormal / Bounded.UnitRoundoff / 1e20, 1e-2);
    }

    [Fact]
    public void One_code_and_equal_codes_have_nothing_to_learn()
    {
        foreach (MappingDecay decay in s_proximal.Append(MappingDecay.Distance))
        {
            foreach (bool isCentred in new[] { false, true })
            {
                var mapping = new MappingReference(decay, isCentred, 1);
                Assert.Equal([new Bounded(0, 0)], mapping.Gradient([3], [1.5f], [2]));
                Assert.Equal([new Bounded(0, 0), 0], mapping.Gradient([3, 1], [1, 2], [0]));
                Assert.All(mapping.Gradient([3, 1, 2], [1.5f, 1.5f, 1.5f], [2]), v => Assert.Equal(0, v.Value, 1e-15));
            }
        }

        Bounded[] lost = new MappingReference(MappingDecay.Ratio, true, 1).Gradient([1, float.NaN], [0, 1], [1]);
        Assert.All(lost, v => Assert.True(v.Admits(float.NaN) && !v.Admits(1)));
    }

    [Fact]
    public void Hardening_is_0_for_a_certain_code_and_its_gradient_a_finite_difference()
    {
        var random = new Random(2);
        const int K = 5;
        const double H = 1.0 / 1024;
        foreach (double temperature in new[] { 1.0, 0.5 })
        {
            var mapping = new MappingReference(MappingDecay.Distance, true, temperature);
            float[] logits = Uniform(random, 3 * K, 2);
            (Bounded[] value, Bounded[] gradient) = mapping.Harden(logits, K, 0.75);
            for (int i = 0; i < logits.Length; i++)
            {
                float old = logits[i];
                logits[i] = old + (float)H;
                double plus = mapping.Harden(logits, K, 0.75).Value[i / K].Value;
                double up = logits[i];
                logits[i] = old - (float)H;
                double minus = mapping.Harden(logits, K, 0.75).Value[i / K].Value;
                Assert.Equal((plus - minus) / (up - logits[i]), gradient[i].Value, 1e-5);
                logits[i] = old;
            }

            Assert.All(gradient.Chunk(K), row => Assert.Equal(0, row.Sum(v => v.Value), 1e-15));
            Assert.All(value, v => Assert.InRange(v.Value, 0, 0.75));
            Assert.Equal(0.8, mapping.Harden(new float[K], K).Value[0].Value, 1e-15);
            Assert.Equal(0, mapping.Harden([300, 0, 0, 0, 0], K).Value[0].Value, 1e-15);
            Assert.Equal(new Bounded(0, 0), mapping.Harden([7], 1).Value[0]);
            Assert.Equal(new Bounded(0, 0), mapping.Harden([7], 1).GradLogits[0]);
        }
    }

    [Property(MaxTest = 60)]
    public void Binary32_is_within_the_bounds(int seed)
    {
        var random = new Random(seed);
        int k = new[] { 2, 3, 5, 16, 256 }[random.Next(5)];
        float spread = random.Next(3) switch { 0 => 0.1f, 1 => 3, _ => 40 };
        float t = random.Next(2) == 0 ? 1 : 0.3f;
        float[] logits = Uniform(random, k, spread);
        float[] codebook = Ascending(random, k);
        float g = (random.NextSingle() * 2) - 1;
        float largest = logits.Max();
        int hard = Array.IndexOf(logits, largest);
        float gap = (codebook[^1] - codebook[0]) / (k - 1);
        float inverse = 1 / t;
        foreach (bool isInverse in new[] { false, true })
        {
            float[] e = [.. logits.Select(l =>
                MathF.Exp(isInverse ? (l - largest) * inverse : (l - largest) / t))];
            float sum = isInverse ? FloatSum.Sum(e) : FloatSum.Tree(e);
            float[] p = [.. e.Select(v => isInverse ? v * (1 / sum) : v / sum)];
            AssertAdmits(new MappingReference(MappingDecay.Distance, true, t).Probabilities(logits, k), p);
            float soft = FloatSum.Sum(p.Select((q, i) => q * codebook[i]));
            Check(MappingDecay.Distance, true, i => p[i] * g * (codebook[i] - soft) / t);
            Check(MappingDecay.Distance, false, i => p[i] * (g * (codebook[i] - codebook[hard])) * inverse);
            foreach (MappingDecay decay in s_proximal)
            {
                float[] v = [.. Enumerable.Range(0, k).Select(i => Direction(decay, i))];
                Check(decay, false, i => g * p[i] * v[i] * inverse);
                float mean = FloatSum.Tree([.. p.Select((q, i) => q * v[i])]);
                Check(decay, true, i => g * inverse * p[i] * (v[i] - mean));
            }

            var mapping = new MappingReference(MappingDecay.Distance, true, t);
            (Bounded[] value, Bounded[] gradient) = mapping.Harden(logits, k, 0.1);
            float squares = FloatSum.Sum(p.Select(q => q * q));
            AssertAdmits(value, [0.1f * (1 - squares)]);
            AssertAdmits(gradient, [.. p.Select(q => -0.2f * q * (q - squares) * inverse)]);
        }

        void Check(MappingDecay decay, bool isCentred, Func<int, float> found)
        {
            Bounded[] expected = new MappingReference(decay, isCentred, t).Gradient(logits, codebook, [g]);
            AssertAdmits(expected, [.. Enumerable.Range(0, k).Select(found)]);
            double size = Values(expected).Max(Math.Abs);
            Assert.All(expected, v => Assert.InRange(v.Bound, 0, (1e-3 * size) + (1e-5 * Math.Abs(g))));
        }

        float Direction(MappingDecay decay, int i)
        {
            float difference = codebook[i] - codebook[hard];
            float d = Math.Abs(difference);
            bool isAdjacent = Math.Abs(i - hard) == 1;
            float phi = decay switch
            {
                MappingDecay.Ratio => gap * gap / (d + gap),
                MappingDecay.Exponential => gap * MathF.Exp(-d / gap),
                _ => isAdjacent ? gap : 0,
            };
            return difference == 0 ? 0 : MathF.CopySign(phi, difference);
        }
    }

    [Fact]
    public void A_latent_number_is_rounded_and_a_half_goes_down()
    {
        Assert.Equal(
            [0, 0, 0, 1, 1, 2, 3, 3, 3, 0, 0],
            LatentReference.Hard(
                [-7, 0, 0.5f, 0.50000006f, 1.5f, 1.6f, 2.7f, 9, float.PositiveInfinity, float.NaN, 1e-30f], 4));
        for (int k = 1; k <= 256; k++)
        {
            float[] v = [.. Enumerable.Range(0, k).Select(j => j + 0.5f)];
            Assert.Equal(Enumerable.Range(0, k), LatentReference.Hard(v, k));
            Assert.Equal(
                Enumerable.Range(1, k).Select(j => Math.Min(j, k - 1)),
                LatentReference.Hard([.. v.Select(MathF.BitIncrement)], k));
        }
    }

    [Fact]
    public void Its_gradient_is_the_slope_of_the_codebook()
    {
        float[] codebook = [-3, -1, 0, 4];
        Assert.Equal(
            [4, 3, 5, 8, 4, 8],
            Values(LatentReference.Gradient([0, 1, 2, 3, -5, 8], codebook, [2, 2, 2, 2, 2, 2])));
        Assert.Equal([0.0], Values(LatentReference.Gradient([0], [3], [2])));
        var random = new Random(3);
        codebook = Ascending(random, 9);
        float[] v = Array.ConvertAll(Uniform(random, 200), x => 4 + (6 * x));
        float[] g = Uniform(random, 200);
        float[] found = [.. LatentReference.Hard(v, 9).Select((j, i) => j is 0 or 8
            ? g[i] * (codebook[Math.Min(j + 1, 8)] - codebook[Math.Max(j - 1, 0)])
            : g[i] * 0.5f * (codebook[j + 1] - codebook[j - 1]))];
        AssertAdmits(LatentReference.Gradient(v, codebook, g), found);
    }

    [Fact]
    public void Gradients_of_codes_and_scales_are_finite_differences()
    {
        var random = new Random(4);
        var shape = new CodebookShape(
            4, 6, 3, 2, QuantizationScope.Groups([0, 3, 4], 6), QuantizationScope.Blocks(8, 24));
        float[] g = Uniform(random, 24);
        float[] codebook = Uniform(random, 12);
        float[] scale = [0.5f, 0, -2];
        int[] index = Below(random, 12, 3);
        double[] codes = Values(CodebookGradientReference.Codes(shape, index, g, scale));
        double[] scales = Values(CodebookGradientReference.Scales(shape, index, g, codebook));
        // The product is linear in either: a difference is exact.
        AssertClose([.. Enumerable.Range(0, 12).Select(i => Difference(codebook, i))], codes, 1e-6);
        AssertClose([.. Enumerable.Range(0, 3).Select(i => Difference(scale, i))], scales, 1e-6);
        Assert.NotEqual(0, scales[1]); // of the scale 0 as well

        double Difference(float[] what, int i)
        {
            float old = what[i];
            what[i] = old + 1;
            double plus = Loss();
            what[i] = old - 1;
            double minus = Loss();
            what[i] = old;
            return (plus - minus) / 2;
        }

        double Loss() =>
            DequantizeReference.Evaluate(shape, index, codebook, scale).Zip(g, (q, v) => q.Value * v).Sum();
    }

    [Fact]
    public void Their_binary32_sums_are_within_the_bounds_and_integers_exact()
    {
        var random = new Random(5);
        var shape = new CodebookShape(30, 40, 5, 1, null, QuantizationScope.Groups([0, 11, 30], 40));
        float[] g = Uniform(random, 1200);
        float[] scale = [0.3f, 1.9f];
        float[] codebook = Ascending(random, 5);
        int[] index = [.. Below(random, 1200, 4)];
        Bounded[] codes = CodebookGradientReference.Codes(shape, index, g, scale);
        Assert.Equal(new Bounded(0, 0), codes[4]); // no weight has it
        Bounded[] scales = CodebookGradientReference.Scales(shape, index, g, codebook);
        foreach (bool isTree in new[] { false, true })
        {
            Func<IEnumerable<float>, float> sum = isTree ? terms => FloatSum.Tree([.. terms]) : FloatSum.Sum;
            AssertAdmits(codes, [.. Enumerable.Range(0, 5).Select(k =>
                sum(Of(k, 0, 1200).Select(i => scale[i < 440 ? 0 : 1] * g[i])))]);
            AssertAdmits(codes, [.. Enumerable.Range(0, 5).Select(k => (scale[0] * sum(Of(k, 0, 440).Select(i => g[i])))
                + (scale[1] * sum(Of(k, 440, 1200).Select(i => g[i]))))]);
            AssertAdmits(scales, [.. Enumerable.Range(0, 2).Select(s => sum(Enumerable.Range(0, 5).Select(k =>
                codebook[k] * sum(Of(k, s * 440, s == 0 ? 440 : 1200).Select(i => g[i])))))]);
        }

        Assert.All(codes.Concat(scales), v => Assert.InRange(v.Bound, 0, 0.03));

        IEnumerable<int> Of(int k, int start, int end) =>
            Enumerable.Range(start, end - start).Where(i => index[i] == k);
    }

    [Fact]
    public void The_reconstruction_has_its_gradient_and_is_0_for_equal_weights()
    {
        var random = new Random(6);
        float[] x = Integers(random, 7 * 5);
        float[] w = Integers(random, 3 * 5);
        float[] q = Integers(random, 3 * 5);
        (Bounded value, Bounded[] gradient) = ReconstructionReference.Evaluate(x, w, q, 5);
        double expected = 0;
        foreach (float[] row in x.Chunk(5))
        {
            for (int r = 0; r < 3; r++)
            {
                expected += Math.Pow(row.Select((v, j) => v * (w[(5 * r) + j] - q[(5 * r) + j])).Sum(), 2);
            }
        }

        Assert.Equal(expected, value.Value);
        for (int i = 0; i < q.Length; i++)
        {
            q[i]++;
            double plus = ReconstructionReference.Evaluate(x, w, q, 5).Value.Value;
            q[i] -= 2;
            double minus = ReconstructionReference.Evaluate(x, w, q, 5).Value.Value;
            q[i]++;
            Assert.Equal((plus - minus) / 2, gradient[i].Value); // a parabola
        }

        (value, gradient) = ReconstructionReference.Evaluate(x, w, w, 5);
        Assert.Equal(0, value.Value);
        Assert.All(gradient, v => Assert.Equal(0, v.Value));
    }

    [Fact]
    public void Its_three_forms_in_binary32_are_within_the_bounds()
    {
        var random = new Random(7);
        const int N = 20;
        const int Rows = 6;
        const int Columns = 15;
        float[] x = Gaussian(random, N * Columns);
        float[] w = Gaussian(random, Rows * Columns);
        float[] q = [.. w.Select(v => MathF.Round(v * 4) / 4)];
        (Bounded value, Bounded[] gradient) = ReconstructionReference.Evaluate(x, w, q, Columns);
        float[] differences = [.. q.Zip(w, (a, b) => a - b)];
        float[] apart = [.. Product(x, q).Zip(Product(x, w), (a, b) => a - b)];
        float[] together = Product(x, differences);
        foreach (float[] residual in new[] { apart, together })
        {
            AssertAdmits([value], [FloatSum.Sum(residual.Select(r => r * r))]);
            AssertAdmits([value], [FloatSum.Tree([.. residual.Select(r => r * r)])]);
            AssertAdmits(gradient, [.. Enumerable.Range(0, Rows * Columns).Select(i =>
                2 * FloatSum.Sum(Enumerable.Range(0, N).Select(
                    m => residual[(m * Rows) + (i / Columns)] * x[(m * Columns) + (i % Columns)])))]);
        }

        float[] gram = [.. Enumerable.Range(0, Columns * Columns).Select(i => FloatSum.Sum(Enumerable.Range(0, N).Select(
            m => x[(m * Columns) + (i / Columns)] * x[(m * Columns) + (i % Columns)])))];
        float[] half = Product(differences, gram); // X^T X is symmetric
        AssertAdmits(gradient, [.. half.Select(v => 2 * v)]);
        AssertAdmits([value], [FloatSum.Sum(half.Zip(differences, (a, b) => a * b))]);
        Assert.InRange(value.Bound, 0, 0.05 * value.Value);

        static float[] Product(float[] a, float[] b) => [.. a.Chunk(Columns).SelectMany(row =>
            b.Chunk(Columns).Select(other => FloatSum.Sum(row.Zip(other, (u, v) => u * v))))];
    }

    /// <summary>All of it together: from rounding to the nearest, steps on logits and codes lower what a layer
    /// loses.</summary>
    [Theory]
    [InlineData(MappingDecay.Distance)]
    [InlineData(MappingDecay.Ratio)]
    [InlineData(MappingDecay.Exponential)]
    [InlineData(MappingDecay.Adjacent)]
    public void Learning_codes_and_mapping_loses_less_than_rounding(MappingDecay decay)
    {
        var random = new Random(8);
        const int Columns = 12;
        var shape = new CodebookShape(8, Columns, 4);
        float[] common = Gaussian(random, 40 * 3);
        float[] mix = Gaussian(random, 3 * Columns);
        // Correlated inputs, on which errors can make up for each other.
        float[] x = [.. Enumerable.Range(0, 40 * Columns).Select(i => (0.3f * (float)Math.Sin(i * i))
            + Enumerable.Range(0, 3).Sum(l => common[(i / Columns * 3) + l] * mix[(l * Columns) + (i % Columns)]))];
        float[] w = Gaussian(random, shape.Weights);
        float[] codebook = Array.ConvertAll(CodebookFitReference.Exact(w, 4).Codebook, c => (float)c);
        int[] index = AssignReference.Assign(shape, w, codebook, []);
        double start = Loss();
        double least = start;
        float[] logits = [.. w.SelectMany((v, i) => codebook.Select(
            (c, k) => (k == index[i] ? 0.2f : 0) - ((v - c) * (v - c))))];
        var mapping = new MappingReference(decay, isCentred: true, temperature: 1);
        for (int step = 0; step < 150; step++)
        {
            Bounded[] toQ = ReconstructionReference.Evaluate(x, w, Q(), Columns).GradQ;
            float[] g = [.. toQ.Select(v => (float)v.Value)];
            Bounded[] toCodes = CodebookGradientReference.Codes(shape, index, g, []);
            Bounded[] toLogits = mapping.Gradient(logits, codebook, g);
            float size = (float)Math.Sqrt(toLogits.Average(v => v.Value * v.Value)) + 1e-9f;
            logits = [.. logits.Zip(toLogits, (l, v) => l - (0.05f * (float)v.Value / size))];
            codebook = [.. codebook.Zip(toCodes, (c, v) => c - (2e-5f * (float)v.Value)).Order()];
            index = MappingReference.Hard(logits, 4);
            least = Math.Min(least, Loss());
        }

        Assert.True(least < 0.6 * start, $"{least} of {start}");

        float[] Q() => [.. DequantizeReference.Evaluate(shape, index, codebook, []).Select(v => (float)v.Value)];

        double Loss() => ReconstructionReference.Evaluate(x, w, Q(), Columns).Value.Value;
    }

    [Fact]
    public void Wrong_calls_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>("decay", () => new MappingReference((MappingDecay)4, true, 1));
        Assert.Throws<ArgumentOutOfRangeException>(
            "temperature", () => new MappingReference(MappingDecay.Ratio, true, 0));
        Assert.Throws<ArgumentNullException>("phi", () => new MappingReference(null!, true, 1));
        var mapping = new MappingReference(MappingDecay.Ratio, false, 1);
        Assert.Throws<ArgumentException>("logits", () => mapping.Gradient([1, 2, 3], [0, 1], [1]));
        Assert.Throws<ArgumentException>("codebook", () => mapping.Gradient([1, 2], [1, 0], [1]));
        Assert.Throws<ArgumentException>("logits", () => mapping.Probabilities([1, 2, 3], 2));
        Assert.Throws<ArgumentException>("grad", () => LatentReference.Gradient([1], [0, 1], []));
        Assert.Throws<ArgumentException>("codebook", () => LatentReference.Gradient([1], [1, 0], [1]));
        Assert.Throws<ArgumentOutOfRangeException>("k", () => LatentReference.Hard([], 0));
        Assert.Throws<ArgumentException>("q", () => ReconstructionReference.Evaluate([1], [1, 2], [1], 1));
        var shape = new CodebookShape(1, 2, 2);
        Assert.Throws<ArgumentException>("grad", () => CodebookGradientReference.Codes(shape, [0, 0], [1], []));
        Assert.Throws<ArgumentException>(
            "shape", () => CodebookGradientReference.Scales(shape, [0, 0], [1, 1], [0, 1]));
    }
}
