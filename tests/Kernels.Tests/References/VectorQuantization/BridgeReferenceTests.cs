using Kernels.References;
using Kernels.References.VectorQuantization;

namespace Kernels.Tests.References.VectorQuantization;

public sealed class BridgeReferenceTests
{
    private static readonly BridgeShape s_small = new() { Dimension = 3, Patch = 2, Width = 8, Heads = 2 };

    [Theory]
    [InlineData(false, 2)]
    [InlineData(true, 1)]
    [InlineData(false, 0)]
    public void Gradients_are_finite_differences(bool compressNorm, int depth)
    {
        BridgeShape shape = s_small with { CompressNorm = compressNorm, Depth = depth, Epsilon = 1e-3 };
        var random = new Random(1);
        Dictionary<string, double[]> weights = Wide(Weights(shape, random, 0.7));
        double[] codes = Array.ConvertAll(Floats(random, 5 * shape.Features, 1), v => (double)v);
        double[] grad = Array.ConvertAll(Floats(random, codes.Length, 1), v => (double)v);
        var (_, gradients) = BridgeReference.Evaluate(shape, weights, codes, grad);
        Assert.True(gradients.Keys.ToHashSet(StringComparer.Ordinal).SetEquals(weights.Keys.Append("codes")));
        foreach ((string name, double[] gradient) in gradients)
        {
            double[] what = string.Equals(name, "codes", StringComparison.Ordinal) ? codes : weights[name];
            Assert.Equal(what.Length, gradient.Length);
            for (int i = 0; i < what.Length; i += 1 + (what.Length / 40))
            {
                const double H = 1e-5;
                double old = what[i];
                what[i] = old + H;
                double plus = Loss();
                what[i] = old - H;
                double minus = Loss();
                what[i] = old;
                Assert.True(
                    Math.Abs(((plus - minus) / (2 * H)) - gradient[i]) < 1e-7 * (1 + Math.Abs(gradient[i])),
                    $"{name}[{i}]: {(plus - minus) / (2 * H)} and {gradient[i]}");
            }
        }

        double Loss() => BridgeReference.Evaluate(shape, weights, codes).Projected.Zip(grad, (a, b) => a * b).Sum();
    }

    [Fact]
    public void With_the_last_layer_zero_every_code_is_exactly_0_and_only_that_layer_learns()
    {
        var random = new Random(2);
        Dictionary<string, float[]> weights = Weights(s_small, random, 0.5f);
        Array.Clear(weights["recover.weight"]);
        Array.Clear(weights["recover.bias"]);
        float[] codes = Floats(random, 8 * s_small.Features, 1);
        (Bounded[] projected, IReadOnlyDictionary<string, Bounded[]> gradients) =
            BridgeReference.EvaluateBounded(s_small, weights, codes, Floats(random, codes.Length, 1));
        Assert.All(projected, v => Assert.Equal(new Bounded(0, 0), v));
        foreach ((string name, Bounded[] gradient) in gradients)
        {
            bool learns = name.StartsWith("recover", StringComparison.Ordinal);
            Assert.All(gradient, v => Assert.Equal(learns, v.Value != 0));
            Assert.All(gradient, v => Assert.Equal(learns, v.Bound != 0));
        }

        float[] narrow = Array.ConvertAll(projected, v => (float)v.Value);
        NearestRow[] rows = new NearestReference(NearestMetric.L2, narrow, 3).SearchAll(Floats(random, 30, 1));
        Assert.All(rows, row => Assert.Equal(0, row.Index[0]));
    }

    [Fact]
    public void One_chosen_code_moves_every_code()
    {
        var random = new Random(3);
        Dictionary<string, double[]> weights = Wide(Weights(s_small, random, 0.5f));
        double[] codes = Array.ConvertAll(Floats(random, 8 * s_small.Features, 1), v => (double)v);
        double[] grad = new double[codes.Length];
        grad[4] = 1;
        double[] moved = BridgeReference.Evaluate(s_small, weights, codes, grad).Gradients["codes"];
        Assert.All(moved.Chunk(3), row => Assert.Contains(row, v => v != 0));
    }

    [Fact]
    public void Patches_may_change_places()
    {
        var random = new Random(4);
        Dictionary<string, double[]> weights = Wide(Weights(s_small, random, 0.5f));
        float[] codes = Floats(random, 7 * s_small.Features, 1);
        double[][] patches = [.. codes.Select(v => (double)v).Chunk(s_small.Features)];
        int[] order = [3, 1, 6, 0, 5, 2, 4];
        double[][] expected = [.. BridgeReference.Evaluate(s_small, weights, [.. patches.SelectMany(p => p)]).Projected
            .Chunk(s_small.Features)];
        double[] actual = BridgeReference.Evaluate(
            s_small, weights, [.. order.SelectMany(t => patches[t])]).Projected;
        AssertClose([.. order.SelectMany(t => expected[t])], actual, 1e-12);
    }

    [Fact]
    public void The_authors_square_layout_is_a_permutation_of_ours()
    {
        // Their function, written out for depth 0: convolution with channel, row, column; output row, column, channel.
        const int H = 6;
        const int Side = 3;
        const int D = 2;
        const int Width = 4;
        BridgeShape shape = new() { Dimension = D, Patch = Side * Side, Width = Width, Depth = 0 };
        var random = new Random(5);
        Dictionary<string, float[]> weights = Weights(shape, random, 1);
        float[] theirs = Floats(random, Width * shape.Features, 1);
        float[] square = Floats(random, H * H * D, 1);
        double[] expected = new double[H * H * D];
        for (int patch = 0; patch < 4; patch++)
        {
            double[] token = [.. weights["compress.bias"].Select(v => (double)v)];
            for (int j = 0; j < Width; j++)
            {
                for (int c = 0; c < D; c++)
                {
                    for (int rc = 0; rc < Side * Side; rc++)
                    {
                        double weight = theirs[(((j * D) + c) * Side * Side) + rc];
                        token[j] += weight * square[(Code(patch, rc) * D) + c];
                    }
                }
            }

            double mean = token.Average();
            double factor = 1 / Math.Sqrt(token.Average(v => (v - mean) * (v - mean)) + 1e-6);
            for (int o = 0; o < shape.Features; o++)
            {
                double sum = weights["recover.bias"][o];
                for (int j = 0; j < Width; j++)
                {
                    sum += weights["recover.weight"][(o * Width) + j] * ((token[j] - mean) * factor);
                }

                expected[(Code(patch, o / D) * D) + (o % D)] = sum;
            }
        }

        weights["compress.weight"] = BridgeReference.ImportCompress(theirs, D, Side);
        int[] order = BridgeReference.SquareOrder(H, Side);
        Assert.Equal(Enumerable.Range(0, H * H), order.Order());
        double[] codes = [.. order.SelectMany(k => square[(k * D)..((k + 1) * D)]).Select(v => (double)v)];
        double[] ours = BridgeReference.Evaluate(shape, Wide(weights), codes).Projected;
        AssertClose([.. order.SelectMany(k => expected[(k * D)..((k + 1) * D)])], ours, 1e-12);

        static int Code(int patch, int rc) =>
            (((patch / 2 * Side) + (rc / Side)) * H) + (patch % 2 * Side) + (rc % Side);
    }

    [Fact]
    public void Attention_is_the_mean_of_the_values_when_the_queries_are_zero()
    {
        // One block, identities around: x + mean over tokens of V LN(x), MLP off.
        BridgeShape shape = new() { Dimension = 4, Patch = 1, Width = 4, Heads = 2, Depth = 1 };
        var weights = shape.Weights.ToDictionary(
            w => w.Name, w => new double[w.Shape.Aggregate(1, (a, b) => a * b)], StringComparer.Ordinal);
        for (int i = 0; i < 4; i++)
        {
            weights["compress.weight"][(i * 4) + i] = 1;
            weights["recover.weight"][(i * 4) + i] = 1;
            weights["blocks.0.attention.project.weight"][(i * 4) + i] = 1;
            weights["blocks.0.attention.qkv.weight"][((8 + i) * 4) + i] = 1;
        }

        double[] codes = [1, 2, 3, 5, -1, 0, 4, 4, 2, 2, 7, 1];
        double[][] normal = [.. codes.Chunk(4).Select(Normalise)];
        double[] mean = [.. Enumerable.Range(0, 4).Select(i => normal.Average(row => row[i]))];
        double[] expected = [.. codes.Chunk(4).SelectMany(row => Normalise([.. row.Zip(mean, (a, b) => a + b)]))];
        AssertClose(expected, BridgeReference.Evaluate(shape, weights, codes).Projected, 1e-12);

        static double[] Normalise(double[] row)
        {
            double average = row.Average();
            double variance = row.Average(v => (v - average) * (v - average));
            return [.. row.Select(v => (v - average) / Math.Sqrt(variance + 1e-6))];
        }
    }

    [Fact]
    public void Epsilon_rules_at_the_start()
    {
        // K = 16384, D = 256, 16 codes a patch, width 256, codes uniform in +-1/K, Xavier-uniform compression: the
        // variance
        // of a token is 4096 / (3 K^2) 2 / (4096 + 256) = 2.3e-9, far below epsilon, and normalised tokens have
        // deviation 0.05.
        BridgeShape shape = new() { Dimension = 256, Patch = 16, Width = 256, Depth = 0 };
        var random = new Random(6);
        var weights = shape.Weights.ToDictionary(
            w => w.Name, w => new double[w.Shape.Aggregate(1, (a, b) => a * b)], StringComparer.Ordinal);
        double limit = Math.Sqrt(6.0 / (4096 + 256));
        Fill(weights["compress.weight"], limit);
        for (int i = 0; i < 256; i++)
        {
            weights["recover.weight"][(i * 256) + i] = 1; // the first features show the tokens
        }

        double[] codes = new double[3 * shape.Features];
        Fill(codes, 1.0 / 16384);
        Assert.InRange(Deviation(shape), 0.042, 0.056);
        Assert.InRange(Deviation(shape with { Epsilon = 1e-5 }), 0.013, 0.018);
        Assert.InRange(Deviation(shape with { Epsilon = 0 }), 0.99, 1.01);

        double Deviation(BridgeShape with)
        {
            double[] tokens = [.. BridgeReference.Evaluate(with, weights, codes).Projected.Chunk(shape.Features)
                .SelectMany(row => row[..256])];
            return Math.Sqrt(tokens.Average(v => v * v));
        }

        void Fill(double[] values, double most)
        {
            for (int i = 0; i < values.Length; i++)
            {
                values[i] = ((random.NextDouble() * 2) - 1) * most;
            }
        }
    }

    [Theory]
    [InlineData(16_384, 16, 3.15e6, 4.29e9)]
    [InlineData(65_536, 64, 9.46e6, 10.7e9)]
    [InlineData(262_144, 64, 9.46e6, 55.8e9)]
    public void Sizes_are_those_of_the_published_configurations(int k, int patch, double parameters, double products)
    {
        BridgeShape shape = new() { Dimension = 256, Patch = patch, Width = 256 };
        Assert.Equal(1, shape.Parameters / parameters, 0.005);
        Assert.Equal(1, shape.MultiplyAdds(k) / products, 0.005);
    }

    [Theory]
    [InlineData(1, 4, 8, 2, 6, 1f)]
    [InlineData(2, 8, 16, 4, 16, 1f)]
    [InlineData(3, 16, 32, 4, 64, 0.05f)]
    [InlineData(4, 2, 8, 1, 200, 3f)]
    public void Plain_binary32_is_well_within_the_bounds(int seed, int d, int width, int heads, int tokens, float scale)
    {
        BridgeShape shape = new() { Dimension = d, Patch = 4, Width = width, Heads = heads };
        var random = new Random(seed);
        Dictionary<string, float[]> weights = Weights(shape, random, 1);
        float[] codes = Floats(random, tokens * shape.Features, scale);
        float[] grad = Floats(random, codes.Length, 1);
        (Bounded[] projected, IReadOnlyDictionary<string, Bounded[]> gradients) =
            BridgeReference.EvaluateBounded(shape, weights, codes, grad);
        var single = BridgeReference.EvaluateSingle(shape, weights, codes, grad);
        double worst = Worst(projected, single.Projected, "projected");
        foreach ((string name, Bounded[] gradient) in gradients)
        {
            worst = Math.Max(worst, Worst(gradient, single.Gradients[name], name));
        }

        Assert.InRange(worst, 0.005, 0.5);

        // Roundings of equal terms are not independent; the bounds hold for them all the same.
        Array.Fill(grad, 0.1f);
        gradients = BridgeReference.EvaluateBounded(shape, weights, codes, grad).Gradients;
        single = BridgeReference.EvaluateSingle(shape, weights, codes, grad);
        Assert.All(gradients, g => Worst(g.Value, single.Gradients[g.Key], g.Key));

        // Sharp enough to see a wrong constant.
        BridgeShape other = shape with { Epsilon = 1e-5 + (1e-3 * scale * scale) };
        double[] wrong = BridgeReference.Evaluate(
            other, Wide(weights), Array.ConvertAll(codes, v => (double)v)).Projected;
        Assert.Contains(projected.Zip(wrong, (a, b) => a.Admits((float)b)), admits => !admits);
        double size = Math.Sqrt(projected.Average(v => v.Value * v.Value));
        Assert.All(projected, v => Assert.InRange(v.Bound, 0, 1e-3 * size));

        static double Worst(Bounded[] expected, double[] actual, string name)
        {
            double worst = 0;
            for (int i = 0; i < expected.Length; i++)
            {
                Assert.True(expected[i].Admits((float)actual[i]), $"{name}[{i}]: {expected[i]}, {actual[i]}");
                worst = Math.Max(worst, Math.Abs(expected[i].Value - actual[i]) / expected[i].Bound);
            }

            return worst;
        }
    }

    [Fact]
    public void Codes_need_not_be_a_square_and_NaN_is_NaN()
    {
        var random = new Random(7);
        Dictionary<string, float[]> weights = Weights(s_small, random, 1);
        float[] codes = Floats(random, 11 * s_small.Features, 1);
        Assert.Equal(codes.Length, BridgeReference.EvaluateBounded(s_small, weights, codes).Projected.Length);
        Assert.Empty(BridgeReference.EvaluateBounded(s_small, weights, [], []).Projected);
        codes[7] = float.NaN;
        Bounded[] lost = BridgeReference.EvaluateBounded(s_small, weights, codes).Projected;
        Assert.All(lost, v => Assert.True(v.Admits(float.NaN) && !v.Admits(1)));
    }

    [Fact]
    public void The_same_input_has_the_same_bounds()
    {
        var random = new Random(8);
        Dictionary<string, float[]> weights = Weights(s_small, random, 1);
        float[] codes = Floats(random, 4 * s_small.Features, 1);
        Assert.Equal(
            BridgeReference.EvaluateBounded(s_small, weights, codes).Projected,
            BridgeReference.EvaluateBounded(s_small, weights, codes).Projected);
    }

    [Fact]
    public void Wrong_calls_are_refused()
    {
        Dictionary<string, double[]> weights = Wide(Weights(s_small, new Random(9), 1));
        Assert.Throws<ArgumentNullException>("shape", () => BridgeReference.Evaluate(null!, weights, []));
        Assert.Throws<ArgumentNullException>("codes", () => BridgeReference.Evaluate(s_small, weights, null!));
        Assert.Throws<ArgumentException>("codes", () => BridgeReference.Evaluate(s_small, weights, new double[7]));
        Assert.Throws<ArgumentException>("grad", () => BridgeReference.Evaluate(
            s_small, weights, new double[6], new double[5]));
        Assert.Throws<ArgumentOutOfRangeException>(
            "shape", () => BridgeReference.Evaluate(s_small with { Heads = 3 }, weights, []));
        weights.Remove("recover.bias");
        Assert.Throws<ArgumentException>("weights", () => BridgeReference.Evaluate(s_small, weights, []));
        Assert.Throws<ArgumentOutOfRangeException>("side", () => BridgeReference.SquareOrder(6, 4));
        Assert.Throws<ArgumentException>("k", () => s_small.MultiplyAdds(3));
    }

    [Fact]
    public void SimVq_is_a_product_and_its_gradients_are_its_own()
    {
        var random = new Random(10);
        const int D = 4;
        // The loss is linear in each number, so that differences are exact; numbers are multiples of 2^-14, and steps of 1/8
        // exact too. Binary64 loses some hundred roundings of products of at most 1.
        float[] codes = Grid(5 * D);
        float[] weight = Grid(D * D);
        float[] bias = Grid(D);
        double lost = Math.ScaleB(100 * 5 * D * (D + 1), -53);
        float[] grad = Floats(random, 5 * D, 1);
        Bounded[] projected = SimVqReference.Forward(codes, weight, bias, D);
        Assert.Equal(
            bias[1] + Enumerable.Range(0, D).Sum(i => (double)codes[(2 * D) + i] * weight[D + i]),
            projected[(2 * D) + 1].Value, lost);
        (Bounded[] dCodes, Bounded[] dWeight, Bounded[] dBias) = SimVqReference.Backward(codes, weight, grad, D);
        foreach ((float[] what, Bounded[] gradient) in new[] { (codes, dCodes), (weight, dWeight), (bias, dBias) })
        {
            for (int i = 0; i < what.Length; i++)
            {
                Assert.Equal((Loss(what, i, 0.125f) - Loss(what, i, -0.125f)) / 0.25, gradient[i].Value, 4 * lost);
            }
        }

        float[] Grid(int n) => Array.ConvertAll(Floats(random, n, 1), v => MathF.Round(v * 16384) / 16384);

        double Loss(float[] what, int i, float h)
        {
            float old = what[i];
            what[i] += h;
            double loss = SimVqReference.Forward(codes, weight, bias, D).Zip(grad, (a, b) => a.Value * b).Sum();
            what[i] = old;
            return loss;
        }
    }

    private static Dictionary<string, float[]> Weights(BridgeShape shape, Random random, double gain)
    {
        var weights = new Dictionary<string, float[]>(StringComparer.Ordinal);
        foreach ((string name, IReadOnlyList<int> sizes) in shape.Weights)
        {
            double limit = sizes.Count == 2 ? Math.Sqrt(6.0 / (sizes[0] + sizes[1])) : 0.2;
            weights[name] = Floats(random, sizes.Aggregate(1, (a, b) => a * b), (float)(gain * limit));
        }

        return weights;
    }

    private static Dictionary<string, double[]> Wide(Dictionary<string, float[]> weights) =>
        weights.ToDictionary(w => w.Key, w => Array.ConvertAll(w.Value, v => (double)v), StringComparer.Ordinal);

    private static float[] Floats(Random random, int n, float scale) =>
        [.. Enumerable.Range(0, n).Select(_ => scale * (float)((random.NextDouble() * 2) - 1))];

    private static void AssertClose(double[] expected, double[] actual, double tolerance)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i], actual[i], tolerance);
        }
    }
}
