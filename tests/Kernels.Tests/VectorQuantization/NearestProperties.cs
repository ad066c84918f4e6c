using ILGPU.Runtime;
using Kernels.Launching;
using Kernels.References;
using Kernels.References.VectorQuantization;
using Kernels.Tests.Support;
using Kernels.VectorQuantization;

namespace Kernels.Tests.VectorQuantization;

public sealed class NearestProperties
{
    /// <summary>Tile edges in rows, codes and depth; one of everything; more splits than a chunk has codes.</summary>
    private static readonly (int Rows, int Codes, int Dimension)[] s_shapes =
    [
        (1, 1, 1), (3, 5, 3), (17, 63, 8), (64, 64, 16), (65, 130, 33), (100, 257, 64), (5, 1000, 255), (33, 70, 257),
        (16, 300, 4), (200, 9, 12), (2, 5000, 7),
    ];

    public static TheoryData<int, CodeMetric, Storage> Cases()
    {
        var cases = new TheoryData<int, CodeMetric, Storage>();
        for (int shape = 0; shape < s_shapes.Length; shape++)
        {
            foreach (CodeMetric metric in Enum.GetValues<CodeMetric>())
            {
                cases.Add(shape, metric, Storage.F32);
            }
        }

        foreach (Storage storage in new[] { Storage.F16, Storage.BF16 })
        {
            cases.Add(2, CodeMetric.L2, storage);
            cases.Add(4, CodeMetric.L2, storage);
            cases.Add(5, CodeMetric.Cosine, storage);
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Returns_no_code_that_another_certainly_beats(int shape, CodeMetric metric, Storage storage)
    {
        (int n, int k, int d) = s_shapes[shape];
        uint[] x = Bits(storage, n * d, seed: shape);
        uint[] codes = Bits(storage, k * d, seed: 100 + shape);
        float[] rows = Floats(storage, x);
        float[] book = Floats(storage, codes);
        var reference = new NearestReference(Reference(metric), book, d);
        NearestRow[] wanted = reference.SearchAll(rows);
        foreach ((Accelerator accelerator, NearestWalk? walk) in Places(small: shape is 1 or 2 or 4))
        {
            Result got = Search(accelerator, walk, storage, x, codes, n, k, d, metric, shift: shape % 3);
            for (int row = 0; row < n; row++)
            {
                string what = $"{accelerator.AcceleratorType} {walk}, row {row}: code {got.Index[row]}";
                Assert.True(wanted[row].Admits(got.Index[row]), what);
                Bounded distance = wanted[row].DistanceOf(got.Index[row]);
                Assert.True(distance.Admits(got.Distance[row]), $"{what}: {got.Distance[row]:R}, expected {distance}");
                Bounded margin = wanted[row].Margin;
                Assert.True(margin.Admits(got.Margin[row]), $"{what}: margin {got.Margin[row]:R}, {margin}");
                Assert.Equal(k == 1, float.IsInfinity(got.Margin[row]));
            }
        }
    }

    /// <summary>Small integers are exact in every order, and most distances tie.</summary>
    [Theory]
    [InlineData(CodeMetric.L2, 50, 300, 5)]
    [InlineData(CodeMetric.Dot, 50, 300, 5)]
    [InlineData(CodeMetric.L2, 70, 140, 17)]
    [InlineData(CodeMetric.L2, 20, 1000, 2)]
    public void Ties_go_to_the_lowest_index(CodeMetric metric, int n, int k, int d)
    {
        var draw = new Random(n + d);
        float[] x = [.. Enumerable.Range(0, n * d).Select(_ => (float)draw.Next(-2, 3))];
        float[] codes = [.. Enumerable.Range(0, k * d).Select(_ => (float)draw.Next(-2, 3))];
        NearestRow[] rows = new NearestReference(Reference(metric), codes, d).SearchAll(x, 2);
        int[] wanted = [.. rows.Select(row => row.Index[0])];
        foreach ((Accelerator accelerator, NearestWalk? walk) in Places(small: true))
        {
            Result got = Search(accelerator, walk, Storage.F32, Bits(x), Bits(codes), n, k, d, metric);
            Assert.Equal(wanted, got.Index);
            for (int row = 0; row < n; row++)
            {
                IReadOnlyList<Bounded> distance = rows[row].Distance;
                Assert.Equal((float)distance[0].Value, got.Distance[row]);
                Assert.Equal((float)(distance[1].Value - distance[0].Value), got.Margin[row]);
            }
        }
    }

    [Theory]
    [InlineData(CodeMetric.L2)]
    [InlineData(CodeMetric.Cosine)]
    public void No_split_changes_a_bit(CodeMetric metric)
    {
        const int N = 37;
        const int K = 1201;
        const int D = 19;
        uint[] x = Bits(Storage.F32, N * D, seed: 1);
        uint[] codes = Bits(Storage.F32, K * D, seed: 2);
        foreach ((Accelerator accelerator, NearestWalk? walk) in Places(small: false))
        {
            Result whole = Search(accelerator, walk, Storage.F32, x, codes, N, K, D, metric, splits: 1);
            foreach (int splits in (int[])[0, 2, 3, 7, 64, K, 2 * K])
            {
                Result got = Search(accelerator, walk, Storage.F32, x, codes, N, K, D, metric, splits: splits);
                Assert.Equal(whole.Index, got.Index);
                Assert.Equal(whole.Distance, got.Distance);
                Assert.Equal(whole.Margin, got.Margin);
            }

            // Nor does the number of rows beside a row.
            Result few = Search(accelerator, walk, Storage.F32, x[..(3 * D)], codes, 3, K, D, metric);
            Assert.Equal(whole.Index[..3], few.Index);
            Assert.Equal(whole.Margin[..3], few.Margin);
        }
    }

    [Fact]
    public void A_code_that_is_no_number_never_wins()
    {
        const int K = 70;
        const int D = 9;
        float[] x = new Draw(1).Floats(2 * D);
        float[] codes = new Draw(2).Floats(K * D);
        x.AsSpan(0, D).CopyTo(codes.AsSpan(5 * D)); // the nearest of row 0 by far
        foreach (CodeMetric metric in Enum.GetValues<CodeMetric>())
        {
            foreach ((Accelerator accelerator, NearestWalk? walk) in Places(small: true))
            {
                Result clean = Search(accelerator, walk, Storage.F32, Bits(x), Bits(codes), 2, K, D, metric);
                foreach (uint bits in (uint[])[0x7FC00000, 0xFFC00000, 0x7F800001, 0x7F800000, 0xFF800000])
                {
                    float[] bad = [.. codes];
                    bad[(clean.Index[0] * D) + 3] = BitConverter.UInt32BitsToSingle(bits);
                    Result got = Search(accelerator, walk, Storage.F32, Bits(x), Bits(bad), 2, K, D, metric);
                    Assert.NotEqual(clean.Index[0], got.Index[0]);
                    Assert.InRange(got.Index[0], 0, K - 1);
                    Assert.False(float.IsNaN(got.Distance[0]));

                    float[] row = [.. x];
                    row[D - 1] = BitConverter.UInt32BitsToSingle(bits);
                    got = Search(accelerator, walk, Storage.F32, Bits(row), Bits(codes), 2, K, D, metric);
                    Assert.Equal(-1, got.Index[0]);
                    Assert.True(float.IsNaN(got.Distance[0]));
                    Assert.True(float.IsNaN(got.Margin[0]));
                    Assert.Equal(clean.Index[1], got.Index[1]);
                }
            }
        }
    }

    /// <summary>VQBridge's first step: all codes are the same.</summary>
    [Fact]
    public void Of_equal_codes_the_first_is_nearest()
    {
        uint[] x = Bits(Storage.F32, 20 * 16, seed: 3);
        foreach (CodeMetric metric in Enum.GetValues<CodeMetric>())
        {
            foreach ((Accelerator accelerator, NearestWalk? walk) in Places(small: true))
            {
                Result got = Search(accelerator, walk, Storage.F32, x, new uint[200 * 16], 20, 200, 16, metric);
                Assert.All(got.Index, i => Assert.Equal(0, i));
                Assert.All(got.Margin, m => Assert.Equal(0f, m));
            }
        }
    }

    /// <summary>Of a row of zeros and of one whose squares overflow too, whose inverse norms are 0.</summary>
    [Fact]
    public void Without_another_code_the_margin_is_infinite()
    {
        foreach (CodeMetric metric in Enum.GetValues<CodeMetric>())
        {
            foreach ((Accelerator accelerator, NearestWalk? walk) in Places(small: true))
            {
                Result got = Search(
                    accelerator, walk, Storage.F32, Bits([0, 0, 1, 2, 1e37f, 0]), Bits([0, 0.25f]), 3, 1, 2, metric);
                Assert.Equal([0, 0, 0], got.Index);
                Assert.All(got.Margin, m => Assert.Equal(float.PositiveInfinity, m));
            }
        }
    }

    [Fact]
    public void A_code_is_nearest_to_itself()
    {
        const int K = 333;
        const int D = 24;
        uint[] codes = Bits(Storage.F32, K * D, seed: 4);
        int[] own = [.. Enumerable.Range(0, K)];
        foreach ((Accelerator accelerator, NearestWalk? walk) in Places(small: false))
        {
            Result got = Search(accelerator, walk, Storage.F32, codes, codes, K, K, D, CodeMetric.L2);
            Assert.Equal(own, got.Index);
            Assert.All(got.Distance, distance => Assert.Equal(0f, distance));
        }
    }

    [Fact]
    public void Powers_of_two_scale_and_permutations_permute()
    {
        const int N = 40;
        const int K = 150;
        const int D = 20;
        float[] x = new Draw(5).Floats(N * D);
        float[] codes = new Draw(6).Floats(K * D);
        int[] order = [.. Enumerable.Range(0, K)];
        new Random(7).Shuffle(order);
        float[] permuted = [.. order.SelectMany(k => codes[(k * D)..((k + 1) * D)])];
        Accelerator accelerator = TestDevices.Session.Accelerator;
        Result got = Search(accelerator, null, Storage.F32, Bits(x), Bits(codes), N, K, D, CodeMetric.L2);
        Result scaled = Search(
            accelerator, null, Storage.F32, Bits(Array.ConvertAll(x, v => v * 1024)),
            Bits(Array.ConvertAll(codes, v => v * 1024)), N, K, D, CodeMetric.L2);
        Assert.Equal(got.Index, scaled.Index);
        Assert.Equal(Array.ConvertAll(got.Distance, v => v * 1048576), scaled.Distance);
        Result moved = Search(accelerator, null, Storage.F32, Bits(x), Bits(permuted), N, K, D, CodeMetric.L2);
        Assert.Equal(got.Index, Array.ConvertAll(moved.Index, i => order[i]));
        Assert.Equal(got.Margin, moved.Margin);
    }

    [Theory]
    [InlineData(2, 8)]
    [InlineData(3, 5)]
    public void Heads_are_searches_of_their_own(int heads, int d)
    {
        const int N = 45;
        const int K = 90;
        float[] x = new Draw(8).Floats(N * heads * d);
        float[] codes = new Draw(9).Floats(heads * K * d);
        foreach ((Accelerator accelerator, NearestWalk? walk) in Places(small: true))
        {
            Result all = Search(
                accelerator, walk, Storage.F32, Bits(x), Bits(codes), N, K, d, CodeMetric.L2, heads: heads);
            for (int head = 0; head < heads; head++)
            {
                float[] part = [.. Enumerable.Range(0, N).SelectMany(
                    row => x[(((row * heads) + head) * d)..(((row * heads) + head + 1) * d)])];
                float[] own = codes[(head * K * d)..((head + 1) * K * d)];
                Result one = Search(accelerator, walk, Storage.F32, Bits(part), Bits(own), N, K, d, CodeMetric.L2);
                for (int row = 0; row < N; row++)
                {
                    Assert.Equal(one.Index[row], all.Index[(row * heads) + head]);
                    Assert.Equal(one.Distance[row], all.Distance[(row * heads) + head]);
                    Assert.Equal(one.Margin[row], all.Margin[(row * heads) + head]);
                }
            }
        }
    }

    [Fact]
    public void Scratch_memory_is_nothing_beside_the_matrix_of_distances()
    {
        using var nearest = new NearestCode(TestDevices.Session.Accelerator, 4096, 262_144, 8);
        Assert.InRange(nearest.ScratchBytes, 1, 4096L * 262_144 * 4 / 100);
    }

    [Fact]
    public void A_search_allocates_no_managed_memory()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        using var x = new GuardedTensor(accelerator, new Draw(1).Floats(40 * 8));
        using var codes = new GuardedTensor(accelerator, new Draw(2).Floats(90 * 8));
        using var index = new GuardedTensor(accelerator, new float[40]);
        using var distance = new GuardedTensor(accelerator, new float[40]);
        using var nearest = new NearestCode(accelerator, 40, 90, 8);
        Allocations.AssertNone(accelerator, Search);

        void Search() => nearest.Search(
            accelerator.DefaultStream, x.View, codes.View, index.Floats.Cast<int>(), 40, distance.Floats);
    }

    [Fact]
    public void No_rows_are_no_work()
    {
        Result got = Search(
            TestDevices.Session.Accelerator, null, Storage.F32, [], Bits(Storage.F32, 12, 1), 0, 3, 4, CodeMetric.L2);
        Assert.Empty(got.Index);
    }

    [Fact]
    public void A_plan_covers_all_rows_and_codes_and_its_scratch_suffices()
    {
        var random = new Random(11);
        for (int i = 0; i < 2000; i++)
        {
            var facts = new DeviceFacts(
                (DeviceClass)random.Next(3), 1 << random.Next(8), 32, 256, int.MaxValue, 1 << 20);
            int rows = 1 + random.Next(1 << random.Next(1, 20));
            int codes = 1 + random.Next(1 << random.Next(1, 19));
            int dimension = 1 + random.Next(1 << random.Next(1, 13));
            int heads = 1 + random.Next(4);
            int splits = random.Next(3) == 0 ? 1 + random.Next(100) : 0;
            NearestWalk walk = NearestPlan.WalkFor(facts, dimension);
            int most = rows + random.Next(rows);
            var plan = NearestPlan.For(facts, walk, rows, codes, dimension, heads, splits);
            int width = walk == NearestWalk.Tile ? 1 : NearestPlan.Width;
            long covered = (long)plan.RowGroups * plan.GroupSize * width;
            Assert.InRange(covered, rows, long.MaxValue);
            Assert.InRange((long)plan.Splits * plan.SplitCodes, codes, long.MaxValue);
            Assert.True((long)(plan.Splits - 1) * plan.SplitCodes < codes, "An empty split.");
            Assert.InRange(
                NearestPlan.Partials(facts, walk, most, codes, dimension, heads, splits),
                (long)plan.Splits * rows * heads, long.MaxValue);
            if (walk == NearestWalk.Rows)
            {
                Assert.InRange((long)plan.GroupSize * dimension, 1, DeviceCode.VectorQuantization.NearestRows.Room);
            }
        }
    }

    private sealed record Result(int[] Index, float[] Distance, float[] Margin);

    /// <summary>The device as it is; the GPU's walk on it; and both device walks on a simulated warp of 32.</summary>
    private static IEnumerable<(Accelerator Accelerator, NearestWalk? Walk)> Places(bool small)
    {
        yield return (TestDevices.Session.Accelerator, null);
        if (!TestDevices.IsHost)
        {
            yield return (TestDevices.Session.Accelerator, NearestWalk.Tile);
        }
        else if (small)
        {
            yield return (TestDevices.Warp(32), NearestWalk.Tile);
            yield return (TestDevices.Warp(32), NearestWalk.Rows);
        }
    }

    private static NearestMetric Reference(CodeMetric metric) => Enum.Parse<NearestMetric>(metric.ToString());

    private static uint[] Bits(float[] values) => Array.ConvertAll(values, BitConverter.SingleToUInt32Bits);

    private static uint[] Bits(Storage storage, int count, int seed)
    {
        float[] values = new Draw(seed).Floats(count);
        return storage switch
        {
            Storage.F32 => Bits(values),
            Storage.F16 => Array.ConvertAll(values, v => (uint)BitConverter.HalfToUInt16Bits((System.Half)v)),
            _ => Array.ConvertAll(values, v => BitConverter.SingleToUInt32Bits(v) >> 16),
        };
    }

    private static float[] Floats(Storage storage, uint[] bits) => storage switch
    {
        Storage.F32 => Array.ConvertAll(bits, BitConverter.UInt32BitsToSingle),
        Storage.F16 => Array.ConvertAll(bits, b => (float)BitConverter.UInt16BitsToHalf((ushort)b)),
        _ => Array.ConvertAll(bits, b => BitConverter.UInt32BitsToSingle(b << 16)),
    };

    private static Result Search(
        Accelerator accelerator, NearestWalk? walk, Storage storage, uint[] x, uint[] codes, int n, int k, int d,
        CodeMetric metric, int shift = 0, int heads = 1, int splits = 0)
    {
        using var rows = new GuardedTensor(accelerator, storage, x, shift);
        using var book = new GuardedTensor(accelerator, storage, codes, shift);
        uint[] untouched = [.. Enumerable.Repeat(0xDEADBEEF, n * heads)];
        using var index = new GuardedTensor(accelerator, Storage.F32, untouched);
        using var distance = new GuardedTensor(accelerator, Storage.F32, untouched);
        using var margin = new GuardedTensor(accelerator, Storage.F32, untouched);
        using var nearest = new NearestCode(
            accelerator, Math.Max(n, 1), k, d, metric, heads, splits, certified: false, top: 1, walk);
        nearest.Search(
            accelerator.DefaultStream, rows.View, book.View, index.Floats.Cast<int>(), n, distance.Floats, margin.Floats);
        accelerator.Synchronize();
        var result = new Result(Array.ConvertAll(index.Bits(), b => (int)b), distance.Values(), margin.Values());
        Assert.Equal(x, rows.Bits());
        Assert.Equal(codes, book.Bits());

        // Neither the distance nor the margin is needed to find the code.
        nearest.Search(accelerator.DefaultStream, rows.View, book.View, index.Floats.Cast<int>(), n);
        accelerator.Synchronize();
        Assert.Equal(result.Index, Array.ConvertAll(index.Bits(), b => (int)b));
        return result;
    }
}
