using ILGPU.Runtime;
using Kernels.Launching;
using Kernels.References.VectorQuantization;
using Kernels.Tests.Support;
using Kernels.VectorQuantization;

namespace Kernels.Tests.VectorQuantization;

public sealed class RestartProperties
{
    /// <summary>Fewer, as many, and more dead codes than rows; none and all dead; heads.</summary>
    [Theory]
    [InlineData(1, 1, 1, 1, 2.0)]
    [InlineData(40, 12, 17, 1, 0.5)]
    [InlineData(300, 40, 16, 1, 0.5)]
    [InlineData(20, 20, 3, 1, 2.0)]
    [InlineData(5, 60, 33, 1, 2.0)]
    [InlineData(100, 30, 5, 3, 0.5)]
    [InlineData(30, 30, 5, 1, 0.0)]
    public void Dead_codes_become_rows_and_live_ones_keep_every_bit(int n, int k, int d, int heads, double threshold)
    {
        foreach (bool hasIndex in new[] { false, true })
        {
            Case before = Case.Draw(n + k, n, k, d, heads, hasIndex);
            var options = new RestartOptions { Threshold = threshold, Reset = 1.5, Seed = 0x1234567890ABCDEF };
            foreach ((Accelerator accelerator, SegmentWalk? walk) in LearnCase.Places())
            {
                Case after = Run(accelerator, walk, before, options, step: 3, shift: n % 3);
                Check(before, after, options);
            }
        }
    }

    [Theory]
    [InlineData(Storage.F16)]
    [InlineData(Storage.BF16)]
    public void Rows_of_16_bits_become_codes_bit_for_bit(Storage storage)
    {
        Case before = Case.Draw(5, 50, 20, 18, 1, hasIndex: true) with { Storage = storage };
        before = before with
        {
            X = LearnCase.Floats(storage, LearnCase.Bits(storage, before.X)),
            Codes = LearnCase.Floats(storage, LearnCase.Bits(storage, before.Codes)),
        };
        var options = new RestartOptions { Threshold = 0.5 };
        foreach ((Accelerator accelerator, SegmentWalk? walk) in LearnCase.Places())
        {
            Check(before, Run(accelerator, walk, before, options, step: 0), options);
        }
    }

    /// <summary>The seed and the step choose, nothing else does: not even the device.</summary>
    [Fact]
    public void Another_seed_or_step_chooses_other_rows_and_the_same_ones_the_same()
    {
        Case before = Case.Draw(6, 400, 50, 4, 1, hasIndex: false);
        var options = new RestartOptions { Threshold = 2, Seed = 7 };
        float[]? first = null;
        foreach ((Accelerator accelerator, SegmentWalk? walk) in LearnCase.Places())
        {
            float[] codes = Run(accelerator, walk, before, options, step: 1).Codes;
            first ??= codes;
            Assert.Equal(first, codes);
            Assert.NotEqual(first, Run(accelerator, walk, before, options, step: 2).Codes);
            Assert.NotEqual(first, Run(accelerator, walk, before, options with { Seed = 8 }, step: 1).Codes);
            Assert.NotEqual(first, Run(accelerator, walk, before, options with { Seed = 7 + (1UL << 32) }, step: 1).Codes);
        }
    }

    /// <summary>Every row is chosen about as often, by each of the codes.</summary>
    [Fact]
    public void No_row_is_preferred()
    {
        const int N = 10;
        const int Steps = 400;
        float[] x = [.. Enumerable.Range(0, N).Select(i => (float)i)];
        var before = new Case(N, 2, 1, 1, x, [], [-1, -1], [0, 0], [0, 0], Storage.F32);
        Accelerator accelerator = TestDevices.Session.Accelerator;
        var options = new RestartOptions { Threshold = 1 };
        int[,] chosen = new int[2, N];
        for (int step = 0; step < Steps; step++)
        {
            float[] codes = Run(accelerator, null, before, options, step).Codes;
            chosen[0, (int)codes[0]]++;
            chosen[1, (int)codes[1]]++;
        }

        // 40 +- 6 each: five standard deviations.
        Assert.All(chosen.Cast<int>(), count => Assert.InRange(count, 10, 70));
    }

    [Fact]
    public void A_size_that_is_no_number_is_not_dead_and_without_a_row_nothing_dies()
    {
        var before = new Case(3, 2, 1, 1, [1, 2, 3], [-1, 2, -5], [7, 8], [0, 0], [9, 10], Storage.F32);
        var options = new RestartOptions { Threshold = 1 };
        foreach ((Accelerator accelerator, SegmentWalk? walk) in LearnCase.Places())
        {
            Case none = Run(accelerator, walk, before, options, 0);
            Assert.Equal(before.Codes, none.Codes);
            Assert.Equal(before.Size, none.Size);
            Assert.Equal(before.Sum, none.Sum);
            Case alive = Run(accelerator, walk, before with { Index = [], Size = [float.NaN, 0] }, options, 0);
            Assert.Equal(7, alive.Codes[0]);
            Assert.Contains(alive.Codes[1], before.X);
        }
    }

    private static void Check(Case before, Case after, RestartOptions options)
    {
        (int k, int d) = (before.K, before.D);
        float reset = (float)(options.Reset ?? options.Threshold);
        for (int head = 0; head < before.Heads; head++)
        {
            float[] sizes = before.Size[(head * k)..((head + 1) * k)];
            Range codes = (head * k * d)..((head + 1) * k * d);
            int[] index = before.Index.Length == 0
                ? []
                : LearnCase.Clean(LearnCase.OfHead(before.Index, head, before.Heads, 1), k);
            float[] rows = LearnCase.OfHead(before.X, head, before.Heads, d);
            Assert.True(RestartReference.Admits(
                before.Codes[codes], after.Codes[codes], sizes, options.Threshold, rows, index));
            bool[] dead = RestartReference.IsDead(sizes, options.Threshold);
            bool hasRows = index.Length == 0 || index.Any(i => i >= 0);
            for (int code = 0; code < k; code++)
            {
                int at = (head * k) + code;
                bool restarts = dead[code] && hasRows;
                Assert.Equal(restarts ? reset : before.Size[at], after.Size[at]);
                for (int i = at * d; i < (at + 1) * d; i++)
                {
                    Assert.True(restarts
                        ? RestartReference.Sum(after.Codes[i], reset).Admits(after.Sum[i])
                        : before.Sum[i].Equals(after.Sum[i]));
                }
            }
        }
    }

    private static Case Run(
        Accelerator accelerator, SegmentWalk? walk, Case c, RestartOptions options, int step, int shift = 0)
    {
        using var x = new GuardedTensor(accelerator, c.Storage, LearnCase.Bits(c.Storage, c.X), shift);
        using GuardedTensor index = LearnCase.Integers(accelerator, c.Index);
        using var codes = new GuardedTensor(accelerator, c.Storage, LearnCase.Bits(c.Storage, c.Codes), shift);
        using var size = new GuardedTensor(accelerator, c.Size);
        using var sum = new GuardedTensor(accelerator, c.Sum, shift);
        using var restart = new Restart(accelerator, c.N, c.K, c.D, options, c.Heads, walk);
        restart.Run(
            accelerator.DefaultStream, x.View, codes.View, size.Floats, sum.Floats, c.N, step, LearnCase.View(index));
        accelerator.Synchronize();
        Assert.Equal(LearnCase.Bits(c.Storage, c.X), x.Bits());
        return c with { Codes = LearnCase.Floats(c.Storage, codes.Bits()), Size = size.Values(), Sum = sum.Values() };
    }

    private sealed record Case(
        int N, int K, int D, int Heads, float[] X, int[] Index, float[] Codes, float[] Size, float[] Sum, Storage Storage)
    {
        internal static Case Draw(int seed, int n, int k, int d, int heads, bool hasIndex)
        {
            var draw = new Draw(seed);
            var random = new Random(seed);
            return new Case(
                n, k, d, heads, draw.Floats(n * heads * d), hasIndex ? LearnCase.Index(Choice.Any, n * heads, k, seed) : [],
                draw.Floats(heads * k * d), [.. Enumerable.Range(0, heads * k).Select(_ => random.NextSingle())],
                draw.Floats(heads * k * d), Storage.F32);
        }
    }
}
