using ILGPU.Runtime;
using Kernels.Launching;
using Kernels.Tests.Support;
using Kernels.VectorQuantization;

namespace Kernels.Tests.VectorQuantization;

/// <summary>Searches in shards of a codebook, merged: the search of the whole, bit for bit.</summary>
public sealed class NearestMergeProperties
{
    [Theory]
    [InlineData(CodeMetric.L2, 40, 8, 1, 1, new[] { 300, 300, 300, 100 })]
    [InlineData(CodeMetric.L2, 33, 5, 2, 4, new[] { 3, 1, 70 })]
    [InlineData(CodeMetric.Dot, 65, 16, 1, 1, new[] { 129, 64 })]
    [InlineData(CodeMetric.Cosine, 17, 33, 2, 3, new[] { 20, 21, 22, 23, 24 })]
    [InlineData(CodeMetric.L2, 9, 4, 1, 32, new[] { 5, 6 })]
    [InlineData(CodeMetric.L2, 9, 4, 1, 1, new[] { 5 })]
    public void Shards_merge_to_the_bits_of_the_whole(
        CodeMetric metric, int n, int d, int heads, int top, int[] shards)
    {
        int k = shards.Sum();
        float[] x = new Draw(n).Floats(n * heads * d);
        float[] codes = new Draw(k).Floats(heads * k * d);
        AssertSame(metric, x, codes, n, d, heads, top, shards);
    }

    /// <summary>Small integers: most of the nearest codes are tied, within shards and between them.</summary>
    [Theory]
    [InlineData(CodeMetric.L2, 1, new[] { 40, 50, 60 })]
    [InlineData(CodeMetric.Dot, 9, new[] { 7, 8, 90 })]
    public void Ties_go_to_the_lowest_index_of_all(CodeMetric metric, int top, int[] shards)
    {
        const int N = 30;
        const int D = 3;
        var draw = new Random(top);
        float[] x = [.. Enumerable.Range(0, N * D).Select(_ => (float)draw.Next(-2, 3))];
        float[] codes = [.. Enumerable.Range(0, shards.Sum() * D).Select(_ => (float)draw.Next(-2, 3))];
        AssertSame(metric, x, codes, N, D, 1, top, shards);
    }

    /// <summary>Rows without a nearest code, and shards without a code that can win.</summary>
    [Fact]
    public void What_is_not_finite_has_no_code()
    {
        float[] x = [1, 2, float.NaN, 0, float.PositiveInfinity, 1, -1, 0.5f];
        float[] codes = [float.NaN, 1, float.NaN, 2, 0, 0, 1, 1, float.NegativeInfinity, 0, 1, 2];
        Found got = AssertSame(CodeMetric.L2, x, codes, 4, 2, 1, 2, [2, 2, 2]);
        Assert.Equal([5, 3, -1, -1, -1, -1, 2, 3], got.Index);
    }

    /// <summary>Rows need no merge: a row's result does not depend on the rows beside it.</summary>
    [Fact]
    public void Shards_of_rows_are_parts_of_the_whole()
    {
        const int N = 90;
        const int D = 12;
        float[] x = new Draw(3).Floats(N * D);
        float[] codes = new Draw(4).Floats(200 * D);
        foreach ((Accelerator accelerator, NearestWalk? walk) in Places())
        {
            Found whole = Search(accelerator, walk, CodeMetric.L2, x, codes, N, 200, D, 1, 1);
            Found first = Search(accelerator, walk, CodeMetric.L2, x[..(37 * D)], codes, 37, 200, D, 1, 1);
            Found second = Search(accelerator, walk, CodeMetric.L2, x[(37 * D)..], codes, 53, 200, D, 1, 1);
            Assert.Equal(whole.Index, first.Index.Concat(second.Index));
            Assert.Equal(whole.Distance, first.Distance.Concat(second.Distance));
            Assert.Equal(whole.Score, first.Score.Concat(second.Score));
        }
    }

    [Fact]
    public void A_merge_allocates_no_managed_memory()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        using var index = new GuardedTensor(accelerator, new float[20]);
        using var score = new GuardedTensor(accelerator, new float[20]);
        using var first = new GuardedTensor(accelerator, new float[2]);
        using var to = new GuardedTensor(accelerator, new float[10]);
        var merge = new NearestMerge(accelerator);
        Allocations.AssertNone(accelerator, () => merge.Merge(
            accelerator.DefaultStream, index.Floats.Cast<int>(), score.Floats, first.Floats.Cast<int>(),
            to.Floats.Cast<int>(), 10));
    }

    private static IEnumerable<(Accelerator Accelerator, NearestWalk? Walk)> Places()
    {
        yield return (TestDevices.Session.Accelerator, null);
        if (!TestDevices.IsHost)
        {
            yield return (TestDevices.Session.Accelerator, NearestWalk.Tile);
        }
    }

    private static Found AssertSame(
        CodeMetric metric, float[] x, float[] codes, int n, int d, int heads, int top, int[] shards)
    {
        int k = shards.Sum();
        Found? last = null;
        foreach ((Accelerator accelerator, NearestWalk? walk) in Places())
        {
            var parts = new List<Found>();
            var first = new List<int>();
            int begin = 0;
            foreach (int length in shards)
            {
                float[] shard = [.. Enumerable.Range(0, heads).SelectMany(
                    head => codes.AsSpan(((head * k) + begin) * d, length * d).ToArray())];
                parts.Add(Search(accelerator, walk, metric, x, shard, n, length, d, heads, top));
                first.Add(begin);
                begin += length;
            }

            Found whole = Search(accelerator, walk, metric, x, codes, n, k, d, heads, top);
            Found merged = Merge(accelerator, parts, first, n * heads, top);
            Assert.Equal(whole.Index, merged.Index);
            Assert.Equal(whole.Score, merged.Score);
            Assert.Equal(whole.Distance, merged.Distance);
            last = merged;
        }

        return last!;
    }

    private static Found Search(
        Accelerator accelerator, NearestWalk? walk, CodeMetric metric, float[] x, float[] codes, int n, int k, int d,
        int heads, int top)
    {
        using var rows = new GuardedTensor(accelerator, x);
        using var book = new GuardedTensor(accelerator, codes);
        using var index = new GuardedTensor(accelerator, new float[n * heads * top]);
        using var distance = new GuardedTensor(accelerator, new float[n * heads * top]);
        using var score = new GuardedTensor(accelerator, new float[n * heads * top]);
        using var nearest = new NearestCode(accelerator, n, k, d, metric, heads, splits: 0, certified: false, top, walk);
        nearest.Search(
            accelerator.DefaultStream, rows.View, book.View, index.Floats.Cast<int>(), n, distance.Floats,
            score: score.Floats);
        accelerator.Synchronize();
        return new Found(Array.ConvertAll(index.Bits(), b => (int)b), distance.Values(), score.Values());
    }

    private static Found Merge(Accelerator accelerator, List<Found> parts, List<int> first, int results, int top)
    {
        using GuardedTensor shardIndex = LearnCase.Integers(accelerator, [.. parts.SelectMany(part => part.Index)]);
        using var shardScore = new GuardedTensor(accelerator, [.. parts.SelectMany(part => part.Score)]);
        using var shardDistance = new GuardedTensor(accelerator, [.. parts.SelectMany(part => part.Distance)]);
        using GuardedTensor firsts = LearnCase.Integers(accelerator, [.. first]);
        using var index = new GuardedTensor(accelerator, new float[results * top]);
        using var distance = new GuardedTensor(accelerator, new float[results * top]);
        using var score = new GuardedTensor(accelerator, new float[results * top]);
        new NearestMerge(accelerator).Merge(
            accelerator.DefaultStream, LearnCase.View(shardIndex), shardScore.Floats, LearnCase.View(firsts),
            index.Floats.Cast<int>(), results, top, score.Floats, shardDistance.Floats, distance.Floats);
        accelerator.Synchronize();
        return new Found(Array.ConvertAll(index.Bits(), b => (int)b), distance.Values(), score.Values());
    }

    private sealed record Found(int[] Index, float[] Distance, float[] Score);
}
