using System.Numerics;
using Kernels.References;
using Kernels.References.VectorQuantization;

namespace Kernels.Tests.References.VectorQuantization;

public sealed class NearestReferenceTests
{
    public static TheoryData<NearestMetric> Metrics => [NearestMetric.L2, NearestMetric.Dot, NearestMetric.Cosine];

    [Theory]
    [MemberData(nameof(Metrics))]
    public void The_order_is_that_of_exact_arithmetic_near_ties_included(NearestMetric metric)
    {
        var random = new Random(1);
        foreach (int d in new[] { 1, 2, 3, 7 })
        {
            for (int trial = 0; trial < 20; trial++)
            {
                float[] z = Floats(random, d, trial % 2 == 0 ? 1 : 1e-20f);
                float[] seed = Floats(random, d, 1);
                var codes = new List<float>();
                for (int j = 0; j < 12; j++)
                {
                    // Multiples and neighbours of one code, and codes of its own.
                    codes.AddRange((j % 4) switch
                    {
                        0 => seed.Select(x => 3 * (j + 1) * x),
                        1 => seed.Select((x, i) => i == j % d ? MathF.BitIncrement(x) : x),
                        2 => seed.AsEnumerable(),
                        _ => Floats(random, d, 1),
                    });
                }

                NearestRow row = new NearestReference(metric, codes.ToArray(), d).Search(z, 12);
                Assert.Equal(BruteForce(metric, z, [.. codes], d), row.Index);
                Assert.True(row.AdmitsTop([.. row.Index]));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Metrics))]
    public void Integers_equal_exact_decimals_and_admit_nothing_else(NearestMetric metric)
    {
        var random = new Random(2);
        foreach (int d in new[] { 1, 3, 255, 257 })
        {
            float[] codes = [.. Enumerable.Range(0, 40 * d).Select(_ => (float)random.Next(-2, 3))];
            float[] z = [.. Enumerable.Range(0, d).Select(_ => (float)random.Next(-2, 3))];
            NearestRow row = new NearestReference(metric, codes, d).Search(z, 3);
            Assert.Equal(BruteForce(metric, z, codes, d)[..3], row.Index);
            if (metric == NearestMetric.Cosine)
            {
                continue;
            }

            decimal expected = 0;
            for (int i = 0; i < d; i++)
            {
                decimal a = (decimal)z[i];
                decimal b = (decimal)codes[(row.Index[0] * d) + i];
                expected += metric == NearestMetric.L2 ? (a - b) * (a - b) : -a * b;
            }

            Assert.Equal(new Bounded((double)expected, 0), row.Distance[0]);
            Assert.Equal(1, row.AdmittedCount);
            Assert.All(Enumerable.Range(-1, 41), i => Assert.Equal(i == row.Index[0], row.Admits(i)));
        }
    }

    [Theory]
    [MemberData(nameof(Metrics))]
    public void Of_equal_codes_only_the_lowest_is_right(NearestMetric metric)
    {
        // The start of FVQ: every projected code is 0.
        var zeros = new NearestReference(metric, new float[50 * 4], 4);
        Assert.All(zeros.SearchAll([1, -2, 3, 0.1f, 0, 0, 0, 0]), row => Assert.Equal([0, 1, 2], First(zeros, row)));

        float[] code = [0.1f, 0.7f, -0.3f];
        float[] codes = [9, 9, -9, .. code, 0.1f, 0.7f, -0.3f, .. code];
        NearestRow found = new NearestReference(metric, codes, 3).Search(code.AsSpan(), 3);
        if (metric != NearestMetric.Dot)
        {
            Assert.Equal([1, 2, 3], found.Index);
            Assert.True(found.Admits(1));
            Assert.False(found.Admits(2));
            Assert.True(found.AdmitsTop([1, 2, 3]));
            Assert.False(found.AdmitsTop([1, 3, 2]));
            Assert.False(found.AdmitsTop([1, 1, 2]));
        }

        // -0 and 0 are equal.
        Assert.Equal([0, 1], new NearestReference(metric, [0f, 1f, -0f, 1f], 2).Search([1f, 2f], 2).Index);

        static int[] First(NearestReference reference, NearestRow row)
        {
            Assert.True(row.Admits(0));
            Assert.False(row.Admits(49));
            Assert.Equal(50, reference.Count);
            return [row.Index[0], 1, 2];
        }
    }

    [Fact]
    public void Multiples_of_a_code_tie_in_cosine_and_a_zero_vector_has_cosine_0()
    {
        float[] codes = [-1, 0, 0, 0, 0.3f, 0.9f, 0.3f * 4, 0.9f * 4, 1, 3, 3, 9];
        var cosine = new NearestReference(NearestMetric.Cosine, codes, 2);
        Assert.Equal([4, 5], cosine.Search([2f, 6f], 2).Index);
        Assert.Equal(0, cosine.Search([0f, 0f]).Index[0]);
        Assert.Equal(new Bounded(1, 0), cosine.Search([0f, 0f]).Distance[0]);
        Assert.Equal(new Bounded(1, 0), cosine.Search([1f, 1f]).DistanceOf(1));
        Assert.Equal([2, 3], new NearestReference(NearestMetric.Cosine, codes.AsSpan(0, 8), 2).Search(
            [2f, 6f], 2).Index);
    }

    [Fact]
    public void What_binary32_scores_cannot_tell_apart_is_told_apart_and_both_are_admitted()
    {
        // The row is far longer than the gaps: the score form of binary32 has nothing left.
        float[] codes = [1e6f + 1, 1e6f + 0.25f, 1e6f - 0.5f, 2e6f];
        NearestRow row = new NearestReference(NearestMetric.L2, codes, 1).Search([1e6f]);
        Assert.Equal(1, row.Index[0]);
        Assert.Equal(new Bounded(0.0625, row.Distance[0].Bound), row.Distance[0]);
        Assert.InRange(row.Distance[0].Bound, 1e-9, 1e-7);
        Assert.Equal(3, row.AdmittedCount);
        Assert.True(row.Admits(2));
        Assert.False(row.Admits(3));

        // The reference of others clamps squared distances at 1e-8, where these two tie.
        Assert.Equal(1, new NearestReference(NearestMetric.L2, [3e-5f, 1e-5f], 1).Search([0f]).Index[0]);

        // 1 + 2^-60 against 1: not even binary64 sees it.
        Assert.Equal(1, new NearestReference(NearestMetric.L2, [1, MathF.ScaleB(1, -30), 1, 0], 2).Search(
            [0f, 0f]).Index[0]);
    }

    [Theory]
    [MemberData(nameof(Metrics))]
    public void Not_finite_never_wins(NearestMetric metric)
    {
        float[] codes =
        [
            float.NaN, 1, float.PositiveInfinity, 1, float.NegativeInfinity, 0, -5, -4, 1, float.NaN, -3, -4,
        ];
        var reference = new NearestReference(metric, codes, 2);
        foreach (float[] z in new float[][] { [1, 1], [-1, 0.5f], [1e20f, 0], [float.MaxValue, -float.MaxValue] })
        {
            NearestRow row = reference.Search(z, 4);
            Assert.Contains(row.Index[0], new[] { 3, 5 });
            Assert.Equal([-1, -1], row.Index.Skip(2));
            Assert.True(double.IsFinite(row.Distance[1].Value));
            Assert.Equal(new Bounded(double.NaN, double.NaN), row.Distance[2]);
            Assert.False(row.Admits(0));
            Assert.False(row.Admits(6));
            Assert.False(row.Admits(-2));
        }

        float[][] notFinite = [[float.NaN, 1], [float.PositiveInfinity, 1], [1, float.NegativeInfinity]];
        foreach (float[] z in notFinite)
        {
            NearestRow row = reference.Search(z);
            Assert.Equal(-1, row.Index[0]);
            Assert.True(double.IsNaN(row.Distance[0].Value));
            Assert.True(row.Admits(-1));
            Assert.False(row.Admits(3));
        }

        NearestRow none = new NearestReference(metric, codes.AsSpan(0, 6), 2).Search([1f, 1f], 2);
        Assert.Equal([-1, -1], none.Index);
        Assert.True(none.AdmitsTop([-1, -1]));
        Assert.False(none.Admits(0));
        Assert.False(reference.Search([1f, 1f]).Admits(-1));
        Assert.Equal(-1, new NearestReference(metric, [], 2).Search([1f, 1f]).Index[0]);
        Assert.Empty(reference.SearchAll([]));
    }

    [Fact]
    public void Squares_beyond_binary32_are_compared_all_the_same_and_anything_is_admitted_there()
    {
        NearestRow row = new NearestReference(NearestMetric.L2, [3e30f, 1e30f, -1e30f], 1).Search([1.1e30f]);
        Assert.Equal(1, row.Index[0]);
        Assert.False(row.Distance[0].IsInDomain);
        Assert.True(row.Admits(0));
        Assert.True(row.Admits(-1));
        NearestRow tiny = new NearestReference(NearestMetric.L2, [3e-45f, 1e-45f, 0], 1).Search([1e-45f]);
        Assert.Equal(1, tiny.Index[0]);
        Assert.Equal(3, tiny.AdmittedCount);

        // One code that overflows does not excuse the others.
        NearestRow mixed = new NearestReference(NearestMetric.L2, [1e30f, 1, 2], 1).Search([1.01f]);
        Assert.True(mixed.Admits(0));
        Assert.True(mixed.Admits(1));
        Assert.False(mixed.Admits(2));
        Assert.False(mixed.Admits(-1));
    }

    [Theory]
    [MemberData(nameof(Metrics))]
    public void Order_of_codes_translation_and_powers_of_two_do_not_matter(NearestMetric metric)
    {
        const int D = 5;
        const int K = 30;
        var random = new Random(3);
        float[] codes = Floats(random, K * D, 1);
        float[] x = Floats(random, 20 * D, 1);
        int[] expected = Indices(metric, codes, x);

        int[] order = [.. Enumerable.Range(0, K).OrderBy(_ => random.Next())];
        float[] permuted = [.. order.SelectMany(j => codes[(j * D)..((j + 1) * D)])];
        Assert.Equal(expected, Indices(metric, permuted, x).Select(j => order[j]));

        foreach (int power in new[] { -40, -3, 17, 40 })
        {
            float[] scaled = Array.ConvertAll(codes, v => MathF.ScaleB(v, power));
            Assert.Equal(expected, Indices(metric, scaled, Array.ConvertAll(x, v => MathF.ScaleB(v, power))));
        }

        if (metric == NearestMetric.L2)
        {
            float[] whole = Array.ConvertAll(codes, v => MathF.Round(v * 8));
            float[] wholeX = Array.ConvertAll(x, v => MathF.Round(v * 8));
            Assert.Equal(
                Indices(metric, whole, wholeX),
                Indices(metric, Array.ConvertAll(whole, v => v + 1000), Array.ConvertAll(wholeX, v => v + 1000)));

            // Every code is nearest to itself.
            Assert.Equal(Enumerable.Range(0, K), Indices(metric, codes, codes));
        }

        static int[] Indices(NearestMetric metric, float[] codes, float[] x) =>
            Array.ConvertAll(new NearestReference(metric, codes, D).SearchAll(x), row => row.Index[0]);
    }

    [Theory]
    [MemberData(nameof(Metrics))]
    public void Binary32_searches_of_several_orders_are_admitted_and_within_the_bounds(NearestMetric metric)
    {
        var random = new Random(4);
        double worst = 0;
        foreach (int d in new[] { 1, 2, 3, 8, 33, 256 })
        {
            const int K = 60;
            float[] codes = Floats(random, K * d, 1);
            float[] z = [.. codes.Take(d).Select(x => x + (0.01f * (float)random.NextDouble()))];
            float[] offset = Array.ConvertAll(codes, c => c + 30);
            foreach (float[] book in new[] { codes, offset })
            {
                NearestRow row = new NearestReference(metric, book, d).Search(z);
                foreach (int mode in new[] { 0, 1, 2 })
                {
                    int best = 0;
                    float most = float.NegativeInfinity;
                    for (int j = 0; j < K; j++)
                    {
                        float[] e = book[(j * d)..((j + 1) * d)];
                        float score = Score(metric, z, e, mode);
                        double bound = NearestReference.ScoreBound(metric, z, e);
                        double error = Math.Abs(score - ExactScore(metric, z, e));
                        Assert.InRange(error, 0, bound);
                        Assert.InRange(bound, 0, NearestReference.ScoreBound(metric, d, Norm(z), Norm(e)));
                        worst = Math.Max(worst, error / bound);
                        (best, most) = score > most ? (j, score) : (best, most);
                        if (metric != NearestMetric.L2)
                        {
                            Assert.True(row.DistanceOf(j).Admits(metric == NearestMetric.Dot ? -score : 1 - score));
                        }
                        else if (mode == 0)
                        {
                            Assert.True(row.DistanceOf(j).Admits(
                                z.Zip(e, (a, b) => (a - b) * (a - b)).Aggregate((a, b) => a + b)));
                        }
                    }

                    Assert.True(row.Admits(best));
                }
            }
        }

        Assert.InRange(worst, 0.05, 1); // not idle
    }

    [Fact]
    public void Products_in_bfloat16_are_not_the_nearest_code()
    {
        var random = new Random(5);
        const int D = 4;
        float[] codes = Floats(random, 3000 * D, 1);
        float[] x = Floats(random, 50 * D, 1);
        var reference = new NearestReference(NearestMetric.L2, codes, D);
        float[] narrow = Array.ConvertAll(codes, Narrow);
        int refused = 0;
        for (int n = 0; n < 50; n++)
        {
            float[] z = x[(n * D)..((n + 1) * D)];
            NearestRow wrong = new NearestReference(NearestMetric.L2, narrow, D).Search(Array.ConvertAll(z, Narrow));
            refused += reference.Search(z).Admits(wrong.Index[0]) ? 0 : 1;
        }

        Assert.InRange(refused, 1, 49);

        static float Narrow(float v) => BitConverter.UInt32BitsToSingle(
            BitConverter.SingleToUInt32Bits(v) & 0xFFFF0000);
    }

    [Fact]
    public void The_margin_is_that_of_the_two_nearest_and_exact_for_short_numbers()
    {
        var reference = new NearestReference(NearestMetric.L2, [5, 1, float.NaN, 2], 1);

        Assert.Equal(new Bounded(3, 0), reference.Search([0]).Margin);
        Assert.Equal(new Bounded(0, 0), reference.Search([1.5f], 3).Margin);
        Assert.True(double.IsNaN(reference.Search([float.NaN]).Margin.Value));
        Bounded off = reference.Search([0.1f]).Margin;
        Assert.Equal(2.8, off.Value, 1e-6);
        Assert.InRange(off.Bound, 1e-9, 1e-4);

        Bounded one = new NearestReference(NearestMetric.Cosine, [3, 4], 2).Search([0, 0]).Margin;
        Assert.Equal(new Bounded(double.PositiveInfinity, 0), one);
        Assert.False(new NearestReference(NearestMetric.L2, [3e38f, 3e38f], 1).Search([0]).Margin.IsInDomain);
    }

    /// <summary>The products are all 0, and the norm of the code is lost in binary32.</summary>
    [Fact]
    public void A_tiny_code_across_a_row_may_be_found()
    {
        var reference = new NearestReference(NearestMetric.Cosine, [0, float.Epsilon, 0, 1], 2);

        Assert.True(reference.Search([1, 0]).Admits(0));
        Assert.True(new NearestReference(NearestMetric.Cosine, [0, float.Epsilon], 2).Search([1, 0]).Admits(0));
    }

    [Fact]
    public void Wrong_calls_are_refused()
    {
        var reference = new NearestReference(NearestMetric.L2, new float[6], 3);
        Assert.Throws<ArgumentException>("codes", () => new NearestReference(NearestMetric.L2, new float[5], 3));
        Assert.Throws<ArgumentOutOfRangeException>("d", () => new NearestReference(NearestMetric.L2, [], 0));
        Assert.Throws<ArgumentException>("z", () => reference.Search(new float[2]));
        Assert.Throws<ArgumentException>("x", () => reference.SearchAll(new float[2]));
        Assert.Throws<ArgumentOutOfRangeException>("top", () => reference.Search(new float[3], 0));
        Assert.Throws<ArgumentException>("index", () => reference.Search(new float[3]).AdmitsTop([0, 1]));
        Assert.Throws<ArgumentOutOfRangeException>("index", () => reference.Search(new float[3]).DistanceOf(2));
        Assert.Throws<ArgumentException>("e", () => NearestReference.ScoreBound(NearestMetric.Dot, [1f], [1f, 2f]));
    }

    private static float[] Floats(Random random, int n, float scale) =>
        [.. Enumerable.Range(0, n).Select(_ => scale * (float)((random.NextDouble() * 2) - 1))];

    private static double Norm(float[] v) => Math.Sqrt(v.Sum(x => (double)x * x));

    private static double ExactScore(NearestMetric metric, float[] z, float[] e)
    {
        double product = z.Zip(e, (a, b) => (double)a * b).Sum();
        return metric switch
        {
            NearestMetric.L2 => product - (e.Sum(x => (double)x * x) / 2),
            NearestMetric.Dot => product,
            _ => product / (Norm(z) * Norm(e)),
        };
    }

    private static float Score(NearestMetric metric, float[] z, float[] e, int mode)
    {
        float norm = metric == NearestMetric.L2 ? Dot(e, e, 0, mode) : 0;
        if (metric == NearestMetric.L2)
        {
            return mode == 1 ? Dot(z, e, 0, mode) - (0.5f * norm) : Dot(z, e, -0.5f * norm, mode);
        }

        float product = Dot(z, e, 0, mode);
        if (metric == NearestMetric.Dot)
        {
            return product;
        }

        float rz = 1 / MathF.Sqrt(Dot(z, z, 0, mode));
        float re = 1 / MathF.Sqrt(Dot(e, e, 0, mode));
        return mode == 0 ? product * rz * re : Dot(
            Array.ConvertAll(z, x => x * rz), Array.ConvertAll(e, x => x * re), 0, mode);
    }

    // In order; from the end with fused steps; in four partial sums.
    private static float Dot(float[] a, float[] b, float start, int mode)
    {
        if (mode == 2)
        {
            float[] part = [start, 0, 0, 0];
            for (int i = 0; i < a.Length; i++)
            {
                part[i % 4] += a[i] * b[i];
            }

            return part[0] + part[1] + (part[2] + part[3]);
        }

        for (int i = 0; i < a.Length; i++)
        {
            int at = mode == 0 ? i : a.Length - 1 - i;
            start = mode == 0 ? start + (a[at] * b[at]) : MathF.FusedMultiplyAdd(a[at], b[at], start);
        }

        return start;
    }

    private static int[] BruteForce(NearestMetric metric, float[] z, float[] codes, int d)
    {
        int k = codes.Length / d;
        var keys = new (BigInteger A, BigInteger B)[k];
        for (int j = 0; j < k; j++)
        {
            keys[j] = (0, 0);
            for (int i = 0; i < d; i++)
            {
                BigInteger a = Whole(z[i]);
                BigInteger b = Whole(codes[(j * d) + i]);
                keys[j].A += metric == NearestMetric.L2 ? (b * b) - (2 * a * b) : -a * b;
                keys[j].B += b * b;
            }
        }

        return [.. Enumerable.Range(0, k).Order(
            Comparer<int>.Create((i, j) => Compare(i, j) is var c && c != 0 ? c : i - j))];

        int Compare(int i, int j)
        {
            if (metric != NearestMetric.Cosine || keys[i].B.IsZero || keys[j].B.IsZero
                || keys[i].A.Sign != keys[j].A.Sign)
            {
                return keys[i].A.CompareTo(keys[j].A) * (metric == NearestMetric.Cosine ? 0 : 1) is var c && c != 0
                    ? c
                    : metric == NearestMetric.Cosine ? keys[i].A.Sign - keys[j].A.Sign : 0;
            }

            int squares = (keys[i].A * keys[i].A * keys[j].B).CompareTo(keys[j].A * keys[j].A * keys[i].B);
            return squares * keys[i].A.Sign;
        }

        // x 2^149 by repeated doubling, which is exact in binary64 and then in integers.
        static BigInteger Whole(float x) => new BigInteger(Math.ScaleB(x, 100)) * BigInteger.Pow(2, 49)
            + (BigInteger)(Math.ScaleB(x, 149) - Math.ScaleB(Math.Truncate(Math.ScaleB(x, 100)), 49));
    }
}
