using ILGPU.Runtime;
using Kernels.References;
using Kernels.References.VectorQuantization;
using Kernels.Tests.Support;
using Kernels.VectorQuantization;

namespace Kernels.Tests.VectorQuantization;

public sealed class KMeansProperties
{
    /// <summary>Every centre is a row that the oracle's probabilities allow for the random number.</summary>
    [Theory]
    [InlineData(1, 1, 1, 1, false)]
    [InlineData(30, 12, 5, 1, false)]
    [InlineData(600, 9, 3, 1, true)]
    [InlineData(40, 6, 4, 2, true)]
    public void Centres_are_picked_as_the_oracle_allows(int n, int k, int d, int heads, bool hasMask)
    {
        float[] x = new Draw(n).Floats(n * heads * d, 0.1, 10);
        var random = new Random(n);
        int[] mask = hasMask ? [.. Enumerable.Range(0, n * heads).Select(_ => random.Next(3) - 1)] : [];
        const ulong Seed = 0xFEDCBA9876543210;
        float[] codes = Fit(x, new float[heads * k * d], n, k, d, heads, new() { Iterations = 0, Seed = Seed }, mask).Codes;
        for (int head = 0; head < heads; head++)
        {
            bool[] kept = [.. Enumerable.Range(0, n).Select(i => !hasMask || mask[(i * heads) + head] >= 0)];
            float[] rows = [.. LearnCase.OfHead(x, head, heads, d).Chunk(d).Where((_, i) => kept[i]).SelectMany(r => r)];
            for (int centre = 0; centre < k; centre++)
            {
                float[] chosen = codes[(((head * k) + centre) * d)..(((head * k) + centre + 1) * d)];
                float[] before = codes[(head * k * d)..(((head * k) + centre) * d)];
                Bounded[] probabilities = KMeansReference.NextCentre(rows, before, d);
                uint word = PhiloxReference.Block([(uint)centre, (uint)head, 0, 0], [unchecked((uint)Seed), (uint)(Seed >> 32)])[0];
                Assert.True(
                    rows.Chunk(d).Select((row, i) => (Row: row, Place: i)).Any(row => row.Row.AsSpan().SequenceEqual(chosen)
                        && KMeansReference.AdmitsPick(probabilities, word / 4294967296.0, row.Place)),
                    $"Centre {centre} of head {head}.");
            }
        }
    }

    [Fact]
    public void A_row_that_is_not_finite_is_no_centre_unless_none_is_and_masked_ones_never()
    {
        float[] x = [float.NaN, 5, float.PositiveInfinity, 5, 7];
        float[] codes = Fit(x, new float[4], 5, 4, 1, 1, new() { Iterations = 0 }, [0, 0, 0, 0, -1]).Codes;
        Assert.All(codes, code => Assert.Equal(5, code));
        codes = Fit([float.NaN, float.NaN, 7], new float[2], 3, 2, 1, 1, new() { Iterations = 0 }, [0, 0, -1]).Codes;
        Assert.All(codes, code => Assert.True(float.IsNaN(code)));
        codes = Fit([1, 2, 3], [8, 9], 3, 2, 1, 1, new(), [-1, -1, -1]).Codes;
        Assert.Equal([8, 9], codes);
    }

    /// <summary>One step of Lloyd's from given codes.</summary>
    [Theory]
    [InlineData(50, 7, 18, false)]
    [InlineData(200, 3, 4, true)]
    [InlineData(20, 40, 16, false)]
    public void A_step_is_within_the_bounds_of_the_oracle(int n, int k, int d, bool hasMask)
    {
        float[] x = new Draw(1).Floats(n * d, 0.1, 10);
        float[] codes = new Draw(2).Floats(k * d, 0.1, 10);
        int[] mask = hasMask ? [.. Enumerable.Range(0, n).Select(i => i % 3 == 0 ? -1 : 0)] : [];
        NearestRow[] rows = new NearestReference(NearestMetric.L2, codes, d).SearchAll(x);
        int[] index = [.. rows.Select((row, i) => hasMask && mask[i] < 0 ? -1 : row.Index[0])];
        Bounded[] wanted = KMeansReference.Means(x, codes, index, d);
        (float[] got, List<KMeansProgress> reports) = Fit(
            x, codes, n, k, d, 1, new() { Iterations = 1, ChooseCentres = false }, mask);
        for (int i = 0; i < got.Length; i++)
        {
            Assert.True(wanted[i].Admits(got[i]), $"Element {i}: {got[i]:R}, expected {wanted[i]}");
        }

        double error = rows.Where((_, i) => index[i] >= 0).Sum(row => row.Distance[0].Value);
        KMeansProgress report = Assert.Single(reports);
        Assert.Equal((1, 0), (report.Iteration, report.Centres));
        double bound = rows.Where((_, i) => index[i] >= 0).Sum(row => row.Distance[0].Bound);
        // The host sums in binary64, as the oracle does.
        bound += Math.ScaleB(2 * rows.Length * (error + bound), -53);
        Assert.InRange(report.Error, error - bound, error + bound);
    }

    /// <summary>The error never grows, the same seed gives the same bits, and well apart clusters are found.</summary>
    [Fact]
    public void It_finds_clusters_and_does_so_again()
    {
        const int K = 8;
        const int D = 6;
        const int N = 400;
        var random = new Random(3);
        float[] x = [.. Enumerable.Range(0, N * D).Select(i => (100f * ((i / D % K) >> (i % D % 3) & 1)) + random.NextSingle())];
        var options = new KMeansOptions { Iterations = 4, Seed = 5 };
        (float[] codes, List<KMeansProgress> reports) = Fit(x, new float[K * D], N, K, D, 1, options, []);
        Assert.Equal(codes, Fit(x, new float[K * D], N, K, D, 1, options, []).Codes);
        double[] errors = [.. reports.Where(r => r.Iteration > 0).Select(r => r.Error)];
        Assert.Equal([K, K, K, K, K], reports.Select(r => r.Centres));
        Assert.Equal(errors.OrderDescending(), errors);
        Assert.InRange(errors[^1], 0, N * D * 0.1);
        Assert.NotEqual(codes, Fit(x, new float[K * D], N, K, D, 1, options with { Seed = 6 }, []).Codes);
    }

    [Theory]
    [InlineData(Storage.F16)]
    [InlineData(Storage.BF16)]
    public void Rows_of_16_bits_are_taken_at_their_value(Storage storage)
    {
        uint[] bits = LearnCase.Bits(storage, new Draw(9).Floats(90 * 5, 0.1, 10));
        float[] x = LearnCase.Floats(storage, bits);
        var options = new KMeansOptions { Iterations = 2, Seed = 1 };
        float[] wide = Fit(x, new float[20], 90, 4, 5, 1, options, []).Codes;
        Assert.Equal(wide, Fit(x, new float[20], 90, 4, 5, 1, options, [], storage).Codes);
    }

    private static (float[] Codes, List<KMeansProgress> Reports) Fit(
        float[] x, float[] codes, int n, int k, int d, int heads, KMeansOptions options, int[] mask,
        Storage storage = Storage.F32)
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        using var rows = new GuardedTensor(accelerator, storage, LearnCase.Bits(storage, x));
        using var book = new GuardedTensor(accelerator, codes);
        using GuardedTensor left = LearnCase.Integers(accelerator, mask);
        using var kMeans = new KMeans(accelerator, n, k, d, options, heads);
        var reports = new Reports();
        kMeans.Fit(accelerator.DefaultStream, rows.View, book.Floats, n, LearnCase.View(left), reports);
        accelerator.Synchronize();
        Assert.Equal(LearnCase.Bits(storage, x), rows.Bits());
        return (book.Values(), reports.All);
    }

    private sealed class Reports : IProgress<KMeansProgress>
    {
        internal List<KMeansProgress> All { get; } = [];

        public void Report(KMeansProgress value) => All.Add(value);
    }
}
