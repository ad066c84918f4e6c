using FsCheck.Xunit;
using Kernels.References;
using Kernels.References.Linear;
using Kernels.References.Quantization;
using Kernels.Tests.Support;
using static Kernels.Tests.References.Quantization.Numbers;

namespace Kernels.Tests.References.Quantization;

public sealed class QuantizedProductReferenceTests
{
    private static readonly string[] s_orders = ["loop", "tree", "backwards"];
    private static readonly string[] s_ways = ["weights", "activations of a code", "partial sums"];

    [Property(MaxTest = 60)]
    public void Binary32_by_each_way_in_several_orders_is_within_the_bounds(int seed)
    {
        var random = new Random(seed);
        int rows = random.Next(1, 7);
        int columns = 4 * random.Next(1, 40);
        int length = 1 << random.Next(3);
        int k = random.Next(1, 9);
        QuantizationScope? scales = random.Next(3) switch
        {
            0 => null,
            1 => QuantizationScope.Groups([0, rows / 2, rows], columns),
            _ => QuantizationScope.Blocks(8, rows * columns),
        };
        QuantizationScope books = random.Next(2) == 0
            ? QuantizationScope.Tensor(rows * columns)
            : QuantizationScope.Groups([0, rows / 2, rows], columns);
        var shape = new CodebookShape(rows, columns, k, length, books, scales);
        float[] x = Uniform(random, 2 * columns, 3);
        float[] codebook = Gaussian(random, shape.CodebookNumbers);
        float[] scale = Uniform(random, scales?.Count ?? 0, 2);
        int[] index = Below(random, shape.Indices, k);
        float[] bias = random.Next(2) == 0 ? [] : Uniform(random, rows);
        float[] c0 = random.Next(2) == 0 ? [] : Uniform(random, 2 * rows);
        Bounded[] y = QuantizedProductReference.Multiply(shape, x, index, codebook, scale, bias, c0);
        foreach (string order in s_orders)
        {
            foreach (string way in s_ways)
            {
                float[] found = Evaluate(shape, x, index, codebook, scale, way, terms => Add(order, terms));
                for (int i = 0; i < found.Length; i++)
                {
                    found[i] += bias.Length == 0 ? 0 : bias[i % rows];
                    found[i] += c0.Length == 0 ? 0 : c0[i];
                }

                AssertAdmits(y, found);
            }
        }

        double[] q = Values(DequantizeReference.Evaluate(shape, index, codebook, scale));
        for (int i = 0; i < y.Length; i++)
        {
            int row = i % rows;
            double expected = Enumerable.Range(0, columns).Sum(
                j => (double)x[(i / rows * columns) + j] * q[(row * columns) + j]);
            expected += (bias.Length == 0 ? 0 : bias[row]) + (c0.Length == 0 ? 0 : (double)c0[i]);
            Assert.Equal(expected, y[i].Value, 1e-11);
            Assert.InRange(y[i].Bound, 0, 1e-2);
        }
    }

    [Theory]
    [InlineData("weights")]
    [InlineData("activations of a code")]
    [InlineData("partial sums")]
    public void Equal_terms_whose_roundings_add_up_are_within_the_bounds(string way)
    {
        const int Columns = 2000;
        var shape = new CodebookShape(1, Columns, 2, 1, null, QuantizationScope.Tensor(Columns));
        float[] x = [.. Enumerable.Repeat(0.1f, Columns)];
        int[] index = [.. Enumerable.Range(0, Columns).Select(i => i % 7 == 0 ? 1 : 0)];
        Bounded[] y = QuantizedProductReference.Multiply(shape, x, index, [0.3f, 0.7f], [1.1f]);
        double worst = s_orders.Max(order => AssertAdmits(
            y, Evaluate(shape, x, index, [0.3f, 0.7f], [1.1f], way, terms => Add(order, terms))));
        Assert.InRange(worst, 0.01, 1);
    }

    [Fact]
    public void The_identity_gives_the_weights()
    {
        var random = new Random(2);
        var shape = new CodebookShape(5, 7, 3, 1, null, QuantizationScope.Groups([0, 2, 5], 7));
        float[] codebook = Gaussian(random, 3);
        float[] scale = [1.7f, -0.3f];
        int[] index = Below(random, 35, 3);
        float[] identity = [.. Enumerable.Range(0, 49).Select(i => i / 7 == i % 7 ? 1f : 0)];
        Bounded[] y = QuantizedProductReference.Multiply(shape, identity, index, codebook, scale);
        Bounded[] q = DequantizeReference.Evaluate(shape, index, codebook, scale);
        Assert.All(Enumerable.Range(0, 35), i => Assert.Equal(q[i], y[(i % 7 * 5) + (i / 7)]));
        // Without scales it is exact.
        shape = new CodebookShape(5, 7, 3);
        y = QuantizedProductReference.Multiply(shape, identity, index, codebook, []);
        Assert.All(y, v => Assert.Equal(0, v.Bound));
        Assert.All(Enumerable.Range(0, 35), i => Assert.Equal(codebook[index[i]], y[(i % 7 * 5) + (i / 7)].Value));
    }

    [Fact]
    public void Bias_and_start_alone_are_exact_and_the_activation_comes_last()
    {
        var shape = new CodebookShape(2, 3, 1);
        float[] zero = new float[3];
        Assert.Equal(
            [new Bounded(0.1f, 0), new Bounded(-4, 0)],
            QuantizedProductReference.Multiply(shape, zero, new int[6], [0.3f], [], [0.1f, -4]));
        Assert.Equal(
            [new Bounded(0.3f, 0), default],
            QuantizedProductReference.Multiply(
                shape, zero, new int[6], [0.3f], [], [0, -4], [0.3f, -1], ActivationReference.Relu)
                .Select(v => v.Value == 0 ? default : v));
        Bounded[] gelu = QuantizedProductReference.Multiply(
            shape, [1, 2, 3], new int[6], [0.25f], [], [1, -1], [2, 0], ActivationReference.Gelu);
        Assert.Equal(ActivationReference.Gelu(4.5).Value, gelu[0].Value, 1e-12);
        Assert.Equal(ActivationReference.Gelu(0.5).Value, gelu[1].Value, 1e-12);
        // No rows of x, and NaN where it is put.
        Assert.Empty(QuantizedProductReference.Multiply(shape, [], new int[6], [1], []));
        Bounded[] y = QuantizedProductReference.Multiply(shape, [float.NaN, 0, 0, 1, 2, 3], new int[6], [1], []);
        Assert.All(y[..2], v => Assert.True(v.Admits(float.NaN) && !v.Admits(1)));
        Assert.All(y[2..], v => Assert.True(v.Admits(6) && !v.Admits(6.01f)));
        y = QuantizedProductReference.Multiply(shape, [2e38f, 1e38f, 1], new int[6], [1e-5f], []);
        Assert.All(y, v => Assert.False(v.IsInDomain)); // the sum of the activations of a code is too large
    }

    [Fact]
    public void A_wrong_code_or_scale_is_seen()
    {
        var random = new Random(3);
        var shape = new CodebookShape(1, 512, 5, 1, null, QuantizationScope.Blocks(64, 512));
        float[] x = Uniform(random, 512);
        float[] codebook = Ascending(random, 5);
        float[] scale = Uniform(random, 8);
        int[] index = Below(random, 512, 5);
        Bounded[] y = QuantizedProductReference.Multiply(shape, x, index, codebook, scale);
        int[] other = [.. index];
        other[77] = (other[77] + 1) % 5;
        Assert.False(y[0].Admits((float)QuantizedProductReference.Multiply(shape, x, other, codebook, scale)[0].Value));
        (scale[3], scale[4]) = (scale[4], scale[3]);
        Assert.False(y[0].Admits((float)QuantizedProductReference.Multiply(shape, x, index, codebook, scale)[0].Value));
    }

    [Fact]
    public void Wrong_calls_are_refused()
    {
        var shape = new CodebookShape(2, 3, 2);
        int[] index = new int[6];
        Assert.Throws<ArgumentException>("x", () => Multiply(shape, new float[4], index, [], []));
        Assert.Throws<ArgumentException>("index", () => Multiply(shape, [1, 2, 3], [0], [], []));
        Assert.Throws<ArgumentException>("bias", () => Multiply(shape, [1, 2, 3], index, [1], []));
        Assert.Throws<ArgumentException>("c0", () => Multiply(shape, [1, 2, 3], index, [], [1]));
        Assert.Throws<ArgumentNullException>("shape", () => Multiply(null!, [1, 2, 3], index, [], []));

        static Bounded[] Multiply(CodebookShape shape, float[] x, int[] index, float[] bias, float[] c0) =>
            QuantizedProductReference.Multiply(shape, x, index, [0, 1], [], bias, c0);
    }

    private static float Add(string order, IEnumerable<float> terms) => order switch
    {
        "loop" => FloatSum.Sum(terms),
        "tree" => FloatSum.Tree([.. terms]),
        _ => FloatSum.Sum(terms.Reverse()),
    };

    [Fact]
    public void Of_a_weight_that_overflows_nothing_is_said_even_times_0()
    {
        var shape = new CodebookShape(1, 2, 2, 1, null, QuantizationScope.Tensor(2));
        foreach (float[] x in new float[][] { [0, 0], [0, 1], [1, 0] })
        {
            Assert.False(QuantizedProductReference.Multiply(shape, x, [1, 0], [1, 2e38f], [3])[0].IsInDomain);
            Assert.True(QuantizedProductReference.Multiply(shape, x, [1, 0], [1, 2e38f], [1])[0].IsInDomain);
        }
    }

    /// <summary>x Q^T in binary32: weights looked up, or the activations of each code summed first, or the products of the
    /// columns of each code.</summary>
    private static float[] Evaluate(
        CodebookShape shape, float[] x, int[] index, float[] codebook, float[] scale, string way,
        Func<IEnumerable<float>, float> add)
    {
        int columns = shape.Columns;
        return [.. Enumerable.Range(0, x.Length / columns * shape.Rows).Select(i =>
        {
            int row = i % shape.Rows;
            float[] own = x[(i / shape.Rows * columns)..][..columns];
            IEnumerable<int> all = Enumerable.Range(0, columns);
            return way is "weights"
                ? add(all.Select(j => own[j] * (ScaleOf(j) * codebook[Entry(j)])))
                : add(all.GroupBy(j => shape.Scales?.Of(Weight(j)) ?? 0).Select(part =>
                    (shape.Scales is null ? 1 : scale[part.Key]) * add(way is "partial sums"
                        ? part.GroupBy(j => j / shape.Length).Select(code => add(code.Select(j => codebook[Entry(j)] * own[j])))
                        : part.GroupBy(Entry).Select(code => codebook[code.Key] * add(code.Select(j => own[j]))))));

            int Weight(int j) => (row * columns) + j;

            float ScaleOf(int j) => shape.Scales is null ? 1 : scale[shape.Scales.Of(Weight(j))];

            int Entry(int j) => (((shape.Codebooks.Of(Weight(j)) * shape.Codes) + index[Weight(j) / shape.Length])
                * shape.Length) + (Weight(j) % shape.Length);
        })];
    }
}
