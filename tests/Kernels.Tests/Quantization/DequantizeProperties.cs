using FsCheck.Xunit;
using ILGPU.Runtime;
using Kernels.Quantization;
using Kernels.References;
using Kernels.References.Quantization;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;
using Kernels.Tests.VectorQuantization;

namespace Kernels.Tests.Quantization;

public sealed class DequantizeProperties
{
    private static readonly Accelerator s_accelerator = TestDevices.Session.Accelerator;

    [Property(MaxTest = 100)]
    public void Is_the_oracles_for_every_layout(int seed) => Check(QuantizedCase.Of(QuantizedCase.Draw(seed), seed));

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(16)]
    [InlineData(17)]
    [InlineData(64)]
    [InlineData(100)]
    [InlineData(256)]
    public void Is_the_oracles_in_whole_blocks_and_beyond_for_every_number_of_bits(int k)
    {
        foreach (int columns in new[] { 1024, 2048, 2080, 3000 })
        {
            Check(QuantizedCase.Of(
                new CodebookLayout(
                    6, columns, new CodeFormat(k), codebooks: WeightScope.Groups([0, 2, 2, 6]), scales: WeightScope.Rows),
                k));
        }
    }

    /// <summary>One rounding more: of what F32 gives.</summary>
    [Theory]
    [InlineData(Storage.F16, 1)]
    [InlineData(Storage.BF16, 1)]
    [InlineData(Storage.F16, 2)]
    [InlineData(Storage.BF16, 4)]
    public void Other_storages_are_rounded_from_F32(Storage storage, int length)
    {
        QuantizedCase c = QuantizedCase.Of(
            new CodebookLayout(3, 1100 * length, new CodeFormat(8), length, scales: WeightScope.Rows), 5);
        float[] floats = LearnCase.Floats(Storage.F32, Weights(c, Storage.F32));
        Assert.Equal(LearnCase.Bits(storage, floats), Weights(c, storage));
    }

    [Fact]
    public void Scales_of_0_give_0_and_what_is_not_finite_stays_in_its_weights()
    {
        QuantizedCase c = QuantizedCase.Of(new CodebookLayout(4, 1030, new CodeFormat(4), scales: WeightScope.Rows), 2);
        c.Codebook[1] = float.NaN;
        c.Codebook[2] = float.PositiveInfinity;
        c.ScaleBits[0] = 0;
        c.Scale[0] = 0;
        float[] w = LearnCase.Floats(Storage.F32, Weights(c, Storage.F32));
        for (int i = 0; i < w.Length; i++)
        {
            float wanted = c.Scale[i / 1030] * c.Codebook[c.Index[i]];
            Assert.Equal(wanted, w[i]);
        }
    }

    [Fact]
    public void Nothing_is_written_where_something_does_not_fit()
    {
        var layout = new CodebookLayout(2, 40, new CodeFormat(4), scales: WeightScope.Rows, scaleStorage: Storage.F16);
        using var dequantize = new Dequantize(s_accelerator, layout);
        AcceleratorStream stream = s_accelerator.DefaultStream;
        QuantizedCase c = QuantizedCase.Of(layout, 1);
        using GuardedBytes packed = c.PackedOn(s_accelerator);
        using GuardedTensor codebook = c.CodebookOn(s_accelerator);
        using GuardedTensor scale = c.ScaleOn(s_accelerator);
        using var w = new GuardedTensor(s_accelerator, new float[80]);
        using var floats = new GuardedTensor(s_accelerator, new float[2]);
        Assert.Throws<ArgumentNullException>(
            "stream", () => dequantize.Run(null!, packed.View, codebook.View, scale.View, w.View));
        Assert.Throws<ArgumentException>(
            "packed", () => dequantize.Run(stream, packed.View.SubView(0, 8), codebook.View, scale.View, w.View));
        Assert.Throws<ArgumentException>(
            "codebook", () => dequantize.Run(stream, packed.View, codebook.Floats.SubView(1), scale.View, w.View));
        Assert.Throws<ArgumentException>(
            "scale", () => dequantize.Run(stream, packed.View, codebook.View, floats.View, w.View));
        Assert.Throws<ArgumentException>("scale", () => dequantize.Run(stream, packed.View, codebook.View, default, w.View));
        Assert.Throws<ArgumentException>(
            "w", () => dequantize.Run(stream, packed.View, codebook.View, scale.View, w.Floats.SubView(2)));
        Assert.Throws<ArgumentException>(
            "w", () => dequantize.Run(stream, packed.View, w.Floats.SubView(0, 4), scale.View, w.View));
        dequantize.Dispose();
        Assert.Throws<ObjectDisposedException>(
            () => dequantize.Run(stream, packed.View, codebook.View, scale.View, w.View));
        s_accelerator.Synchronize();
        Assert.All(w.Values(), value => Assert.Equal(0, value));
    }

    [Fact]
    public void It_allocates_no_managed_memory()
    {
        QuantizedCase c = QuantizedCase.Of(
            new CodebookLayout(3, 1100, new CodeFormat(4), codebooks: WeightScope.Groups([0, 1, 3])), 3);
        using var dequantize = new Dequantize(s_accelerator, c.Layout);
        using GuardedBytes packed = c.PackedOn(s_accelerator);
        using GuardedTensor codebook = c.CodebookOn(s_accelerator);
        using var w = new GuardedTensor(s_accelerator, new float[c.Layout.WeightCount]);
        Allocations.AssertNone(
            s_accelerator,
            () => dequantize.Run(s_accelerator.DefaultStream, packed.View, codebook.View, default, w.View));
    }

    private static void Check(QuantizedCase c)
    {
        Bounded[] wanted = DequantizeReference.Evaluate(c.Shape, c.Index, c.Codebook, c.Scale);
        LinearDevice.AssertWithin(wanted, LearnCase.Floats(Storage.F32, Weights(c, Storage.F32)), "w");
    }

    private static uint[] Weights(QuantizedCase c, Storage storage)
    {
        using var dequantize = new Dequantize(s_accelerator, c.Layout);
        using GuardedBytes packed = c.PackedOn(s_accelerator);
        using GuardedTensor codebook = c.CodebookOn(s_accelerator);
        using GuardedTensor scale = c.ScaleOn(s_accelerator);
        using var w = new GuardedTensor(s_accelerator, storage, new uint[c.Layout.WeightCount], 1);
        dequantize.Run(s_accelerator.DefaultStream, packed.View, codebook.View, scale.View, w.View);
        s_accelerator.Synchronize();
        return w.Bits();
    }
}
