using ILGPU.Runtime;
using Kernels.DeviceCode.VectorQuantization;
using Kernels.Launching;
using Kernels.References;
using Kernels.References.VectorQuantization;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;
using Kernels.VectorQuantization;

namespace Kernels.Tests.VectorQuantization;

public sealed class SegmentSumProperties
{
    /// <summary>Edges of pieces, tiles, digits and sixteens; runs; one of everything.</summary>
    private static readonly (int Rows, int Segments, int Dimension, int Heads)[] s_shapes =
    [
        (1, 1, 1, 1), (3, 5, 3, 1), (64, 7, 16, 1), (65, 256, 17, 1), (300, 255, 33, 1), (257, 70000, 2, 1),
        (200, 3, 31, 3), (130, 300, 16, 2), (9000, 40, 5, 1), (4200, 3, 2, 2),
    ];

    public static TheoryData<int, Choice, Storage> Cases()
    {
        var cases = new TheoryData<int, Choice, Storage>();
        for (int shape = 0; shape < s_shapes.Length; shape++)
        {
            foreach (Choice choice in Enum.GetValues<Choice>())
            {
                cases.Add(shape, choice, Storage.F32);
            }
        }

        foreach (Storage storage in new[] { Storage.F16, Storage.BF16 })
        {
            cases.Add(4, Choice.Any, storage);
            cases.Add(6, Choice.Few, storage);
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Is_the_sum_of_the_oracle_and_its_bits_are_those_of_the_stated_order(
        int shape, Choice choice, Storage storage)
    {
        (int n, int k, int d, int heads) = s_shapes[shape];
        uint[] x = LearnCase.Bits(storage, new Draw(shape).Floats(n * heads * d));
        float[] rows = LearnCase.Floats(storage, x);
        int[] index = LearnCase.Index(choice, n * heads, k, shape);
        var wanted = new List<float>();
        var counts = new List<int>();
        for (int head = 0; head < heads; head++)
        {
            float[] part = LearnCase.OfHead(rows, head, heads, d);
            int[] chosen = LearnCase.Clean(LearnCase.OfHead(index, head, heads, 1), k);
            float[] sums = InOrder(part, chosen, k, d);
            (Bounded[] exact, int[] numbers) = SegmentSumReference.Evaluate(part, chosen, k, d);
            LinearDevice.AssertWithin(exact, sums, "the stated order");
            wanted.AddRange(sums);
            counts.AddRange(numbers);
        }

        foreach ((Accelerator accelerator, SegmentWalk? walk) in LearnCase.Places())
        {
            (float[] sums, int[] got) = Sum(accelerator, walk, storage, x, index, n, k, d, heads, shift: shape % 3);
            Assert.Equal(counts, got);
            Assert.Equal(wanted, sums);
        }
    }

    /// <summary>A sum depends on the rows of its segment alone, and no more rows could be called for.</summary>
    [Fact]
    public void Neither_other_rows_nor_room_for_more_change_a_bit()
    {
        const int N = 500;
        const int K = 6;
        const int D = 18;
        uint[] x = LearnCase.Bits(Storage.F32, new Draw(1).Floats(N * D));
        int[] index = LearnCase.Index(Choice.Few, N, K, 2);
        foreach ((Accelerator accelerator, SegmentWalk? walk) in LearnCase.Places())
        {
            float[] all = Sum(accelerator, walk, Storage.F32, x, index, N, K, D, 1).Sums;
            Assert.Equal(all, Sum(accelerator, walk, Storage.F32, x, index, N, K, D, 1, maxRows: 70_000).Sums);
            int[] without = Array.ConvertAll(index, i => i == 3 ? i : -1);
            float[] alone = Sum(accelerator, walk, Storage.F32, x, without, N, K, D, 1).Sums;
            Assert.Equal(all[(3 * D)..(4 * D)], alone[(3 * D)..(4 * D)]);
            Assert.All(alone[..(3 * D)], sum => Assert.Equal(0u, BitConverter.SingleToUInt32Bits(sum)));
        }
    }

    [Fact]
    public void What_is_not_finite_stays_in_its_segment_and_dimension()
    {
        const int N = 200;
        const int K = 3;
        const int D = 19;
        float[] clean = new Draw(3).Floats(N * D);
        int[] index = LearnCase.Index(Choice.Any, N, K, 4);
        int row = Array.IndexOf(index, 1, 20);
        foreach (float bad in new[] { float.NaN, float.PositiveInfinity })
        {
            float[] x = [.. clean];
            x[(row * D) + 17] = bad;
            foreach ((Accelerator accelerator, SegmentWalk? walk) in LearnCase.Places())
            {
                float[] wanted = Sum(accelerator, walk, Storage.F32, LearnCase.Bits(Storage.F32, clean), index, N, K, D, 1).Sums;
                wanted[D + 17] = bad;
                Assert.Equal(
                    wanted, Sum(accelerator, walk, Storage.F32, LearnCase.Bits(Storage.F32, x), index, N, K, D, 1).Sums);
            }
        }
    }

    [Fact]
    public void Without_rows_all_sums_are_0()
    {
        foreach ((Accelerator accelerator, SegmentWalk? walk) in LearnCase.Places())
        {
            (float[] sums, int[] counts) = Sum(accelerator, walk, Storage.F32, [], [], 0, 5, 20, 2);
            Assert.All(sums, sum => Assert.Equal(0f, sum));
            Assert.All(counts, count => Assert.Equal(0, count));
        }
    }

    [Fact]
    public void Scratch_memory_is_nothing_beside_a_one_hot_matrix()
    {
        using var sum = new SegmentSum(TestDevices.Session.Accelerator, 16_384, 16_384, 64);
        Assert.InRange(sum.ScratchBytes, 1, 16_384 * 4 * 16);
    }

    [Fact]
    public void A_sum_allocates_no_managed_memory()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        using var x = new GuardedTensor(accelerator, new Draw(1).Floats(100 * 8));
        using GuardedTensor index = LearnCase.Integers(accelerator, LearnCase.Index(Choice.Any, 100, 9, 1));
        using var sums = new GuardedTensor(accelerator, new float[9 * 8]);
        using GuardedTensor counts = LearnCase.Integers(accelerator, new int[9]);
        using var sum = new SegmentSum(accelerator, 100, 9, 8);
        Allocations.AssertNone(accelerator, Sum);

        void Sum() => sum.Sum(
            accelerator.DefaultStream, x.View, LearnCase.View(index), sums.Floats, LearnCase.View(counts), 100);
    }

    [Fact]
    public void A_plan_grows_with_its_rows_and_counts_no_more_numbers_than_there_are_rows_and_segments()
    {
        var random = new Random(5);
        for (int i = 0; i < 2000; i++)
        {
            var facts = new DeviceFacts(
                (DeviceClass)random.Next(3), 1 << random.Next(8), 32, 256, int.MaxValue, 1 << 20);
            int entries = random.Next(1 << random.Next(1, 30));
            int segments = 1 + random.Next(1 << random.Next(1, 30));
            var plan = SegmentPlan.For(facts, entries, segments);
            Assert.InRange((long)plan.Parts * segments, 1, (long)segments + entries);
            Assert.InRange(plan.Chunks, 1, segments);
            Assert.True((long)plan.Tiles * SegmentSort.Tile >= entries);
            Assert.True(segments < 1L << (plan.Passes * SegmentSort.DigitBits));
            var most = SegmentPlan.For(facts, entries + random.Next(entries + 1), segments);
            Assert.True(most.Parts >= plan.Parts && most.Tiles >= plan.Tiles);
            Assert.Equal((plan.Chunks, plan.Passes), (most.Chunks, most.Passes));
        }
    }

    /// <summary>Pieces of 64 rows, and runs of 64 pieces, each from its first on.</summary>
    private static float[] InOrder(float[] x, int[] index, int k, int d)
    {
        var sums = new float[k * d];
        for (int segment = 0; segment < k; segment++)
        {
            int[] rows = [.. Enumerable.Range(0, index.Length).Where(n => index[n] == segment)];
            for (int i = 0; rows.Length > 0 && i < d; i++)
            {
                int column = i;
                sums[(segment * d) + i] = FloatSum.Sum(rows.Chunk(4096).Select(
                    run => FloatSum.Sum(run.Chunk(64).Select(piece => FloatSum.Sum(piece.Select(n => x[(n * d) + column]))))));
            }
        }

        return sums;
    }

    private static (float[] Sums, int[] Counts) Sum(
        Accelerator accelerator, SegmentWalk? walk, Storage storage, uint[] x, int[] index, int n, int k, int d,
        int heads, int shift = 0, int maxRows = 0)
    {
        using var rows = new GuardedTensor(accelerator, storage, x, shift);
        using GuardedTensor chosen = LearnCase.Integers(accelerator, index);
        uint[] untouched = [.. Enumerable.Repeat(0xDEADBEEF, heads * k * d)];
        using var sums = new GuardedTensor(accelerator, Storage.F32, untouched, shift);
        using var counts = new GuardedTensor(accelerator, Storage.F32, untouched[..(heads * k)]);
        using var sum = new SegmentSum(accelerator, Math.Max(1, Math.Max(n, maxRows)), k, d, heads, walk);
        sum.Sum(
            accelerator.DefaultStream, rows.View, LearnCase.View(chosen), sums.Floats, LearnCase.View(counts), n);
        accelerator.Synchronize();
        Assert.Equal(x, rows.Bits());
        Assert.Equal(index, LearnCase.Values(chosen));
        return (sums.Values(), LearnCase.Values(counts));
    }
}
