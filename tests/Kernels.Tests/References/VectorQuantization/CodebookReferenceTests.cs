using Kernels.References;
using Kernels.References.VectorQuantization;

namespace Kernels.Tests.References.VectorQuantization;

/// <summary>Segment sums, moving means, restart, usage, k-means.</summary>
public sealed class CodebookReferenceTests
{
    private const int D = 3;

    [Fact]
    public void Counts_add_up_and_a_code_without_rows_is_exactly_0()
    {
        var random = new Random(1);
        float[] x = Floats(random, 200 * D);
        int[] index = [.. Enumerable.Range(0, 200).Select(_ => random.Next(-1, 5))];
        (Bounded[] sums, int[] counts) = SegmentSumReference.Evaluate(x, index, 7, D);
        Assert.Equal(index.Count(i => i >= 0), counts.Sum());
        Assert.All(sums[(5 * D)..], sum => Assert.Equal(new Bounded(0, 0), sum));

        int[] order = [.. Enumerable.Range(0, 200).OrderBy(_ => random.Next())];
        Bounded[] other = SegmentSumReference.Evaluate(
            [.. order.SelectMany(n => x[(n * D)..((n + 1) * D)])], [.. order.Select(n => index[n])], 7, D).Sums;
        float[] single = new float[7 * D];
        foreach (int n in order.Where(n => index[n] >= 0))
        {
            for (int i = 0; i < D; i++)
            {
                single[(index[n] * D) + i] += x[(n * D) + i];
            }
        }

        for (int j = 0; j < sums.Length; j++)
        {
            Assert.Equal(sums[j].Value, other[j].Value, 1e-13);
            Assert.True(sums[j].Admits(single[j]));
            Assert.InRange(sums[j].Bound, 0, 1e-4);
        }

        Assert.Equal(0, SegmentSumReference.Evaluate([], [], 2, D).Counts.Sum());
        Assert.Throws<ArgumentOutOfRangeException>(
            "index", () => SegmentSumReference.Evaluate(new float[3], [2], 2, D));
        Assert.Throws<ArgumentException>("x", () => SegmentSumReference.Evaluate(new float[4], [0], 2, D));
    }

    [Fact]
    public void Sums_of_integers_have_no_bound_and_NaN_stays_in_its_code()
    {
        Bounded[] sums = SegmentSumReference.Evaluate([1, 2, 1 << 24, float.NaN, -3.5f], [0, 0, 1, 2, 0], 4, 1).Sums;
        Assert.Equal([new Bounded(-0.5, 0), 1 << 24, double.NaN, 0], sums);
        Assert.NotEqual(0, SegmentSumReference.Evaluate([1, 1 << 24], [0, 0], 1, 1).Sums[0].Bound);
    }

    [Fact]
    public void The_bound_of_a_segment_sum_counts_the_rows_after_the_first()
    {
        // Two codes of rows that no two orders need round alike, of one number and of two.
        float[] x = [0.1f, 10, 0.2f, 20, -0.9f, 30, 0.4f, 0.3f];
        Bounded[] sums = SegmentSumReference.Evaluate(x, [0, 0, 0, 1], 2, 2).Sums;
        double relative = Bounded.Gamma(2) + (3 * 1.2e-16);
        double size = (double)0.1f + 0.2f + 0.9f;
        Assert.InRange(sums[0].Bound, relative * size * (1 - 1e-12), relative * size * (1 + 1e-12));
        Assert.InRange(sums[1].Bound, relative * 60 * (1 - 1e-12), relative * 60 * (1 + 1e-12));
        Assert.Equal([new Bounded(0.4f, 0), new Bounded(0.3f, 0)], sums[2..]);
    }

    [Fact]
    public void Sums_are_exact_up_to_2_to_the_24_units_and_in_the_domain_up_to_half_the_largest_number()
    {
        Assert.Equal(0, Bound(1, (1 << 24) - 1));
        Assert.NotEqual(0, Bound(3, (1 << 24) - 2));
        Assert.Equal(0, Bound(0.25f, (1 << 22) - 0.25f));
        Assert.NotEqual(0, Bound(0.25f, (1 << 22) - 0.25f, 0.25f));
        Assert.Equal(0, Bound(float.Epsilon, float.Epsilon * ((1 << 24) - 1)));
        Assert.Equal(0, Bound(0, -0f, 0));
        Assert.Equal(0, Bound(-4, 12, 0));

        // Both are exact; the sizes of the first are half the largest number.
        float most = MathF.ScaleB(1, 126);
        Assert.Equal(0, Bound(most, (float.MaxValue / 2) - most));
        Assert.Equal(double.PositiveInfinity, Bound(most, most));
        Assert.Equal(0, Bound(float.MaxValue));
        Assert.Equal(double.PositiveInfinity, Bound(float.PositiveInfinity, float.NegativeInfinity));
        Assert.Equal(0, Bound(float.PositiveInfinity));
        Assert.Equal(double.NaN, Bound(1, float.NaN));

        static double Bound(params float[] rows) =>
            SegmentSumReference.Evaluate(rows, new int[rows.Length], 1, 1).Sums[0].Bound;
    }

    [Fact]
    public void Moving_means_with_decay_1_stay_and_with_decay_0_are_the_batch()
    {
        float[] codes = [1, 2, 3, 4];
        float[] size = [1, 1];
        float[] x = [10, 20, 30, 40, -1, -2];
        int[] index = [1, 1, -1];
        (Bounded[] kept, Bounded[] sizes, Bounded[] sums) = new EmaReference(1, 0).Update(codes, size, codes, x, index);
        Assert.Equal([1, 2, 3, 4], kept.Select(v => v.Value));
        Assert.Equal([1, 1], sizes.Select(v => v.Value));
        Assert.Equal([1, 2, 3, 4], sums.Select(v => v.Value));

        (Bounded[] mean, sizes, sums) = new EmaReference(0, 0).Update(codes, size, codes, x, index);
        Assert.Equal([1, 2, 20, 30], mean.Select(v => v.Value)); // code 0 has size 0, and keeps its place
        Assert.Equal([0, 2], sizes.Select(v => v.Value));
        Assert.Equal([0, 0, 40, 60], sums.Select(v => v.Value));

        // Nothing counts, nothing moves.
        (mean, sizes, sums) = new EmaReference().Update(codes, size, codes, x, [-1, -1, -1]);
        Assert.Equal([1, 2, 3, 4], mean.Select(v => v.Value));
        Assert.Equal([1, 1], sizes.Select(v => v.Value));
        Assert.All(mean.Concat(sizes).Concat(sums), v => Assert.Equal(0, v.Bound));
    }

    [Fact]
    public void One_moving_mean_by_hand()
    {
        // decay 1/2, epsilon 1: sizes (1 + 3) / 2 = 2 and 1 / 2, T = 5/2;
        // smoothed (3 / (9/2)) 5/2 = 5/3 and ((3/2) / (9/2)) 5/2 = 5/6.
        (Bounded[] codes, Bounded[] size, Bounded[] sum) =
            new EmaReference(0.5, 1).Update([7, 8], [1, 1], [4, 2], [1, 2, 3], [0, 0, 0]);
        Assert.Equal([2, 0.5], size.Select(v => v.Value));
        Assert.Equal([5, 1], sum.Select(v => v.Value));
        Assert.Equal(3, codes[0].Value, 1e-14);
        Assert.Equal(1.2, codes[1].Value, 1e-14);

        (Bounded[] byDefault, size, _) = new EmaReference().Update([7, 8], [1, 1], [4, 2], [1, 2, 3], [0, 0, 0]);
        Assert.Equal(new EmaReference(0.8, 1e-5).Update([7, 8], [1, 1], [4, 2], [1, 2, 3], [0, 0, 0]).Codes, byDefault);
        Assert.Equal([1.4, 0.8], size.Select(v => Math.Round(v.Value, 12)));
        Assert.Empty(new EmaReference().Update([], [], [], [1, 2], [-1, -1]).Codes);
    }

    [Theory]
    [InlineData(7)]
    [InlineData(7e-6f)]
    [InlineData(7 * float.Epsilon)]
    public void The_bound_of_a_moving_mean_counts_its_roundings(float sum)
    {
        // The size is (3 + 1) / (3 + 1) 3; with decay 1 the means are exact.
        Bounded code = new EmaReference(1, 1).Update([8], [3], [sum], [5], [0]).Codes[0];
        Assert.Equal(sum / 3.0, code.Value);

        // Two sums, three quotients and products, and four for another grouping; the last of these may underflow, and two.
        double bound = (9 * Bounded.UnitRoundoff * code.Value) + (3 * Bounded.LeastSubnormal);
        Assert.InRange(code.Bound, bound, 1.0001 * bound);
    }

    [Fact]
    public void Moving_means_in_binary32_are_within_the_bounds_in_both_forms()
    {
        var random = new Random(2);
        const int K = 6;
        float[] codes = Floats(random, K * D);
        float[] size = [.. Enumerable.Range(0, K).Select(_ => (float)random.NextDouble() * 3)];
        float[] x = Floats(random, 50 * D);
        int[] index = [.. Enumerable.Range(0, 50).Select(_ => random.Next(K - 1))];
        foreach (double decay in new[] { 0, 0.5, 0.8, 0.99, 0.9999 })
        {
            (Bounded[] newCodes, Bounded[] newSize, Bounded[] newSum) =
                new EmaReference(decay).Update(codes, size, codes, x, index);
            (Bounded[] s, int[] n) = SegmentSumReference.Evaluate(x, index, K, D);
            foreach (bool lerp in new[] { false, true })
            {
                float keep = (float)decay;
                float fresh = (float)(1 - decay);
                float Move(float old, float now) => lerp ? old + (fresh * (now - old)) : (keep * old) + (fresh * now);
                float[] c = [.. size.Select((v, j) => Move(v, n[j]))];
                float total = c.Aggregate((a, b) => a + b);
                float factor = total / (total + (float)(K * 1e-5));
                for (int i = 0; i < codes.Length; i++)
                {
                    float a = Move(codes[i], (float)s[i].Value);
                    Assert.True(newSize[i / D].Admits(c[i / D]));
                    Assert.True(newSum[i].Admits(a));
                    Assert.True(newCodes[i].Admits(a / ((c[i / D] + 1e-5f) * factor)), $"{decay} {i} {newCodes[i]}");
                    Assert.True(newCodes[i].Admits(a / (c[i / D] + 1e-5f) * (total + (float)(K * 1e-5)) / total));

                    // Four roundings in either form of a mean.
                    double terms = Math.Abs(codes[i]) + Math.Abs(s[i].Value);
                    Assert.InRange(newSum[i].Bound, 0, s[i].Bound + (8 * Bounded.UnitRoundoff * terms));
                    Assert.InRange(newSize[i / D].Bound, 0, 8 * Bounded.UnitRoundoff * (size[i / D] + n[i / D]));
                }
            }
        }

        Assert.Throws<ArgumentOutOfRangeException>("decay", () => new EmaReference(1.5));
        Assert.Throws<ArgumentOutOfRangeException>("epsilon", () => new EmaReference(0.5, -1));
        Assert.Throws<ArgumentException>("clusterSum", () => new EmaReference().Update([1], [1], [1, 2], [], []));
    }

    [Fact]
    public void Restart_takes_rows_for_dead_codes_and_leaves_the_others_alone()
    {
        float[] before = [1, 2, 3, 4];
        float[] size = [0.5f, 2, 1, 0.9f];
        float[] x = [7, 8, 8, 9];
        Assert.Equal([true, false, false, true], RestartReference.IsDead(size, 1));
        Assert.DoesNotContain(true, RestartReference.IsDead(size, 0));
        bool Admits(float[] after, int[]? index = null) => RestartReference.Admits(before, after, size, 1, x, index);
        Assert.True(Admits([7, 2, 3, 9]));
        Assert.True(Admits([8, 2, 3, 8])); // there are two of them
        Assert.False(Admits([7, 2, 3, 7])); // one row twice, without need
        Assert.False(Admits([7, 2, 3, 4])); // 4 stayed dead
        Assert.False(Admits([7, 2.5f, 3, 9]));
        Assert.False(Admits([6, 2, 3, 9]));
        Assert.False(Admits([7, 2, 3, 9], [0, 1, 1, -1])); // 9 does not count
        Assert.True(Admits([7, 2, 3, 7], [0, -1, -1, -1])); // one row for two codes
        Assert.True(Admits([1, 2, 3, 4], [-1, -1, -1, -1]));
        Assert.False(Admits([7, 2, 3, 4], [-1, -1, -1, -1]));
        Assert.Equal(6, RestartReference.Sum(3, 2).Value);
        Assert.True(Admits([7, 2, 3, 8], [0, 1, -1, -1])); // as many rows as dead codes
        Assert.False(Admits([7, 2, 3, 7], [0, 1, -1, -1]));
        Assert.True(Admits([8, 2, 3, 7], [0, 0, -1, 1]));
        Assert.False(RestartReference.Admits([0], [-0f], [1], 1, [5]));
    }

    [Fact]
    public void Rows_of_several_numbers_restart_as_a_whole()
    {
        Assert.True(RestartReference.Admits([1, 2], [7, 8], [0.5f], 1, [5, 6, 7, 8]));
        Assert.False(RestartReference.Admits([1, 2], [6, 7], [0.5f], 1, [5, 6, 7, 8]));
        Assert.False(RestartReference.Admits([1, 2, 3, 4], [1, 2, 7, 4], [1, 0.5f], 1, [5, 6, 7, 8]));
        Assert.True(RestartReference.Admits([1, 2, 3, 4], [1, 2, 7, 8], [1, 0.5f], 1, [5, 6, 7, 8]));
        Assert.True(RestartReference.Admits([1, 2, 3, 4], [5, 6, 3, 4], [0.5f, 1], 1, [5, 6, 7, 8]));
        Assert.True(RestartReference.Admits([], [], [], 1, [5, 6]));
        Assert.Throws<ArgumentException>("before", () => RestartReference.Admits([1, 2, 3], [1, 2, 3], [1, 1], 1, [5]));
        Assert.Throws<ArgumentException>("after", () => RestartReference.Admits([1, 2], [1], [1, 1], 1, [5]));
        Assert.Throws<ArgumentException>("x", () => RestartReference.Admits([1, 2, 3, 4], [1, 2, 3, 4], [1, 1], 1, [5]));
        Assert.Throws<ArgumentException>("index", () => RestartReference.Admits([1], [1], [1], 1, [5], [0, 0]));
    }

    [Fact]
    public void Usage_and_perplexity_of_known_counts()
    {
        Assert.Equal(0.75, UsageReference.Usage([1, 0, 5, 2]).Value);
        Assert.Equal(4, UsageReference.Perplexity([3, 3, 0, 3, 3]).Value, 1e-12);
        Assert.Equal(1, UsageReference.Perplexity([0, 9]).Value);
        Assert.Equal(1, UsageReference.Perplexity([0, 0]).Value);
        Assert.Equal(0, UsageReference.Usage([]).Value);

        // p = 1/2, 1/4, 1/4: entropy 3/2 bits.
        Assert.Equal(Math.Pow(2, 1.5), UsageReference.Perplexity([2, 1, 1]).Value, 1e-12);

        var random = new Random(3);
        int[] counts = [.. Enumerable.Range(0, 300).Select(_ => random.Next(100))];
        float total = counts.Sum();
        float sum = 0;
        float other = 0;
        foreach (int n in counts.Where(n => n > 0))
        {
            float p = n / total;
            sum -= p * MathF.Log(p);
            other += n * MathF.Log(n);
        }

        Bounded expected = UsageReference.Perplexity(counts);
        Assert.True(expected.Admits(MathF.Exp(sum)));
        Assert.True(expected.Admits(MathF.Exp(MathF.Log(total) - (other / total))));
        Assert.InRange(expected.Bound, 0, 1e-3 * expected.Value);
    }

    [Fact]
    public void The_bounds_of_usage_and_perplexity_count_their_functions()
    {
        const double U = Bounded.UnitRoundoff;
        Assert.Equal(Bounded.FromDouble(3) / 5, UsageReference.Usage([1, 0, 5, 2, 0]));
        Assert.Equal(new Bounded(0, 0), UsageReference.Usage([]));
        Assert.Equal(new Bounded(0, 0), UsageReference.Usage([0, 0]));
        Assert.Equal(new Bounded(1, 0), UsageReference.Perplexity([0, 0]));
        // exp within 2 ulp, of a logarithm of what is rounded.
        Assert.Equal(new Bounded(1, 6 * U), UsageReference.Perplexity([0, 9]));

        // Three terms p log p: seven roundings and two logarithms, none above log 8; 2 u of the largest argument.
        double error = 1.01 * ((Math.Log(8) * (Bounded.Gamma(7) + (8 * U))) + (3 * U));
        double value = Math.Pow(2, 1.5);
        Bounded perplexity = UsageReference.Perplexity([4, 2, 0, 2]);
        double bound = value * (Math.Exp(error) - 1 + (5 * U));
        Assert.InRange(perplexity.Bound, bound * (1 - 1e-9), bound * (1 + 1e-9));
    }

    [Fact]
    public void The_window_of_the_papers_starts_full_of_zeros_and_forgets()
    {
        var small = new UsageWindowReference(10);
        Assert.Equal(65536, small.Length);
        Assert.Equal(0.1, small.Usage);
        small.Add([3, -1, 4, 3]);
        Assert.Equal(3, small.Used); // 0 was never chosen
        int[] ones = new int[65536];
        Array.Fill(ones, 1);
        small.Add(ones.AsSpan(0, 65532));
        Assert.Equal(4, small.Used);
        small.Add(ones.AsSpan(0, 1));
        Assert.Equal(3, small.Used); // the last zero has left
        small.Add(ones);
        Assert.Equal(1, small.Used);
        small.Add([0]);
        Assert.Equal((2, 0.2), (small.Used, small.Usage));
        Assert.Equal(65537, new UsageWindowReference(65536).Length);
        Assert.Equal(262145, new UsageWindowReference(262144).Length);
        Assert.Throws<ArgumentOutOfRangeException>("index", () => small.Add([10]));
        Assert.Throws<ArgumentOutOfRangeException>("k", () => new UsageWindowReference(0));
    }

    [Fact]
    public void Lloyds_step_never_raises_the_error_and_keeps_empty_clusters()
    {
        var random = new Random(4);
        float[] x = Floats(random, 100 * D);
        float[] codes = [.. Floats(random, 7 * D), 50, 50, 50];
        double last = double.PositiveInfinity;
        for (int step = 0; step < 10; step++)
        {
            (int[] index, Bounded[] means, double error) = KMeansReference.Step(x, codes, D);
            Assert.InRange(error, 0, last * (1 + 1e-6));
            Assert.DoesNotContain(7, index);
            last = error;
            codes = Array.ConvertAll(means, v => (float)v.Value);
            Assert.Equal([50, 50, 50], codes[^3..]);
            Assert.True(means[0].Admits(x.Chunk(D).Where((_, n) => index[n] == 0).Aggregate(0f, (a, r) => a + r[0])
                / index.Count(i => i == 0)));
        }
    }

    [Fact]
    public void Next_centres_are_drawn_by_squared_distance()
    {
        float[] x = [0, 0, 3, 4, float.NaN, 0, 6, 8];
        Assert.Equal([0, 0.2, 0, 0.8], KMeansReference.NextCentre(x, [0, 0], 2).Select(p => p.Value));
        Assert.Equal([0.5, 0.5, 0, 0], KMeansReference.NextCentre(x, [3, 0, 6, 8, 0, 4], 2).Select(
            p => Math.Round(p.Value, 1)));
        Assert.Equal([1.0 / 3, 1.0 / 3, 0, 1.0 / 3], KMeansReference.NextCentre(x, [], 2).Select(p => p.Value));
        Assert.Equal([0.5, 0.5], KMeansReference.NextCentre([1, 1], [1], 1).Select(p => p.Value));

        Bounded[] p = KMeansReference.NextCentre(x, [0, 0], 2);
        Assert.True(KMeansReference.AdmitsPick(p, 0, 1));
        Assert.False(KMeansReference.AdmitsPick(p, 0, 0));
        Assert.False(KMeansReference.AdmitsPick(p, 0, 3));
        Assert.True(KMeansReference.AdmitsPick(p, 0.19, 1));
        Assert.True(KMeansReference.AdmitsPick(p, 0.2, 3));
        Assert.True(KMeansReference.AdmitsPick(p, 0.999, 3));
        Assert.False(KMeansReference.AdmitsPick(p, 0.999, 1));
    }

    [Fact]
    public void A_mean_may_be_a_product_with_a_reciprocal_and_an_empty_cluster_keeps_its_own()
    {
        Bounded[] means = KMeansReference.Means([1, 2, 4, 9], [5, 0.1f], [0, 0, 0, -1], 1);
        double bound = 2 * Bounded.UnitRoundoff * 7 / 3;
        Assert.Equal(7 / 3.0, means[0].Value);
        Assert.InRange(means[0].Bound, bound, 1.0001 * bound);
        Assert.Equal(new Bounded(0.1f, 0), means[1]);
    }

    [Fact]
    public void A_step_of_Lloyds_leaves_out_rows_that_are_not_finite()
    {
        (int[] index, Bounded[] codes, double error) =
            KMeansReference.Step([0, 1, float.NaN, 12, float.PositiveInfinity], [0, 10], 1);
        Assert.Equal([0, 0, -1, 1, -1], index);
        Assert.Equal([0.5, 12], codes.Select(v => v.Value));
        Assert.Equal(1 + 4, error);
    }

    [Fact]
    public void Next_centres_are_drawn_evenly_where_there_is_no_distance()
    {
        Assert.Equal([0.5, 0, 0.5], KMeansReference.NextCentre([1, float.NaN, 1], [1], 1).Select(p => p.Value));
        Assert.Equal([0.5, 0.5], KMeansReference.NextCentre([float.NaN, float.NaN], [], 1).Select(p => p.Value));
        Assert.Equal([0.5, 0.5], KMeansReference.NextCentre([float.NaN, float.NaN], [3], 1).Select(p => p.Value));
        Assert.Equal([0, 1.0], KMeansReference.NextCentre([float.NaN, 5], [], 1).Select(p => p.Value));
        Assert.Equal([1.0, 0], KMeansReference.NextCentre([1, 0], [0], 1).Select(p => p.Value));
    }

    /// <summary>The bounds of all probabilities, and a rounding of the sum for each and for two more.</summary>
    [Fact]
    public void A_pick_is_admitted_up_to_the_bounds_at_either_end()
    {
        Bounded[] p = [0.25, new(0.5, 1e-6), new(0.25, 2e-6)];
        double error = 3e-6 + Bounded.Gamma(5);
        double first = 0.25 - error;
        double last = 0.75 + error;
        Assert.True(KMeansReference.AdmitsPick(p, first + 1e-12, 1));
        Assert.False(KMeansReference.AdmitsPick(p, first - 1e-12, 1));
        Assert.True(KMeansReference.AdmitsPick(p, last - 1e-12, 1));
        Assert.False(KMeansReference.AdmitsPick(p, last + 1e-12, 1));
        Assert.True(KMeansReference.AdmitsPick(p, 0.5, 1));

        // The very ends: the first belongs to it, and the last does not.
        Bounded[] exact = [0.25, 0.5, 0.25];
        error = Bounded.Gamma(5);
        Assert.Equal((0.25, 0.75), (0.25 - error + error, 0.75 + error - error));
        Assert.True(KMeansReference.AdmitsPick(exact, 0.25 - error, 1));
        Assert.False(KMeansReference.AdmitsPick(exact, 0.75 + error, 1));

        Assert.False(KMeansReference.AdmitsPick(p, 0.5, -1));
        Assert.False(KMeansReference.AdmitsPick(p, 0.5, 3));
        Assert.True(KMeansReference.AdmitsPick([new(0, 1), 1], 0, 0));
        Assert.False(KMeansReference.AdmitsPick([0, 1], 0, 0));
        Assert.Throws<ArgumentOutOfRangeException>("uniform", () => KMeansReference.AdmitsPick([1], 1, 0));
        Assert.Throws<ArgumentOutOfRangeException>("uniform", () => KMeansReference.AdmitsPick([1], -0.1, 0));
    }

    private static float[] Floats(Random random, int n) =>
        [.. Enumerable.Range(0, n).Select(_ => (float)((random.NextDouble() * 2) - 1))];
}
