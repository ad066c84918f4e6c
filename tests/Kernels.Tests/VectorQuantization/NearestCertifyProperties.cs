using ILGPU.Runtime;
using Kernels.Launching;
using Kernels.References.VectorQuantization;
using Kernels.Tests.Support;
using Kernels.VectorQuantization;

namespace Kernels.Tests.VectorQuantization;

/// <summary>A certified search returns the nearest code of the real numbers, by the oracle's integers.</summary>
public sealed class NearestCertifyProperties
{
    private static readonly string[] s_kinds =
    [
        "random", "close", "integers", "duplicates", "permutations", "scaled codes", "tiny", "tiny rows",
        "tiny codes", "subnormal", "huge", "overflowing", "zeros",
    ];

    public static TheoryData<string, CodeMetric, int, int, int> Cases()
    {
        var cases = new TheoryData<string, CodeMetric, int, int, int>();
        foreach (string kind in s_kinds)
        {
            foreach (CodeMetric metric in Enum.GetValues<CodeMetric>())
            {
                cases.Add(kind, metric, 9, 75, 5);
                cases.Add(kind, metric, 6, 40, 21);
            }
        }

        cases.Add("close", CodeMetric.L2, 20, 700, 64);
        cases.Add("close", CodeMetric.Cosine, 20, 300, 33);
        cases.Add("integers", CodeMetric.Dot, 20, 300, 1);
        cases.Add("random", CodeMetric.L2, 1, 1, 1);
        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Returns_the_exact_nearest_code(string kind, CodeMetric metric, int n, int k, int d)
    {
        (float[] x, float[] codes) = Numbers(kind, n, k, d);
        int[] wanted = [.. new NearestReference(Enum.Parse<NearestMetric>(metric.ToString()), codes, d)
            .SearchAll(x).Select(row => row.Index[0])];
        foreach ((Accelerator accelerator, NearestWalk? walk) in Places())
        {
            foreach (int splits in (int[])[1, 7])
            {
                Assert.Equal(wanted, Search(accelerator, walk, x, codes, n, k, d, metric, splits));
            }
        }
    }

    /// <summary>Without certifying some of these are wrong: the test above can fail.</summary>
    [Fact]
    public void Roundings_do_hide_the_nearest_code()
    {
        const int N = 20;
        const int K = 700;
        const int D = 64;
        (float[] x, float[] codes) = Numbers("close", N, K, D);
        int[] wanted = [.. new NearestReference(NearestMetric.L2, codes, D).SearchAll(x).Select(row => row.Index[0])];
        Assert.NotEqual(
            wanted,
            Search(TestDevices.Session.Accelerator, null, x, codes, N, K, D, CodeMetric.L2, 0, certified: false));
    }

    [Fact]
    public void What_is_no_number_never_wins()
    {
        const int N = 3;
        const int K = 30;
        const int D = 4;
        (float[] x, float[] codes) = Numbers("duplicates", N, K, D);
        codes[D + 1] = float.NaN;
        codes[(2 * D) + 3] = float.PositiveInfinity;
        x[D] = float.NegativeInfinity;
        foreach (CodeMetric metric in Enum.GetValues<CodeMetric>())
        {
            int[] wanted = [.. new NearestReference(Enum.Parse<NearestMetric>(metric.ToString()), codes, D)
                .SearchAll(x).Select(row => row.Index[0])];
            Assert.Equal(-1, wanted[1]);
            float[] none = new float[K * D];
            Array.Fill(none, float.NaN);
            foreach ((Accelerator accelerator, NearestWalk? walk) in Places())
            {
                Assert.Equal(wanted, Search(accelerator, walk, x, codes, N, K, D, metric, 0));
                Assert.All(Search(accelerator, walk, x, none, N, K, D, metric, 0), i => Assert.Equal(-1, i));
            }
        }
    }

    /// <summary>Every score is minus infinity, and one code is the nearest all the same.</summary>
    [Fact]
    public void Of_codes_whose_scores_all_overflow_the_nearest_is_found()
    {
        float[] x = [0, 0, -1, 3, float.NaN, 1];
        float[] codes = [-3e20f, 3e20f, 2e20f, -2e20f, -2e20f, 2e20f, 4e20f, 4e20f];
        foreach ((Accelerator accelerator, NearestWalk? walk) in Places())
        {
            foreach (int splits in (int[])[1, 3])
            {
                Assert.Equal([1, 2, -1], Search(accelerator, walk, x, codes, 3, 4, 2, CodeMetric.L2, splits));
            }
        }
    }

    [Theory]
    [InlineData(Storage.F16)]
    [InlineData(Storage.BF16)]
    public void Short_storage_is_decided_by_its_own_numbers(Storage storage)
    {
        const int N = 7;
        const int K = 60;
        const int D = 18;
        // Few bits: many exact ties, and differences far below the rounding of the scores.
        var draw = new Random(5);
        float[] x = [.. Enumerable.Range(0, N * D).Select(_ => 256f + (2 * draw.Next(3)))];
        float[] codes = [.. Enumerable.Range(0, K * D).Select(_ => 256f + (2 * draw.Next(3)))];
        int[] wanted = [.. new NearestReference(NearestMetric.L2, codes, D).SearchAll(x).Select(row => row.Index[0])];
        foreach ((Accelerator accelerator, NearestWalk? walk) in Places())
        {
            Assert.Equal(wanted, Search(accelerator, walk, x, codes, N, K, D, CodeMetric.L2, 0, storage: storage));
        }
    }

    [Fact]
    public void Heads_are_certified_by_themselves()
    {
        const int N = 11;
        const int K = 40;
        const int D = 6;
        (float[] x, float[] codes) = Numbers("close", 2 * N, 2 * K, D);
        foreach ((Accelerator accelerator, NearestWalk? walk) in Places())
        {
            int[] got = Search(accelerator, walk, x, codes, N, K, D, CodeMetric.L2, 0, heads: 2);
            for (int i = 0; i < 2 * N; i++)
            {
                float[] own = codes[(i % 2 * K * D)..((i % 2 + 1) * K * D)];
                var reference = new NearestReference(NearestMetric.L2, own, D);
                Assert.Equal(reference.Search(x.AsSpan(i * D, D)).Index[0], got[i]);
            }
        }
    }

    /// <summary>The distance is that of the certified code.</summary>
    [Fact]
    public void Distance_belongs_to_the_index()
    {
        const int N = 20;
        const int K = 700;
        const int D = 64;
        (float[] x, float[] codes) = Numbers("close", N, K, D);
        NearestRow[] rows = new NearestReference(NearestMetric.L2, codes, D).SearchAll(x);
        Accelerator accelerator = TestDevices.Session.Accelerator;
        using var z = new GuardedTensor(accelerator, x);
        using var book = new GuardedTensor(accelerator, codes);
        using var index = new GuardedTensor(accelerator, new float[N]);
        using var distance = new GuardedTensor(accelerator, new float[N]);
        using var nearest = new NearestCode(accelerator, N, K, D, certified: true);
        Assert.True(nearest.Certified);
        nearest.Search(
            accelerator.DefaultStream, z.View, book.View, index.Floats.Cast<int>(), N, distance.Floats);
        accelerator.Synchronize();
        float[] got = distance.Values();
        Assert.All(Enumerable.Range(0, N), i => Assert.True(rows[i].Distance[0].Admits(got[i])));
    }

    private static IEnumerable<(Accelerator Accelerator, NearestWalk? Walk)> Places()
    {
        yield return (TestDevices.Session.Accelerator, null);
        if (!TestDevices.IsHost)
        {
            yield return (TestDevices.Session.Accelerator, NearestWalk.Tile);
        }
    }

    private static (float[] X, float[] Codes) Numbers(string kind, int n, int k, int d)
    {
        var draw = new Random((31 * n) + d);
        float Any() => (float)((2 * draw.NextDouble()) - 1);
        float Step() => MathF.BitIncrement(1) - 1;
        float[] x = [.. Enumerable.Range(0, n * d).Select(_ => Any())];
        float[] codes = [.. Enumerable.Range(0, k * d).Select(_ => Any())];
        switch (kind)
        {
            case "close": // all codes are within a few steps of one, and rows too
            case "tiny rows": // the same, and the squares of the rows vanish
                float[] center = [.. Enumerable.Range(0, d).Select(_ => 1 + MathF.Abs(Any()))];
                x = [.. x.Select((_, i) => center[i % d] + (Step() * draw.Next(-9, 10)))];
                codes = [.. codes.Select((_, i) => center[i % d] + (Step() * draw.Next(-9, 10)))];
                if (string.Equals(kind, "tiny rows", StringComparison.Ordinal))
                {
                    x = Array.ConvertAll(x, v => v * 1e-26f);
                }

                break;
            case "tiny codes": // their squares have few bits left
                codes = Array.ConvertAll(codes, v => v * 1e-22f);
                break;
            case "integers":
                x = [.. x.Select(_ => (float)draw.Next(-2, 3))];
                codes = [.. codes.Select(_ => (float)draw.Next(-2, 3))];
                break;
            case "duplicates":
                codes = [.. codes.Select((_, i) => codes[(i / d % 7 * d) + (i % d)])];
                break;
            case "permutations": // equal norms, and equal products with a row of equal numbers
                Array.Fill(x, Any(), 0, d);
                for (int i = 1; i < k; i++)
                {
                    codes.AsSpan(0, d).CopyTo(codes.AsSpan(i * d));
                    draw.Shuffle(codes.AsSpan(i * d, d));
                }

                break;
            case "scaled codes": // equal cosines but for the roundings of the scaled numbers
                codes = [.. codes.Select((_, i) => codes[i % d] * (1 + (i / d)))];
                break;
            case "tiny":
                x = Array.ConvertAll(x, v => v * 1e-25f);
                codes = Array.ConvertAll(codes, v => v * 1e-22f);
                break;
            case "subnormal":
                x = Array.ConvertAll(x, v => v * 1e-40f);
                codes = Array.ConvertAll(codes, v => v * 1e-41f);
                break;
            case "huge":
                x = Array.ConvertAll(x, v => v * 1e17f);
                codes = Array.ConvertAll(codes, v => v * 1e18f);
                break;
            case "overflowing":
                x = Array.ConvertAll(x, v => v * 3e38f);
                codes = [.. codes.Select((v, i) => v * (i / d % 3 == 0 ? 3e38f : 1e-38f))];
                break;
            case "zeros":
                x.AsSpan(0, d).Clear();
                codes.AsSpan(3 * d, 2 * d).Clear();
                codes = [.. codes.Select((v, i) => i / d > 5 && i % 3 == 0 ? -0f : -MathF.Abs(v))];
                break;
        }

        return (x, codes);
    }

    private static int[] Search(
        Accelerator accelerator, NearestWalk? walk, float[] x, float[] codes, int n, int k, int d, CodeMetric metric,
        int splits, bool certified = true, int heads = 1, Storage storage = Storage.F32)
    {
        uint[] Bits(float[] values) => Array.ConvertAll(values, v => storage switch
        {
            Storage.F32 => BitConverter.SingleToUInt32Bits(v),
            Storage.F16 => BitConverter.HalfToUInt16Bits((System.Half)v),
            _ => BitConverter.SingleToUInt32Bits(v) >> 16,
        });
        using var rows = new GuardedTensor(accelerator, storage, Bits(x), 0);
        using var book = new GuardedTensor(accelerator, storage, Bits(codes), 0);
        using var index = new GuardedTensor(accelerator, new float[n * heads]);
        using var nearest = new NearestCode(accelerator, n, k, d, metric, heads, splits, certified, top: 1, walk);
        nearest.Search(accelerator.DefaultStream, rows.View, book.View, index.Floats.Cast<int>(), n);
        accelerator.Synchronize();
        return Array.ConvertAll(index.Bits(), b => (int)b);
    }
}
