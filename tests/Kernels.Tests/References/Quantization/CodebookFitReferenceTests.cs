using FsCheck.Xunit;
using Kernels.References;
using Kernels.References.Quantization;
using Kernels.Tests.Support;
using static Kernels.Tests.References.Quantization.Numbers;

namespace Kernels.Tests.References.Quantization;

public sealed class CodebookFitReferenceTests
{
    [Property(MaxTest = 150)]
    public void The_exact_fit_is_the_best_of_all_partitions(int seed)
    {
        var random = new Random(seed);
        int n = random.Next(1, 11);
        int k = random.Next(1, 6);
        float[] w = random.Next(2) == 0 ? Integers(random, n, 5) : Uniform(random, n, 1000);
        float[] h = random.Next(2) == 0 ? [] : Below(random, n, 4).Select(v => (float)v).ToArray();
        if (h.Length > 0)
        {
            h[random.Next(n)] = 1;
        }

        (double[] codebook, int[] index, double error) = CodebookFitReference.Exact(w, k, h);
        // The best partition into runs of the sorted numbers is the best of all partitions.
        (float Value, double Weight)[] sorted =
            [.. w.Select((v, i) => (v, h.Length == 0 ? 1.0 : h[i])).OrderBy(pair => pair.v)];
        double best = Best(0, k);
        Assert.InRange(error, best - (1e-9 * (1 + best)), best + (1e-9 * (1 + best)));
        double own = w.Select((v, i) => (h.Length == 0 ? 1 : h[i]) * Math.Pow(v - codebook[index[i]], 2)).Sum();
        Assert.Equal(error, own, 1e-9 * (1 + best));
        Assert.Equal(k, codebook.Length);
        Assert.Equal(codebook.Order(), codebook);

        double Best(int start, int parts)
        {
            double least = parts == 0 ? (start == n ? 0 : double.PositiveInfinity) : Best(start, parts - 1);
            for (int end = start + 1; parts > 0 && end <= n; end++)
            {
                double weight = sorted[start..end].Sum(pair => pair.Weight);
                double mean = weight == 0 ? 0 : sorted[start..end].Sum(pair => pair.Weight * pair.Value) / weight;
                double cost = sorted[start..end].Sum(pair => pair.Weight * Math.Pow(pair.Value - mean, 2));
                least = Math.Min(least, cost + Best(end, parts - 1));
            }

            return least;
        }
    }

    [Fact]
    public void The_exact_fit_finds_clusters_far_from_0()
    {
        // The squares have 2 30 bits, and the differences are of the last.
        float[] w = [1e6f, 1e6f + 0.0625f, 1e6f + 1, 1e6f + 1.0625f, 1e6f + 3];
        (double[] codebook, int[] index, double error) = CodebookFitReference.Exact(w, 3);
        Assert.Equal([0, 0, 1, 1, 2], index);
        Assert.Equal([1e6 + 0.03125, 1e6 + 1.03125, 1e6 + 3], codebook);
        Assert.Equal(4 * 0.03125 * 0.03125, error, 1e-12);
    }

    [Fact]
    public void With_a_code_for_every_number_nothing_is_lost()
    {
        (double[] codebook, int[] index, double error) = CodebookFitReference.Exact([3, -1, 3, 0.1f, -0f, 0], 6);
        Assert.Equal([-1, 0, 0.1f, 3, 3, 3], codebook);
        Assert.Equal([3, 0, 3, 2, 1, 1], index);
        Assert.Equal(0, error);
        // A number without weight has the nearest code.
        (codebook, index, _) = CodebookFitReference.Exact([0, 10, 4, 5, 6], 2, [1, 2, 0, 0, 0]);
        Assert.Equal([0, 10], codebook);
        Assert.Equal([0, 1, 0, 0, 1], index);
    }

    [Fact]
    public void No_step_of_Lloyd_raises_the_error_and_none_is_below_the_exact_fit()
    {
        var random = new Random(3);
        foreach (int k in new[] { 1, 2, 3, 5, 16, 256 })
        {
            foreach (bool isWeighted in new[] { false, true })
            {
                float[] w = Gaussian(random, 1000);
                float[] h = isWeighted ? Array.ConvertAll(Uniform(random, 1000), v => v < 0 ? 0 : v) : [];
                float[] codebook = CodebooksReference.Uniform(Math.Max(k, 2))[..k];
                var shape = new CodebookShape(1, 1000, k);
                (_, _, double least) = CodebookFitReference.Exact(w, k, h);
                double before = double.PositiveInfinity;
                bool rests = false;
                for (int step = 0; step < 300 && !rests; step++)
                {
                    int[] index = AssignReference.Assign(shape, w, codebook, []);
                    double error = CodebookFitReference.Error(shape, w, index, codebook, [], h);
                    Assert.True(error <= before && error >= least * (1 - 1e-12), $"{before}, {error}, {least}");
                    (float[] next, int[] same) = CodebookFitReference.Step(w, codebook, h);
                    Assert.Equal(index, same);
                    Assert.Equal(next, CodebookFitReference.StepBySort(w, codebook, h));
                    Assert.True(CodebookFitReference.Error(shape, w, index, next, [], h) <= error);
                    rests = next.AsSpan().SequenceEqual(codebook);
                    (codebook, before) = (next, error);
                }

                Assert.True(rests || k >= 16);
            }
        }
    }

    [Fact]
    public void A_code_without_weights_stays_and_equal_codes_keep_the_order()
    {
        (float[] codebook, int[] index) = CodebookFitReference.Step([1, 2, 9], [-7, 0, 5, 20]);
        Assert.Equal([1, 1, 2], index);
        Assert.Equal([-7, 1.5f, 9, 20], codebook);
        // The first of two equal codes goes past the second.
        (codebook, index) = CodebookFitReference.Step([4, 5, -3], [-3, 1, 1]);
        Assert.Equal([1, 1, 0], index);
        Assert.Equal([-3, 1, 4.5f], codebook);
        Assert.Equal([-7, 2, 20], CodebookFitReference.Step([1, 2, 9], [-7, 2, 20], [0, 0, 0]).Codebook);
        Assert.Equal([0, 2], CodebookFitReference.Step([], [0, 2]).Codebook);
    }

    [Fact]
    public void Means_are_rounded_once()
    {
        // A third between two neighbours, and a sum that binary32 and binary64 lose.
        float next = MathF.BitIncrement(1);
        Assert.Equal([1], CodebookFitReference.Step([1, 1, next], [0]).Codebook);
        Assert.Equal([next], CodebookFitReference.Step([1, next, next], [0]).Codebook);
        Assert.Equal([1f / 3], CodebookFitReference.Step([1e30f, 1, -1e30f], [0]).Codebook);
        // A tie, but for a weight that binary64 does not see.
        Assert.Equal([next], CodebookFitReference.Step([1, next, 2], [0], [1, 1, 1e-20f]).Codebook);
        Assert.Equal([1], CodebookFitReference.Step([1, next, -2], [0], [1, 1, 1e-20f]).Codebook);
    }

    [Fact]
    public void Codes_and_scales_are_those_of_least_error()
    {
        var random = new Random(4);
        var shape = new CodebookShape(
            4, 6, 3, 2, QuantizationScope.Groups([0, 3, 4], 6), QuantizationScope.Blocks(8, 24));
        float[] w = Gaussian(random, 24);
        float[] h = Array.ConvertAll(Uniform(random, 24), Math.Abs);
        float[] codebook = Gaussian(random, 12);
        float[] scale = [1.5f, -0.7f, 0.4f];
        int[] index = Below(random, 12, 3);
        index.AsSpan(9).Replace(2, 1); // the second codebook has no weight of code 2
        Bounded[] codes = CodebookFitReference.Codes(shape, w, index, codebook, scale, h);
        Assert.Equal(Wide(codebook[10..]), Values(codes[10..]));
        Assert.All(codes[10..], code => Assert.Equal(0, code.Bound));
        Bounded[] scales = CodebookFitReference.Scales(shape, w, index, codebook, scale, h);
        float[] better = [.. codes.Select(v => (float)v.Value)];
        Minimum(better, moved => CodebookFitReference.Error(shape, w, index, moved, scale, h), [10, 11]);
        Minimum([.. scales.Select(v => (float)v.Value)],
            moved => CodebookFitReference.Error(shape, w, index, codebook, moved, h), []);

        // Nothing to tell: it stays.
        Assert.Equal(Wide(codebook), Values(CodebookFitReference.Codes(shape, w, index, codebook, [0, 0, 0], h)));
        Assert.Equal(Wide(scale), Values(CodebookFitReference.Scales(shape, w, index, new float[12], scale, h)));

        static void Minimum(float[] x, Func<float[], double> error, int[] still)
        {
            double least = error(x);
            foreach (int i in Enumerable.Range(0, x.Length).Except(still))
            {
                foreach (float step in new[] { 0.01f, -0.01f })
                {
                    float[] moved = [.. x];
                    moved[i] += step;
                    Assert.True(error(moved) > least);
                }
            }
        }
    }

    [Fact]
    public void Binary32_sums_in_several_orders_are_within_the_bounds()
    {
        var random = new Random(5);
        var shape = new CodebookShape(20, 30, 4, 1, null, QuantizationScope.Groups([0, 7, 20], 30));
        float[] w = Gaussian(random, 600);
        float[] h = Array.ConvertAll(Uniform(random, 600), Math.Abs);
        float[] codebook = [-1, -0.3f, 0.2f, 1.1f];
        float[] scale = [1.7f, -0.6f];
        int[] index = AssignReference.Assign(shape, w, codebook, scale);
        float[] s = [.. Enumerable.Range(0, 600).Select(i => scale[i < 210 ? 0 : 1])];
        Bounded[] codes = CodebookFitReference.Codes(shape, w, index, codebook, scale, h);
        Bounded[] scales = CodebookFitReference.Scales(shape, w, index, codebook, scale, h);
        double worst = 0;
        foreach (bool isTree in new[] { false, true })
        {
            Func<IEnumerable<float>, float> sum = isTree ? terms => FloatSum.Tree([.. terms]) : FloatSum.Sum;
            worst = Math.Max(worst, AssertAdmits(codes, [.. Enumerable.Range(0, 4).Select(k =>
                sum(Of(k).Select(i => h[i] * s[i] * w[i])) / sum(Of(k).Select(i => h[i] * (s[i] * s[i]))))]));
            worst = Math.Max(worst, AssertAdmits(codes, [.. Enumerable.Range(0, 4).Select(k => Factored(k, sum))]));
            worst = Math.Max(worst, AssertAdmits(scales, [.. Enumerable.Range(0, 2).Select(g =>
                sum(In(g).Select(i => h[i] * codebook[index[i]] * w[i]))
                    * (1 / sum(In(g).Select(i => h[i] * codebook[index[i]] * codebook[index[i]]))))]));
        }

        Assert.InRange(worst, 1e-4, 1);
        Assert.All(codes.Concat(scales), v => Assert.InRange(v.Bound, 0, 1e-4));

        IEnumerable<int> Of(int k) => Enumerable.Range(0, 600).Where(i => index[i] == k);

        IEnumerable<int> In(int g) => Enumerable.Range(0, 600).Where(i => s[i] == scale[g]);

        // The scale of a group after the sum of the group.
        float Factored(int k, Func<IEnumerable<float>, float> sum) =>
            scale.Select((own, g) => own * sum(In(g).Intersect(Of(k)).Select(i => h[i] * w[i]))).Sum()
                / scale.Select((own, g) => own * own * sum(In(g).Intersect(Of(k)).Select(i => h[i]))).Sum();
    }

    [Fact]
    public void A_thousand_numbers_take_no_time_and_equal_numbers_one_code()
    {
        var random = new Random(6);
        float[] w = [.. Gaussian(random, 20_000).Select(v => MathF.Round(v * 64) / 64)];
        (double[] codebook, int[] index, double error) = CodebookFitReference.Exact(w, 16);
        Assert.Equal(codebook.Distinct().Count(), codebook.Length);
        foreach (IGrouping<float, int> equal in index.Zip(w).GroupBy(pair => pair.Second, pair => pair.First))
        {
            Assert.Single(equal.Distinct());
        }

        // The distortion of the best 16 levels of a normal distribution is 0.01 (Max 1960: 0.009497).
        Assert.InRange(error / w.Length, 0.0085, 0.0100);
    }

    [Fact]
    public void Wrong_calls_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>("k", () => CodebookFitReference.Exact([1], 0));
        Assert.Throws<ArgumentException>("w", () => CodebookFitReference.Exact([], 1));
        Assert.Throws<ArgumentException>("w", () => CodebookFitReference.Exact([1, 2], 1, [0, 0]));
        Assert.Throws<ArgumentException>("w", () => CodebookFitReference.Exact([1, float.NaN], 1));
        Assert.Throws<ArgumentException>("h", () => CodebookFitReference.Exact([1, 2], 1, [1, -1]));
        Assert.Throws<ArgumentException>("h", () => CodebookFitReference.Step([1, 2], [1], [1]));
        Assert.Throws<ArgumentException>("codebook", () => CodebookFitReference.Step([1, 2], [1, 0]));
        var shape = new CodebookShape(1, 2, 1);
        Assert.Throws<ArgumentException>("shape", () => CodebookFitReference.Scales(shape, [1, 2], [0, 0], [1], []));
        Assert.Throws<ArgumentException>("h", () => CodebookFitReference.Codes(shape, [1, 2], [0, 0], [1], [], [1]));
    }
}
