using ILGPU.Runtime;
using Kernels.Launching;
using Kernels.References;
using Kernels.References.VectorQuantization;
using Kernels.Tests.Support;
using Kernels.VectorQuantization;

namespace Kernels.Tests.VectorQuantization;

/// <summary>Several nearest codes of each row.</summary>
public sealed class NearestTopProperties
{
    [Theory]
    [InlineData(CodeMetric.L2, 3, 5, 4, 5)]
    [InlineData(CodeMetric.L2, 70, 300, 8, 32)]
    [InlineData(CodeMetric.L2, 65, 129, 33, 2)]
    [InlineData(CodeMetric.Dot, 17, 64, 16, 7)]
    [InlineData(CodeMetric.Cosine, 40, 200, 12, 10)]
    public void Returns_no_code_that_another_certainly_beats(CodeMetric metric, int n, int k, int d, int top)
    {
        float[] x = new Draw(n).Floats(n * d);
        float[] codes = new Draw(k).Floats(k * d);
        NearestRow[] wanted = Reference(metric, codes, d).SearchAll(x, top);
        foreach ((Accelerator accelerator, NearestWalk? walk) in Places())
        {
            Result got = Search(accelerator, walk, x, codes, n, k, d, metric, top);
            for (int row = 0; row < n; row++)
            {
                int[] index = got.Index[(row * top)..((row + 1) * top)];
                Assert.True(wanted[row].AdmitsTop(index), $"{accelerator.AcceleratorType} {walk}, row {row}");
                for (int m = 0; m < top; m++)
                {
                    Bounded distance = wanted[row].DistanceOf(index[m]);
                    Assert.True(distance.Admits(got.Distance[(row * top) + m]));
                }
            }
        }
    }

    /// <summary>Small integers are exact: the order is that of distance, then index, on every walk and for every split.</summary>
    [Theory]
    [InlineData(CodeMetric.L2, 20, 400, 3, 32)]
    [InlineData(CodeMetric.Dot, 33, 150, 5, 6)]
    public void Ties_are_in_the_order_of_the_index(CodeMetric metric, int n, int k, int d, int top)
    {
        var draw = new Random(n);
        float[] x = [.. Enumerable.Range(0, n * d).Select(_ => (float)draw.Next(-2, 3))];
        float[] codes = [.. Enumerable.Range(0, k * d).Select(_ => (float)draw.Next(-2, 3))];
        NearestRow[] rows = Reference(metric, codes, d).SearchAll(x, top);
        int[] wanted = [.. rows.SelectMany(row => row.Index)];
        foreach ((Accelerator accelerator, NearestWalk? walk) in Places())
        {
            foreach (int splits in (int[])[0, 1, 2, 7, k])
            {
                Result got = Search(accelerator, walk, x, codes, n, k, d, metric, top, splits);
                Assert.Equal(wanted, got.Index);
                Assert.All(
                    Enumerable.Range(0, n),
                    i => Assert.Equal(
                        (float)(rows[i].Distance[1].Value - rows[i].Distance[0].Value), got.Margin[i]));
            }
        }
    }

    /// <summary>The worst order: every code is nearer than all before it.</summary>
    [Fact]
    public void Codes_may_come_nearer_and_nearer()
    {
        const int K = 300;
        float[] codes = [.. Enumerable.Range(0, K).Select(i => (float)(K - i))];
        foreach ((Accelerator accelerator, NearestWalk? walk) in Places())
        {
            Result got = Search(accelerator, walk, [0, 0], codes, 2, K, 1, CodeMetric.L2, 9);
            int[] last = [.. Enumerable.Range(1, 9).Select(i => K - i)];
            Assert.Equal([.. last, .. last], got.Index);
        }
    }

    [Fact]
    public void Where_codes_run_out_there_is_none()
    {
        float[] codes = [1, float.NaN, 3, float.PositiveInfinity];
        foreach ((Accelerator accelerator, NearestWalk? walk) in Places())
        {
            Result got = Search(accelerator, walk, [4, float.NaN], codes, 2, 4, 1, CodeMetric.L2, 3);
            Assert.Equal([2, 0, -1, -1, -1, -1], got.Index);
            Assert.Equal([1, 9, float.NaN, float.NaN, float.NaN, float.NaN], got.Distance);
            Assert.Equal([8, float.NaN], got.Margin);
        }
    }

    [Fact]
    public void Heads_have_lists_of_their_own()
    {
        const int N = 21;
        const int K = 70;
        const int D = 3;
        const int Top = 4;
        float[] x = new Draw(1).Floats(N * 2 * D);
        float[] codes = new Draw(2).Floats(2 * K * D);
        foreach ((Accelerator accelerator, NearestWalk? walk) in Places())
        {
            Result both = Search(accelerator, walk, x, codes, N, K, D, CodeMetric.L2, Top, heads: 2);
            for (int head = 0; head < 2; head++)
            {
                float[] part = [.. Enumerable.Range(0, N).SelectMany(i => x.AsSpan(((i * 2) + head) * D, D).ToArray())];
                Result one = Search(
                    accelerator, walk, part, codes[(head * K * D)..((head + 1) * K * D)], N, K, D, CodeMetric.L2, Top);
                for (int i = 0; i < N * Top; i++)
                {
                    int at = (((i / Top * 2) + head) * Top) + (i % Top);
                    Assert.Equal(one.Index[i], both.Index[at]);
                    Assert.Equal(one.Distance[i], both.Distance[at]);
                }
            }
        }
    }

    private sealed record Result(int[] Index, float[] Distance, float[] Margin);

    private static IEnumerable<(Accelerator Accelerator, NearestWalk? Walk)> Places()
    {
        yield return (TestDevices.Session.Accelerator, null);
        if (!TestDevices.IsHost)
        {
            yield return (TestDevices.Session.Accelerator, NearestWalk.Tile);
        }
    }

    private static NearestReference Reference(CodeMetric metric, float[] codes, int d) =>
        new(Enum.Parse<NearestMetric>(metric.ToString()), codes, d);

    private static Result Search(
        Accelerator accelerator, NearestWalk? walk, float[] x, float[] codes, int n, int k, int d, CodeMetric metric,
        int top, int splits = 0, int heads = 1)
    {
        using var rows = new GuardedTensor(accelerator, x);
        using var book = new GuardedTensor(accelerator, codes);
        using var index = new GuardedTensor(accelerator, new float[n * heads * top]);
        using var distance = new GuardedTensor(accelerator, new float[n * heads * top]);
        using var margin = new GuardedTensor(accelerator, new float[n * heads]);
        using var nearest = new NearestCode(
            accelerator, n, k, d, metric, heads, splits, certified: false, top, walk);
        Assert.Equal(top, nearest.Top);
        nearest.Search(
            accelerator.DefaultStream, rows.View, book.View, index.Floats.Cast<int>(), n, distance.Floats, margin.Floats);
        accelerator.Synchronize();
        return new Result(Array.ConvertAll(index.Bits(), b => (int)b), distance.Values(), margin.Values());
    }
}
