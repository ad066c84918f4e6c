using ILGPU.Runtime;
using Kernels.References;
using Kernels.References.VectorQuantization;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;
using Kernels.VectorQuantization;

namespace Kernels.Tests.VectorQuantization;

public sealed class UsageProperties
{
    [Theory]
    [InlineData(1, 1, 5)]
    [InlineData(2, 1, 1)]
    [InlineData(300, 1, 1000)]
    [InlineData(70, 3, 40)]
    [InlineData(5000, 2, 3)]
    [InlineData(3, 1, 100_000_000)]
    public void Is_within_the_bounds_of_the_oracle(int k, int heads, int most)
    {
        var random = new Random(k);
        int[] counts = [.. Enumerable.Range(0, heads * k).Select(_ => random.Next(3) == 0 ? 0 : random.Next(most + 1))];
        Assert.All(Check(counts, k, heads), value => Assert.True(float.IsFinite(value)));
    }

    [Fact]
    public void One_code_has_a_perplexity_of_exactly_1_and_so_has_none()
    {
        foreach (int count in new[] { 0, 1, 3, 1 << 30 })
        {
            var counts = new int[50];
            counts[7] = count;
            Assert.Equal([1f], Check(counts, 50, 1));
        }
    }

    [Fact]
    public void Equal_use_has_a_perplexity_of_all_codes() => Check([.. Enumerable.Repeat(17, 512)], 512, 1);

    /// <summary>Fewer and more than the window holds at once, until the zeros have left; heads apart.</summary>
    [Theory]
    [InlineData(10, 1)]
    [InlineData(10, 2)]
    [InlineData(70_000, 1)]
    public void The_window_is_that_of_the_oracle(int k, int heads)
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        const int Most = 70_100;
        using var window = new UsageWindow(accelerator, Most, k, heads);
        UsageWindowReference[] wanted = [.. Enumerable.Range(0, heads).Select(_ => new UsageWindowReference(k))];
        Assert.Equal(wanted[0].Length, window.Length);
        using var usage = new GuardedTensor(accelerator, new float[heads]);
        using var perplexity = new GuardedTensor(accelerator, new float[heads]);
        int call = 0;
        foreach (int rows in new[] { 0, 3, 40_000, 65_536, 5, Most, 1 })
        {
            var random = new Random(call++);
            int least = call == 5 ? 3 : 0;
            int[] index = [.. Enumerable.Range(0, rows * heads).Select(_ => random.Next(7) == 0 ? -1 : random.Next(least, k))];
            using GuardedTensor chosen = LearnCase.Integers(accelerator, index);
            window.Add(accelerator.DefaultStream, LearnCase.View(chosen), rows);
            window.Measure(accelerator.DefaultStream, usage.Floats, perplexity.Floats);
            accelerator.Synchronize();
            float[] got = usage.Values();
            for (int head = 0; head < heads; head++)
            {
                wanted[head].Add(LearnCase.OfHead(index, head, heads, 1));
                Assert.Equal((float)wanted[head].Usage, got[head]);
            }
        }

        Assert.All(perplexity.Values(), value => Assert.InRange(value, 1, k));
    }

    [Fact]
    public void Neither_allocates_managed_memory()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        using var window = new UsageWindow(accelerator, 50, 10);
        using GuardedTensor index = LearnCase.Integers(accelerator, LearnCase.Index(Choice.Any, 50, 10, 1));
        using var usage = new GuardedTensor(accelerator, new float[1]);
        Allocations.AssertNone(accelerator, Add);

        void Add()
        {
            window.Add(accelerator.DefaultStream, LearnCase.View(index), 50);
            window.Measure(accelerator.DefaultStream, usage.Floats);
        }
    }

    private static float[] Check(int[] counts, int k, int heads)
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        using GuardedTensor numbers = LearnCase.Integers(accelerator, counts);
        using var usage = new GuardedTensor(accelerator, new float[heads]);
        using var perplexity = new GuardedTensor(accelerator, new float[heads]);
        using var measure = new Usage(accelerator, k, heads);
        measure.Measure(accelerator.DefaultStream, LearnCase.View(numbers), usage.Floats, perplexity.Floats);
        accelerator.Synchronize();
        Bounded[] used = [.. counts.Chunk(k).Select(part => UsageReference.Usage(part))];
        LinearDevice.AssertWithin(used, usage.Values(), "usage");
        LinearDevice.AssertWithin(
            [.. counts.Chunk(k).Select(part => UsageReference.Perplexity(part))], perplexity.Values(), "perplexity");
        measure.Measure(accelerator.DefaultStream, LearnCase.View(numbers), usage.Floats);
        accelerator.Synchronize();
        LinearDevice.AssertWithin(used, usage.Values(), "usage alone");
        return perplexity.Values();
    }
}
