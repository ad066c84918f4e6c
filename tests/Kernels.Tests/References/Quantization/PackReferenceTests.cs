using FsCheck.Xunit;
using Kernels.References.Quantization;

namespace Kernels.Tests.References.Quantization;

public sealed class PackReferenceTests
{
    private static readonly (CodePacking, CodeOrder)[] s_formats =
    [
        (CodePacking.Fields, CodeOrder.Linear), (CodePacking.Fields, CodeOrder.Planar),
        (CodePacking.Radix, CodeOrder.Linear), (CodePacking.Radix, CodeOrder.Planar),
    ];

    [Fact]
    public void Every_k_returns_from_every_format_with_every_length_of_the_tail()
    {
        var random = new Random(1);
        int[] codes = Numbers.Below(random, 1100, 256);
        for (int k = 2; k <= 256; k++)
        {
            int[] own = Array.ConvertAll(codes, code => code % k);
            foreach ((CodePacking packing, CodeOrder order) in s_formats)
            {
                var pack = new PackReference(k, packing, order);
                int step = order == CodeOrder.Linear ? 8 * pack.UnitDigits : pack.Steps;
                foreach (int length in Enumerable.Range(0, step + 2).Concat([1021 + (k % 64)]))
                {
                    byte[] packed = pack.Pack(own.AsSpan(0, length));
                    Assert.Equal(pack.ByteCount(length), packed.Length);
                    Assert.True(own.AsSpan(0, length).SequenceEqual(pack.Unpack(packed, length)));
                }
            }
        }
    }

    [Property(MaxTest = 60)]
    public void Planar_blocks_have_any_number_of_lanes(ushort n, byte k)
    {
        int codes = Math.Max(k, (byte)2);
        int length = n % 5000;
        int[] own = Numbers.Below(new Random(n), length, codes);
        foreach ((CodePacking packing, CodeOrder order) in s_formats)
        {
            var pack = new PackReference(codes, packing, order);
            Assert.Equal(own, pack.Unpack(pack.Pack(own), length));
        }
    }

    [Fact]
    public void Five_digits_of_base_3_are_a_byte_and_thirteen_of_base_5_a_word()
    {
        var three = new PackReference(3, CodePacking.Radix);
        Assert.Equal((1, 5), (three.UnitBytes, three.UnitDigits));
        Assert.Equal([1 + (3 * 2) + (9 * 0) + (27 * 1) + (81 * 2), 2], three.Pack([1, 2, 0, 1, 2, 2]));
        var five = new PackReference(5, CodePacking.Radix);
        Assert.Equal((4, 13), (five.UnitBytes, five.UnitDigits));
        int[] codes = [4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 3];
        byte[] packed = five.Pack(codes);
        Assert.Equal(1_220_703_124u, BitConverter.ToUInt32(packed)); // 5^13 - 1
        Assert.Equal([3, 0, 0, 0], packed[4..]);
        Assert.Equal(codes, five.Unpack(packed, 14));
    }

    [Fact]
    public void Units_are_the_densest_of_bytes_and_words()
    {
        for (int k = 2; k <= 256; k++)
        {
            var pack = new PackReference(k, CodePacking.Radix);
            double most = Math.Pow(2, 8 * pack.UnitBytes);
            Assert.True(Math.Pow(k, pack.UnitDigits) <= most && Math.Pow(k, pack.UnitDigits + 1) > most);
            double bits = 8.0 * pack.UnitBytes / pack.UnitDigits;
            Assert.True(bits <= 8 / Math.Floor(Math.Log(256.5, k)));
            Assert.True(bits <= 32 / Math.Floor(Math.Log(4294967296.5, k)));
            Assert.InRange(pack.FieldBits, Math.Log2(k), Math.Log2(k) + 1);
            Assert.Equal(bits < pack.FieldBits, PackReference.Densest(k) == CodePacking.Radix);
        }

        Assert.Equal(
            [3, 5, 6, 7, .. Enumerable.Range(9, 3), .. Enumerable.Range(17, 7), .. Enumerable.Range(33, 8),
                .. Enumerable.Range(65, 20)],
            Enumerable.Range(2, 255).Where(k => PackReference.Densest(k) == CodePacking.Radix));
    }

    [Fact]
    public void Fields_lie_in_a_stream_of_bits()
    {
        var pack = new PackReference(8, CodePacking.Fields);
        // 1, 2, 7, 0, 5 of three bits each, the first lowest: 1 + 2 8 + 7 64 + 0 + 5 4096.
        Assert.Equal([0xD1, 0x51], pack.Pack([1, 2, 7, 0, 5]));
        Assert.Equal([0x21], new PackReference(16, CodePacking.Fields).Pack([1, 2]));
        Assert.Equal([200, 3], new PackReference(256, CodePacking.Fields).Pack([200, 3]));
    }

    [Fact]
    public void Planar_fields_of_a_lane_are_the_steps_of_its_words()
    {
        // 3 bits = 2 + 1: of 1024 codes, words 0 to 63 hold the low two bits, 16 a word, words 64 to 95 the high one.
        var random = new Random(2);
        int[] codes = Numbers.Below(random, 1024 + 100, 8);
        byte[] packed = new PackReference(8, CodePacking.Fields, CodeOrder.Planar).Pack(codes);
        Assert.Equal(4 * 3 * (32 + 4), packed.Length);
        uint[] words = [.. packed.Chunk(4).Select(four => BitConverter.ToUInt32(four))];
        for (int i = 0; i < codes.Length; i++)
        {
            bool isTail = i >= 1024;
            int lanes = isTail ? 4 : 32;
            int place = i % 1024;
            uint[] block = isTail ? words[96..] : words[..96];
            int lane = place % lanes;
            int step = place / lanes;
            uint low = (block[(step / 16 * lanes) + lane] >> (step % 16 * 2)) & 3;
            uint high = (block[(2 * lanes) + lane] >> step) & 1;
            Assert.Equal(codes[i], (int)(low | (high << 2)));
        }
    }

    [Fact]
    public void Planar_digits_of_a_lane_are_those_of_a_word()
    {
        int[] codes = Numbers.Below(new Random(3), 32 * 20, 3);
        byte[] packed = new PackReference(3, CodePacking.Radix, CodeOrder.Planar).Pack(codes);
        Assert.Equal(128, packed.Length);
        Assert.Equal(codes[5 + (32 * 13)], packed[(5 * 4) + 2] / 27 % 3);
        int[] five = Numbers.Below(new Random(4), 32 * 13, 5);
        packed = new PackReference(5, CodePacking.Radix, CodeOrder.Planar).Pack(five);
        Assert.Equal(five[31 + (32 * 2)], (int)(BitConverter.ToUInt32(packed, 31 * 4) / 25 % 5));
    }

    [Theory]
    [InlineData(16, CodePacking.Fields, CodeOrder.Linear, 4096, 2048)]
    [InlineData(8, CodePacking.Fields, CodeOrder.Linear, 4097, 1537)]
    [InlineData(8, CodePacking.Fields, CodeOrder.Planar, 4096, 1536)]
    [InlineData(8, CodePacking.Fields, CodeOrder.Planar, 65, 36)]
    [InlineData(3, CodePacking.Radix, CodeOrder.Linear, 101, 21)]
    [InlineData(3, CodePacking.Radix, CodeOrder.Planar, 101, 24)]
    [InlineData(5, CodePacking.Radix, CodeOrder.Linear, 14, 8)]
    [InlineData(5, CodePacking.Radix, CodeOrder.Planar, 4096, 1264)]
    [InlineData(256, CodePacking.Radix, CodeOrder.Linear, 7, 7)]
    public void Sizes_are_exact(int k, CodePacking packing, CodeOrder order, long length, long bytes) =>
        Assert.Equal(bytes, new PackReference(k, packing, order).ByteCount(length));

    [Fact]
    public void Sizes_beyond_memory_do_not_wrap()
    {
        Assert.Equal(1L << 59, new PackReference(2, CodePacking.Fields).ByteCount(1L << 62));
        Assert.Equal(long.MaxValue, new PackReference(256, CodePacking.Fields).ByteCount(long.MaxValue));
        Assert.Throws<OverflowException>(
            () => new PackReference(256, CodePacking.Fields, CodeOrder.Planar).ByteCount(long.MaxValue));
    }

    [Fact]
    public void What_no_code_uses_must_be_0()
    {
        foreach ((CodePacking packing, CodeOrder order) in s_formats)
        {
            var pack = new PackReference(5, packing, order);
            byte[] packed = pack.Pack([1, 2, 3]);
            Assert.Equal([1, 2, 3], pack.Unpack(packed, 3));
            packed[^1] |= 0x80;
            Assert.Throws<ArgumentException>("packed", () => pack.Unpack(packed, 3));
        }

        // A byte of 243 is no five digits of base 3, and 7 no code of five.
        Assert.Throws<ArgumentException>("packed", () => new PackReference(3, CodePacking.Radix).Unpack([243], 5));
        Assert.Throws<ArgumentException>("packed", () => new PackReference(5, CodePacking.Fields).Unpack([7], 1));
        Assert.Throws<ArgumentException>("packed", () => new PackReference(5, CodePacking.Fields).Unpack([5], 1));
    }

    [Fact]
    public void Wrong_calls_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>("k", () => new PackReference(1, CodePacking.Fields));
        Assert.Throws<ArgumentOutOfRangeException>("k", () => new PackReference(257, CodePacking.Fields));
        Assert.Throws<ArgumentOutOfRangeException>("packing", () => new PackReference(2, (CodePacking)2));
        Assert.Throws<ArgumentOutOfRangeException>(
            "order", () => new PackReference(2, CodePacking.Fields, (CodeOrder)(-1)));
        var pack = new PackReference(5, CodePacking.Fields);
        Assert.Throws<ArgumentOutOfRangeException>("codes", () => pack.Pack([5]));
        Assert.Throws<ArgumentOutOfRangeException>("codes", () => pack.Pack([-1]));
        Assert.Throws<ArgumentException>("packed", () => pack.Unpack([0, 0], 1));
        Assert.Throws<ArgumentOutOfRangeException>("length", () => pack.ByteCount(-1));
    }
}
