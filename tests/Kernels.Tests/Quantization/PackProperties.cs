using FsCheck.Xunit;
using ILGPU.Runtime;
using Kernels.Quantization;
using Kernels.References.Quantization;
using Kernels.Tests.Support;

namespace Kernels.Tests.Quantization;

public sealed class PackProperties
{
    private static readonly Accelerator s_accelerator = TestDevices.Session.Accelerator;

    /// <summary>A row for each number of codes of a last block would be much: the lengths go round with k.</summary>
    [Theory]
    [InlineData(Packing.Fields, PackingOrder.Planar)]
    [InlineData(Packing.Fields, PackingOrder.Linear)]
    [InlineData(Packing.Radix, PackingOrder.Planar)]
    [InlineData(Packing.Radix, PackingOrder.Linear)]
    public void Every_k_has_the_oracles_bytes_and_returns(Packing packing, PackingOrder order)
    {
        for (int k = 2; k <= 256; k++)
        {
            int columns = 1 + (k * 37 % (order == PackingOrder.Linear ? 41 : 1100));
            RoundTrip(new CodebookLayout(2 + (k % 2), columns, new CodeFormat(k, packing, order)), k);
        }
    }

    [Property(MaxTest = 60)]
    public void Every_layout_has_the_oracles_bytes_and_returns(int seed) => RoundTrip(QuantizedCase.Draw(seed), seed);

    /// <summary>Every length of a tail, in rows and in all.</summary>
    [Theory]
    [InlineData(3, Packing.Fields, PackingOrder.Planar, 1023, 1090)]
    [InlineData(5, Packing.Radix, PackingOrder.Planar, 415, 440)]
    [InlineData(3, Packing.Radix, PackingOrder.Planar, 639, 665)]
    [InlineData(7, Packing.Fields, PackingOrder.Linear, 1, 18)]
    [InlineData(5, Packing.Radix, PackingOrder.Linear, 1, 28)]
    public void Every_length_returns(int k, Packing packing, PackingOrder order, int from, int to)
    {
        for (int columns = from; columns <= to; columns++)
        {
            RoundTrip(new CodebookLayout(3, columns, new CodeFormat(k, packing, order)), columns);
        }
    }

    [Property(MaxTest = 100)]
    public void The_descriptor_counts_the_oracles_bytes(int seed)
    {
        CodebookLayout layout = QuantizedCase.Draw(seed);
        QuantizedCase c = QuantizedCase.Of(layout, seed);
        Assert.Equal(c.Packed.Length, layout.PackedBytes);
        Assert.Equal(4 * c.Shape.CodebookNumbers, layout.CodebookBytes);
        Assert.Equal(c.Shape.Scales?.Count ?? 0, layout.ScaleCount);
        Assert.Equal(c.Packed.Length + layout.CodebookBytes + layout.ScaleBytes, layout.Bytes);
        Assert.Equal(
            PackReference.Densest(layout.Codes), (CodePacking)CodeFormat.Densest(layout.Codes).Packing);
    }

    [Theory]
    [InlineData(Packing.Fields, PackingOrder.Planar)]
    [InlineData(Packing.Fields, PackingOrder.Linear)]
    [InlineData(Packing.Radix, PackingOrder.Planar)]
    [InlineData(Packing.Radix, PackingOrder.Linear)]
    public void What_is_no_code_counts_as_the_last_one(Packing packing, PackingOrder order)
    {
        foreach (int k in new[] { 3, 5, 11, 40, 200 })
        {
            var layout = new CodebookLayout(2, 1500, new CodeFormat(k, packing, order));
            var random = new Random(k);
            int[] index = [.. Enumerable.Range(0, layout.CodeCount).Select(_ => random.Next(256))];
            Assert.Equal(
                QuantizedCase.PackedBy(layout, Array.ConvertAll(index, code => Math.Min(code, k - 1))),
                Packed(layout, QuantizedCase.Bytes(index)));
            var noise = new byte[layout.PackedBytes];
            random.NextBytes(noise);
            byte[] codes = Unpacked(layout, noise);
            Assert.All(codes, code => Assert.InRange(code, 0, k - 1));
            Assert.True(codes.Distinct().Count() > 2);
        }
    }

    [Fact]
    public void Nothing_is_written_where_something_does_not_fit()
    {
        var layout = new CodebookLayout(2, 40, new CodeFormat(5));
        var pack = new Pack(s_accelerator, layout);
        var unpack = new Unpack(s_accelerator, layout);
        AcceleratorStream stream = s_accelerator.DefaultStream;
        using var index = new GuardedBytes(s_accelerator, new byte[80], 0);
        using var packed = new GuardedBytes(s_accelerator, new byte[layout.PackedBytes], 0);
        using var odd = new GuardedBytes(s_accelerator, new byte[layout.PackedBytes], 2);
        Assert.Throws<ArgumentNullException>("stream", () => pack.Run(null!, index.View, packed.View));
        Assert.Throws<ArgumentException>("index", () => pack.Run(stream, index.View.SubView(1), packed.View));
        Assert.Throws<ArgumentException>("packed", () => pack.Run(stream, index.View, packed.View.SubView(4)));
        Assert.Throws<ArgumentException>("packed", () => pack.Run(stream, index.View, odd.View));
        Assert.Throws<ArgumentException>("packed", () => unpack.Run(stream, odd.View, index.View));
        Assert.Throws<ArgumentException>("index", () => unpack.Run(stream, packed.View, index.View.SubView(0, 79)));
        using var all = new GuardedBytes(s_accelerator, new byte[80 + layout.PackedBytes], 0);
        Assert.Throws<ArgumentException>("packed", () => pack.Run(
            stream, all.View.SubView(0, 80), all.View.SubView(76, layout.PackedBytes)));
        Assert.Throws<ArgumentNullException>("layout", () => new Pack(s_accelerator, null!));
        Assert.Throws<ArgumentNullException>("accelerator", () => new Unpack(null!, layout));
        s_accelerator.Synchronize();
        Assert.All(index.Bytes(), value => Assert.Equal(0, value));
        Assert.All(packed.Bytes(), value => Assert.Equal(0, value));
    }

    [Fact]
    public void Descriptors_refuse_what_does_not_fit()
    {
        Assert.Throws<ArgumentOutOfRangeException>("codes", () => new CodeFormat(1));
        Assert.Throws<ArgumentOutOfRangeException>("codes", () => new CodeFormat(257));
        Assert.Throws<ArgumentOutOfRangeException>("packing", () => new CodeFormat(4, (Packing)2));
        Assert.Throws<ArgumentOutOfRangeException>("order", () => new CodeFormat(4, Packing.Radix, (PackingOrder)(-1)));
        var format = new CodeFormat(4);
        Assert.Throws<ArgumentOutOfRangeException>("length", () => format.ByteCount(-1));
        Assert.Throws<ArgumentOutOfRangeException>("rows", () => new CodebookLayout(0, 4, format));
        Assert.Throws<ArgumentOutOfRangeException>("columns", () => new CodebookLayout(4, 0, format));
        Assert.Throws<ArgumentOutOfRangeException>("columns", () => new CodebookLayout(1 << 16, 1 << 15, format));
        Assert.Throws<ArgumentOutOfRangeException>("length", () => new CodebookLayout(4, 9, format, 3));
        Assert.Throws<ArgumentException>("columns", () => new CodebookLayout(4, 6, format, 4));
        Assert.Throws<ArgumentException>(
            "codebooks", () => new CodebookLayout(4, 8, format, codebooks: WeightScope.Groups([0, 3])));
        Assert.Throws<ArgumentException>("scales", () => new CodebookLayout(4, 8, format, 4, scales: WeightScope.Blocks(6)));
        Assert.Throws<ArgumentOutOfRangeException>(
            "codebooks", () => new CodebookLayout(1 << 24, 1, new CodeFormat(256), codebooks: WeightScope.Rows));
        Assert.Throws<ArgumentException>("boundaries", () => WeightScope.Groups([0]));
        Assert.Throws<ArgumentException>("boundaries", () => WeightScope.Groups([1, 2]));
        Assert.Throws<ArgumentException>("boundaries", () => WeightScope.Groups([0, 2, 1]));
        Assert.Throws<ArgumentOutOfRangeException>("block", () => WeightScope.Blocks(0));
    }

    [Fact]
    public void Neither_allocates_managed_memory()
    {
        var layout = new CodebookLayout(3, 1100, new CodeFormat(5));
        var pack = new Pack(s_accelerator, layout);
        var unpack = new Unpack(s_accelerator, layout);
        using var index = new GuardedBytes(s_accelerator, new byte[layout.CodeCount], 0);
        using var packed = new GuardedBytes(s_accelerator, new byte[layout.PackedBytes], 0);
        Allocations.AssertNone(s_accelerator, () => pack.Run(s_accelerator.DefaultStream, index.View, packed.View));
        Allocations.AssertNone(s_accelerator, () => unpack.Run(s_accelerator.DefaultStream, packed.View, index.View));
    }

    private static void RoundTrip(CodebookLayout layout, int seed)
    {
        var random = new Random(seed);
        int[] index = [.. Enumerable.Range(0, layout.CodeCount).Select(_ => random.Next(layout.Codes))];
        byte[] packed = Packed(layout, QuantizedCase.Bytes(index));
        Assert.Equal(QuantizedCase.PackedBy(layout, index), packed);
        Assert.Equal(QuantizedCase.Bytes(index), Unpacked(layout, packed));
    }

    private static byte[] Packed(CodebookLayout layout, byte[] index)
    {
        using var codes = new GuardedBytes(s_accelerator, index, 1);
        using var packed = new GuardedBytes(s_accelerator, [.. Enumerable.Repeat((byte)0x5A, (int)layout.PackedBytes)], 0);
        new Pack(s_accelerator, layout).Run(s_accelerator.DefaultStream, codes.View, packed.View);
        s_accelerator.Synchronize();
        return packed.Bytes();
    }

    private static byte[] Unpacked(CodebookLayout layout, byte[] bytes)
    {
        using var packed = new GuardedBytes(s_accelerator, bytes, 0);
        using var codes = new GuardedBytes(s_accelerator, new byte[layout.CodeCount], 3);
        new Unpack(s_accelerator, layout).Run(s_accelerator.DefaultStream, packed.View, codes.View);
        s_accelerator.Synchronize();
        return codes.Bytes();
    }
}
