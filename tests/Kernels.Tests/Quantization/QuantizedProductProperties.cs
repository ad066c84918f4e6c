using FsCheck.Xunit;
using ILGPU.Runtime;
using Kernels.Linear;
using Kernels.Quantization;
using Kernels.References;
using Kernels.References.Linear;
using Kernels.References.Quantization;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;
using Way = Kernels.Quantization.QuantizedProductWay;

namespace Kernels.Tests.Quantization;

public sealed class QuantizedProductProperties
{
    private static readonly Accelerator s_accelerator = TestDevices.Session.Accelerator;

    [Property(MaxTest = 60)]
    public void Is_within_the_bounds_of_the_oracle_both_ways(int seed)
    {
        var draw = new Draw(seed);
        CodebookLayout layout = Planar(QuantizedCase.Draw(seed, 6, 1300));
        QuantizedCase c = QuantizedCase.Of(layout, seed);
        int n = 1 + draw.Below(3);
        var random = new Random(seed);
        float[] x = LinearDevice.Random(random, n * layout.Columns);
        float[] bias = draw.Below(2) == 0 ? [] : LinearDevice.Random(random, layout.Rows);
        float[] c0 = draw.Below(2) == 0 ? [] : LinearDevice.Random(random, n * layout.Rows);
        Activation activation = draw.OneOf(Activation.None, Activation.None, Activation.Relu, Activation.Gelu);
        Bounded[] wanted = QuantizedProductReference.Multiply(
            c.Shape, x, c.Index, c.Codebook, c.Scale, bias, c0, activation switch
            {
                Activation.Relu => ActivationReference.Relu,
                Activation.Gelu => ActivationReference.Gelu,
                _ => null,
            });
        LinearDevice.AssertWithin(wanted, Product(c, x, n, bias, c0, activation, null), "y");
        LinearDevice.AssertWithin(wanted, Product(c, x, n, bias, c0, activation, Way.Slabs), "y of slabs");
    }

    /// <summary>Codes of several weights in one to three blocks of columns, whole and not.</summary>
    [Property(MaxTest = 60)]
    public void Partial_sums_are_within_the_bounds_of_the_oracle(int seed)
    {
        var draw = new Draw(seed);
        int length = draw.OneOf(2, 4, 8);
        int rows = draw.OneOf(1, 3, 17, 130, 140);
        int codes = draw.OneOf(1, 31, 500, 512, 700, 1024, 1536, 1 + draw.Below(2300));
        int first = draw.Below(rows + 1);
        WeightScope groups = WeightScope.Groups([0, first, first + draw.Below(rows - first + 1), rows]);
        var layout = new CodebookLayout(
            rows, length * (rows > 17 ? Math.Min(codes, 700) : codes),
            new CodeFormat(draw.OneOf(2, 3, 4, 7, 16, 19, 40, 100, 128, 200, 256)), length,
            draw.OneOf(WeightScope.Tensor, groups), draw.OneOf(null, WeightScope.Tensor, WeightScope.Rows, groups),
            draw.OneOf(Storage.F32, Storage.F16, Storage.BF16));
        CheckPartialSums(layout, seed, 1 + draw.Below(2));
    }

    /// <summary>Tables of some megabytes are made for some columns at a time.</summary>
    [Fact]
    public void Partial_sums_of_many_columns_are_added_slab_by_slab() => CheckPartialSums(
        new CodebookLayout(3, 2 * 6000, new CodeFormat(256), 2, scales: WeightScope.Rows), 5, 2);

    private static void CheckPartialSums(CodebookLayout layout, int seed, int n)
    {
        var draw = new Draw(seed);
        QuantizedCase c = QuantizedCase.Of(layout, seed);
        var random = new Random(seed);
        float[] x = LinearDevice.Random(random, n * layout.Columns);
        float[] bias = draw.Below(2) == 0 ? [] : LinearDevice.Random(random, layout.Rows);
        float[] c0 = draw.Below(2) == 0 ? [] : LinearDevice.Random(random, n * layout.Rows);
        Activation activation = draw.OneOf(Activation.None, Activation.Relu, Activation.Gelu);
        Bounded[] wanted = QuantizedProductReference.Multiply(
            c.Shape, x, c.Index, c.Codebook, c.Scale, bias, c0, activation switch
            {
                Activation.Relu => ActivationReference.Relu,
                Activation.Gelu => ActivationReference.Gelu,
                _ => null,
            });
        float[] y = Product(c, x, n, bias, c0, activation, Way.PartialSums);
        LinearDevice.AssertWithin(wanted, y, "y of partial sums");
        Assert.Equal(y, Product(c, x, n, bias, c0, activation, Way.PartialSums));
    }

    /// <summary>Whole blocks, and what is behind them, for every number of bits, and for digits.</summary>
    [Theory]
    [InlineData(2, Packing.Fields)]
    [InlineData(4, Packing.Fields)]
    [InlineData(7, Packing.Fields)]
    [InlineData(16, Packing.Fields)]
    [InlineData(31, Packing.Fields)]
    [InlineData(50, Packing.Fields)]
    [InlineData(128, Packing.Fields)]
    [InlineData(256, Packing.Fields)]
    [InlineData(3, Packing.Radix)]
    [InlineData(5, Packing.Radix)]
    [InlineData(84, Packing.Radix)]
    public void Dequantize_and_multiply_is_the_same_as_the_product_exactly_on_integers(int k, Packing packing)
    {
        foreach (int columns in new[] { 64, 512, 1024, 1536, 2080, 2600 })
        {
            QuantizedCase c = QuantizedCase.OfIntegers(
                new CodebookLayout(
                    7, columns, new CodeFormat(k, packing), codebooks: WeightScope.Groups([0, 3, 7]),
                    scales: WeightScope.Rows),
                k);
            var random = new Random(k);
            float[] x = [.. Enumerable.Range(0, 2 * columns).Select(_ => (float)random.Next(-4, 5))];
            float[] w = [.. DequantizeReference.Evaluate(c.Shape, c.Index, c.Codebook, c.Scale).Select(b => (float)b.Value)];
            float[] wanted = [.. Enumerable.Range(0, 14).Select(i => Enumerable.Range(0, columns).Sum(
                j => w[(i % 7 * columns) + j] * x[(i / 7 * columns) + j]))];
            Assert.Equal(wanted, Product(c, x, 2, [], [], Activation.None, null));
            Assert.Equal(wanted, Product(c, x, 2, [], [], Activation.None, Way.Slabs));
        }
    }

    [Theory]
    [InlineData(1, 11, 1)]
    [InlineData(2, 2, 1)]
    [InlineData(2, 256, 2)]
    [InlineData(4, 200, 3)]
    [InlineData(8, 19, 2)]
    public void The_identity_gives_the_weights_exactly(int length, int k, int groups)
    {
        const int Columns = 72;
        var layout = new CodebookLayout(
            5, Columns, new CodeFormat(k), length, WeightScope.Groups(groups == 1 ? [0, 5] : groups == 2 ? [0, 2, 5] : [0, 2, 2, 5]),
            WeightScope.Rows);
        QuantizedCase c = QuantizedCase.Of(layout, 4);
        var x = new float[Columns * Columns];
        for (int i = 0; i < Columns; i++)
        {
            x[i * (Columns + 1)] = 1;
        }

        Bounded[] wanted = DequantizeReference.Evaluate(c.Shape, c.Index, c.Codebook, c.Scale);
        foreach (Way way in Enum.GetValues<Way>())
        {
            float[] y = Product(c, x, Columns, [], [], Activation.None, way);
            for (int i = 0; i < c.Layout.WeightCount; i++)
            {
                Assert.Equal((float)wanted[i].Value, y[(i % Columns * 5) + (i / Columns)]);
            }
        }
    }

    [Fact]
    public void Many_vectors_go_through_slabs_whose_last_one_is_short()
    {
        // 128 rows and more are a slab.
        QuantizedCase c = QuantizedCase.OfIntegers(
            new CodebookLayout(300, 4096, new CodeFormat(4), codebooks: WeightScope.Groups([0, 100, 300])), 9);
        var random = new Random(1);
        const int N = 3;
        float[] x = [.. Enumerable.Range(0, N * 4096).Select(_ => (float)random.Next(-3, 4))];
        Assert.Equal(
            Product(c, x, N, [], [], Activation.None, Way.Looked), Product(c, x, N, [], [], Activation.None, Way.Slabs));
    }

    [Fact]
    public void The_same_call_gives_the_same_bits()
    {
        QuantizedCase c = QuantizedCase.Of(new CodebookLayout(9, 2100, new CodeFormat(16), scales: WeightScope.Rows), 6);
        float[] x = LinearDevice.Random(new Random(2), 2 * 2100);
        foreach (Way way in new[] { Way.Slabs, Way.Looked })
        {
            Assert.Equal(
                Product(c, x, 2, [], [], Activation.Gelu, way), Product(c, x, 2, [], [], Activation.Gelu, way));
        }
    }

    [Fact]
    public void Nothing_is_written_where_something_does_not_fit()
    {
        var layout = new CodebookLayout(2, 40, new CodeFormat(4), scales: WeightScope.Rows);
        QuantizedCase c = QuantizedCase.Of(layout, 1);
        using var product = new QuantizedProduct(s_accelerator, layout, 2);
        AcceleratorStream stream = s_accelerator.DefaultStream;
        using GuardedBytes packed = c.PackedOn(s_accelerator);
        using GuardedTensor codebook = c.CodebookOn(s_accelerator);
        using GuardedTensor scale = c.ScaleOn(s_accelerator);
        using var x = new GuardedTensor(s_accelerator, new float[80]);
        using var y = new GuardedTensor(s_accelerator, new float[4]);
        void Call(GuardedTensor from, int n, TensorView numbers, TensorView to, TensorView bias = default, int activation = 0) =>
            product.Multiply(
                stream, from.View, n, packed.View, numbers, scale.View, to, bias, (Activation)activation);

        Assert.Throws<ArgumentNullException>("stream", () => product.Multiply(
            null!, x.View, 2, packed.View, codebook.View, scale.View, y.View));
        Assert.Throws<ArgumentOutOfRangeException>("n", () => Call(x, 3, codebook.View, y.View));
        Assert.Throws<ArgumentOutOfRangeException>("n", () => Call(x, -1, codebook.View, y.View));
        Assert.Throws<ArgumentException>("x", () => Call(x, 1, codebook.View, y.View));
        Assert.Throws<ArgumentException>("y", () => Call(x, 2, codebook.View, y.Floats.SubView(1)));
        Assert.Throws<ArgumentException>("codebook", () => Call(x, 2, scale.View, y.View));
        Assert.Throws<ArgumentException>("bias", () => Call(x, 2, codebook.View, y.View, codebook.View));
        Assert.Throws<ArgumentException>("y", () => Call(x, 2, codebook.View, x.Floats.SubView(0, 4)));
        Assert.Throws<ArgumentOutOfRangeException>("activation", () => Call(x, 2, codebook.View, y.View, default, 9));
        Assert.Throws<ArgumentException>("layout", () => new QuantizedProduct(
            s_accelerator, new CodebookLayout(2, 40, new CodeFormat(4, Packing.Fields, PackingOrder.Linear))));
        Assert.Throws<ArgumentOutOfRangeException>("maxVectors", () => new QuantizedProduct(s_accelerator, layout, 0));
        product.Dispose();
        Assert.Throws<ObjectDisposedException>(() => Call(x, 2, codebook.View, y.View));
        s_accelerator.Synchronize();
        Assert.All(y.Values(), value => Assert.Equal(0, value));
    }

    [Theory]
    [InlineData(1, true)]
    [InlineData(1, false)]
    [InlineData(4, false)]
    public void It_allocates_no_managed_memory(int length, bool bySlabs)
    {
        QuantizedCase c = QuantizedCase.Of(new CodebookLayout(5, 1100, new CodeFormat(4), length), 3);
        using var product = new QuantizedProduct(s_accelerator, c.Layout, 2, bySlabs ? Way.Slabs : null);
        using GuardedBytes packed = c.PackedOn(s_accelerator);
        using GuardedTensor codebook = c.CodebookOn(s_accelerator);
        using var x = new GuardedTensor(s_accelerator, new float[2200]);
        using var y = new GuardedTensor(s_accelerator, new float[10]);
        Allocations.AssertNone(s_accelerator, () => product.Multiply(
            s_accelerator.DefaultStream, x.View, 2, packed.View, codebook.View, default, y.View));
    }

    private static CodebookLayout Planar(CodebookLayout layout) => new(
        layout.Rows, layout.Columns, new CodeFormat(layout.Codes, layout.Format.Packing), layout.Length, layout.Codebooks,
        layout.Scales, layout.ScaleStorage);

    private static float[] Product(
        QuantizedCase c, float[] x, int n, float[] bias, float[] c0, Activation activation, Way? way)
    {
        using var product = new QuantizedProduct(s_accelerator, c.Layout, n, way);
        using GuardedBytes packed = c.PackedOn(s_accelerator);
        using GuardedTensor codebook = c.CodebookOn(s_accelerator);
        using GuardedTensor scale = c.ScaleOn(s_accelerator);
        using var from = new GuardedTensor(s_accelerator, x);
        using var offset = new GuardedTensor(s_accelerator, bias);
        using var y = new GuardedTensor(
            s_accelerator, c0.Length > 0 ? c0 : [.. Enumerable.Repeat(float.NaN, n * c.Layout.Rows)], 1);
        product.Multiply(
            s_accelerator.DefaultStream, from.View, n, packed.View, codebook.View, scale.View, y.View,
            bias.Length > 0 ? offset.View : default, activation, c0.Length > 0);
        s_accelerator.Synchronize();
        return y.Values();
    }
}
