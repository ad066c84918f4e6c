using Kernels.References;
using Kernels.References.Optimizers;

namespace Kernels.Tests.References;

public class NumberReferenceTests
{
    // The known-answer vectors of Random123 for philox4x32 with 10 rounds.
    [Theory]
    [InlineData(
        new uint[] { 0, 0, 0, 0 },
        new uint[] { 0, 0 },
        new uint[] { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 })]
    [InlineData(
        new uint[] { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
        new uint[] { 0xffffffff, 0xffffffff },
        new uint[] { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd })]
    [InlineData(
        new uint[] { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
        new uint[] { 0xa4093822, 0x299f31d0 },
        new uint[] { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 })]
    public void Philox_gives_the_known_answers(uint[] counter, uint[] key, uint[] expected) =>
        Assert.Equal(expected, PhiloxReference.Block(counter, key));

    [Fact]
    public void A_block_of_random_numbers_rounds_eight_positions()
    {
        // The first known answer, the low half of each word first.
        ushort[] bits = [0xe8d5, 0x6627, 0xc58d, 0xe169, 0xac4c, 0xbc57, 0xdbd8, 0x9b00];
        Assert.Equal(bits, Enumerable.Range(0, 8).Select(i => PhiloxReference.RoundingBits((ulong)i, 0, 0)));

        const ulong Seed = 0xFEDC_BA98_7654_3210;
        const ulong Block = 0x0612_3456_789A_BCDE;
        uint[] words = PhiloxReference.Block([0x789A_BCDE, 0x0612_3456, 77, 0], [0x7654_3210, 0xFEDC_BA98]);
        for (uint i = 0; i < 8; i++)
        {
            uint half = words[i / 2] >> (i % 2 == 0 ? 0 : 16);
            Assert.Equal((ushort)half, PhiloxReference.RoundingBits((8 * Block) + i, 77, Seed));
        }

        Assert.Throws<ArgumentException>("counter", () => PhiloxReference.Block([1, 2, 3], [1, 2]));
        Assert.Throws<ArgumentException>("key", () => PhiloxReference.Block([1, 2, 3, 4], [1]));
    }

    [Fact]
    public void Binary16_is_that_of_the_runtime()
    {
        foreach (float value in Floats())
        {
            Assert.Equal(BitConverter.HalfToUInt16Bits((Half)value), NarrowingReference.ToFloat16(value));
        }
    }

    [Fact]
    public void Bfloat16_is_the_nearer_neighbour_and_even_in_a_tie()
    {
        foreach (float value in Floats())
        {
            // Half of the dropped part, less one for an even rest, carries into the kept bits.
            uint bits = BitConverter.SingleToUInt32Bits(value);
            uint expected = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
            Assert.Equal((ushort)expected, NarrowingReference.ToBFloat16(value));
        }
    }

    [Fact]
    public void Stochastic_bfloat16_adds_the_random_bits_to_the_dropped_ones()
    {
        var random = new Random(1);
        foreach (float value in Floats())
        {
            ushort noise = (ushort)random.Next(65536);
            uint expected = (BitConverter.SingleToUInt32Bits(value) + noise) >> 16;
            Assert.Equal((ushort)expected, NarrowingReference.ToBFloat16(value, noise));
        }
    }

    [Fact]
    public void Stochastic_rounding_without_noise_cuts_off_and_keeps_what_fits()
    {
        Assert.Equal(1f, NarrowingReference.FromBFloat16(NarrowingReference.ToBFloat16(1.0078f, 0)));
        Assert.Equal(1f, NarrowingReference.FromBFloat16(NarrowingReference.ToBFloat16(1f, 65535)));
        Assert.Equal(-2f, NarrowingReference.FromFloat16(NarrowingReference.ToFloat16(-2f, 65535)));
        Assert.Equal(0, NarrowingReference.ToFloat16(1e-20f, 0));
    }

    [Fact]
    public void Stochastic_rounding_goes_up_as_often_as_the_fraction_says()
    {
        // A quarter of the way between two neighbours, in both formats and among the subnormal binary16.
        int Ups(Func<ushort, ushort> narrow, ushort up) =>
            Enumerable.Range(0, 65536).Count(noise => narrow((ushort)noise) == up);

        Assert.Equal(16384, Ups(x => NarrowingReference.ToBFloat16(1 + (1 / 512f), x), 0x3F81));
        Assert.Equal(16384, Ups(x => NarrowingReference.ToFloat16(1 + (1 / 4096f), x), 0x3C01));
        Assert.Equal(16384, Ups(x => NarrowingReference.ToFloat16(1.25f * MathF.ScaleB(1, -24), x), 2));
    }

    [Fact]
    public void Widening_undoes_narrowing()
    {
        for (int bits = 0; bits < 65536; bits++)
        {
            float wide = NarrowingReference.FromBFloat16((ushort)bits);
            if (!float.IsNaN(wide))
            {
                Assert.Equal(bits, NarrowingReference.ToBFloat16(wide));
            }

            wide = NarrowingReference.FromFloat16((ushort)bits);
            if (!float.IsNaN(wide))
            {
                Assert.Equal(bits, NarrowingReference.ToFloat16(wide));
            }
        }
    }

    [Fact]
    public void Stored_numbers_stay_within_the_bound()
    {
        var random = new Random(3);
        foreach (float value in Floats().Where(float.IsFinite))
        {
            ushort noise = (ushort)random.Next(65536);
            // A number computed with an error of at most a thousandth.
            var computed = new Bounded(value * (1 + (1e-3 * random.NextDouble())), Math.Abs(value) * 1e-3);
            Assert.True(NarrowingReference.StoredAsBFloat16(computed).Admits(
                NarrowingReference.FromBFloat16(NarrowingReference.ToBFloat16(value))));
            Assert.True(NarrowingReference.StoredAsBFloat16(computed, stochastic: true).Admits(
                NarrowingReference.FromBFloat16(NarrowingReference.ToBFloat16(value, noise))));
            Assert.True(NarrowingReference.StoredAsFloat16(computed).Admits(
                NarrowingReference.FromFloat16(NarrowingReference.ToFloat16(value))));
            Assert.True(NarrowingReference.StoredAsFloat16(computed, stochastic: true).Admits(
                NarrowingReference.FromFloat16(NarrowingReference.ToFloat16(value, noise))));
        }

        Assert.Equal(1 / 256.0, NarrowingReference.StoredAsBFloat16((Bounded)1).Bound);
        Assert.Equal(1 / 1024.0, NarrowingReference.StoredAsFloat16((Bounded)1, stochastic: true).Bound);
        Assert.False(NarrowingReference.StoredAsFloat16((Bounded)65510).IsInDomain);
    }

    [Fact]
    public void Narrowing_keeps_nan()
    {
        Assert.True(float.IsNaN(NarrowingReference.FromBFloat16(NarrowingReference.ToBFloat16(float.NaN))));
        Assert.True(float.IsNaN(NarrowingReference.FromBFloat16(NarrowingReference.ToBFloat16(float.NaN, 65535))));
        Assert.True(float.IsNaN(NarrowingReference.FromFloat16(NarrowingReference.ToFloat16(float.NaN, 65535))));
    }

    [Theory]
    [InlineData(0x7FC12345u, 0x7FC0, 0x7E00)]
    [InlineData(0xFF812345u, 0xFFC0, 0xFE00)]
    public void Every_nan_becomes_the_quiet_one_of_its_sign(uint nan, int bfloat16, int float16)
    {
        float value = BitConverter.UInt32BitsToSingle(nan);
        Assert.Equal((bfloat16, float16), (NarrowingReference.ToBFloat16(value), NarrowingReference.ToFloat16(value)));
        Assert.Equal(
            (bfloat16, float16), (NarrowingReference.ToBFloat16(value, 3), NarrowingReference.ToFloat16(value, 3)));
    }

    [Fact]
    public void What_is_stored_has_the_spacing_of_its_far_end_until_it_overflows()
    {
        Assert.Equal(new Bounded(0, 0), NarrowingReference.StoredAsFloat16(0));
        Assert.Equal(1 + Math.ScaleB(1, -11), NarrowingReference.StoredAsFloat16(new Bounded(0, 1)).Bound);
        Assert.Equal(1.5 + Math.ScaleB(1, -10), NarrowingReference.StoredAsFloat16(new Bounded(-1, 1.5)).Bound);
        Assert.Equal(Math.ScaleB(1, -25), NarrowingReference.StoredAsFloat16(1e-9).Bound);
        Assert.Equal(Math.ScaleB(1, -133), NarrowingReference.StoredAsBFloat16(1e-44, stochastic: true).Bound);
        Assert.Equal(new Bounded(65504, 16), NarrowingReference.StoredAsFloat16(65504));
        Assert.False(NarrowingReference.StoredAsFloat16(new Bounded(65504, 1e-9)).IsInDomain);
        Assert.Equal(Math.ScaleB(1, 119), NarrowingReference.StoredAsBFloat16(Math.ScaleB(255, 120)).Bound);
        Assert.False(NarrowingReference.StoredAsBFloat16(Math.ScaleB(255.01, 120)).IsInDomain);
        Assert.True(double.IsNaN(NarrowingReference.StoredAsFloat16(double.NaN).Bound));
        Assert.Equal(
            new Bounded(1, double.PositiveInfinity),
            NarrowingReference.StoredAsBFloat16(new Bounded(1, double.PositiveInfinity)));
    }

    [Fact]
    public void Norms_in_binary32_stay_within_the_bound()
    {
        var random = new Random(2);
        for (int i = 0; i < 2000; i++)
        {
            float[] values = [.. Enumerable.Range(0, random.Next(1, 100)).Select(_ => random.NextSingle() - 0.5f)];
            float sum = 0;
            float largest = values.Max(Math.Abs);
            float scaledSum = 0;
            foreach (float value in values)
            {
                sum += value * value;
                scaledSum += value / largest * (value / largest);
            }

            Bounded norm = GradientNormReference.Norm(Array.ConvertAll(values, x => Bounded.FromDouble(x)));
            Assert.True(norm.Admits(MathF.Sqrt(sum)));
            Assert.True(GradientNormReference.ScaledNorm(values).Admits(MathF.Sqrt(scaledSum) * largest));
            Assert.InRange(norm.Bound, 0, (2 + values.Length) * Bounded.UnitRoundoff * norm.Value);
        }
    }

    [Fact]
    public void A_scaled_norm_neither_overflows_nor_underflows()
    {
        Assert.Equal(5e30, GradientNormReference.ScaledNorm([3e30f, 4e30f]).Value, 1e24);
        Assert.True(GradientNormReference.ScaledNorm([3e-30f, 4e-30f]).Admits(5e-30f));
        Assert.False(GradientNormReference.Norm([3e30, 4e30]).IsInDomain);
    }

    [Fact]
    public void The_bound_of_a_scaled_norm_counts_its_roundings()
    {
        // One addition and five roundings of each square, halved by the root; two more; what is left of squares that
        // underflow; binary64 for each value.
        static double Relative(int roundings, int values)
        {
            double gamma = Bounded.Gamma(roundings);
            double halved = gamma / (1 + Math.Sqrt(1 - gamma));
            return halved + (Bounded.Gamma(2) * (1 + halved)) + Math.Pow(2, -51) + (values * 1e-15);
        }

        Bounded norm = GradientNormReference.ScaledNorm([3, 4]);
        Assert.Equal(5, norm.Value);
        Assert.Equal(5 * Relative(6, 2), norm.Bound, 1e-18);
        Assert.Equal(7 * Relative(5, 1), GradientNormReference.ScaledNorm([7]).Bound, 1e-18);
        Assert.Equal(5 * Relative(16, 2), GradientNormReference.ScaledNorm([3, 4], depth: 11).Bound, 1e-18);
        Assert.Equal(new Bounded(0, Bounded.LeastSubnormal), GradientNormReference.ScaledNorm([0, 0]));
        // Where the sum may be 0, so may be the norm.
        Assert.InRange(GradientNormReference.ScaledNorm([3, 4], depth: 1 << 23).Bound, 5, 6);
        Assert.False(GradientNormReference.ScaledNorm([3, 4], depth: 1 << 24).IsInDomain);
        Assert.False(GradientNormReference.ScaledNorm([float.MaxValue]).IsInDomain);
    }

    [Fact]
    public void Clipping_scales_down_only()
    {
        Assert.Equal(new Bounded(1, 0), GradientNormReference.ClipCoefficient(0.5, 1));
        Assert.Equal(0.5 / (1 + 0.5e-6), GradientNormReference.ClipCoefficient(2, 1).Value, 1e-12);
        Assert.False(GradientNormReference.ClipCoefficient(double.NaN, 1).Admits(1));
        Assert.Equal(0, GradientNormReference.ClipCoefficient(2, 0).Value);
    }

    [Fact]
    public void Averages_of_equal_numbers_are_those_numbers()
    {
        Assert.Equal(3, AveragingReference.Exponential(3, 3, 0.9).Value);
        Assert.True(AveragingReference.Exponential(3, 3, 0.9).Admits(3));
        Assert.Equal(0, AveragingReference.Exponential(3, 3, 0.9).Bound, 3 * Bounded.UnitRoundoff);
        Assert.Equal(3, AveragingReference.Stochastic(3, 3, 7).Value);
    }

    [Theory]
    [InlineData(1.0, 3)]
    [InlineData(0.75, 4)]
    [InlineData(0.25, 6)]
    [InlineData(0.0, 7)]
    public void A_moving_average_keeps_its_share(double decay, double expected) =>
        Assert.Equal(expected, AveragingReference.Exponential(3, 7, decay).Value);

    [Fact]
    public void A_share_is_from_0_to_1_and_a_count_not_negative()
    {
        Assert.Throws<ArgumentOutOfRangeException>("decay", () => AveragingReference.Exponential(3, 7, -0.1));
        Assert.Throws<ArgumentOutOfRangeException>("decay", () => AveragingReference.Exponential(3, 7, 1.1));
        Assert.Throws<ArgumentOutOfRangeException>("decay", () => AveragingReference.Exponential(3, 7, double.NaN));
        Assert.Throws<ArgumentOutOfRangeException>("count", () => AveragingReference.Stochastic(3, 7, -1));
    }

    [Fact]
    public void Stochastic_weight_averaging_is_the_mean()
    {
        double[] p = [1, 5, -2, 7, 0.5];
        Bounded average = 0;
        for (int i = 0; i < p.Length; i++)
        {
            average = AveragingReference.Stochastic(average, p[i], i);
        }

        Assert.Equal(p.Average(), average.Value, 1e-14);
        Assert.InRange(average.Bound, 0, 40 * Bounded.UnitRoundoff);
    }

    // Finite numbers and infinities of all sizes, with ties and the ends of both narrow formats.
    private static IEnumerable<float> Floats()
    {
        float[] edges =
        [
            0, 1, 65504, 65519.996f, 65520, 65536, 6.1035156e-5f, 5.9604645e-8f, 2.9802322e-8f, 2.9802326e-8f,
            float.Epsilon, float.MaxValue, float.PositiveInfinity, 1.00390625f, 1.01171875f, 3.3895314e38f, 3.396e38f,
        ];
        foreach (float edge in edges)
        {
            yield return edge;
            yield return -edge;
        }

        var random = new Random(7);
        for (int i = 0; i < 200_000; i++)
        {
            uint bits = (uint)random.NextInt64(1L << 32);
            // Every fourth number has a tie's low bits, in one format or the other.
            bits = (i % 8) switch
            {
                0 => (bits & 0xFFFF0000) | 0x8000,
                4 => (bits & 0xFFFFE000) | 0x1000,
                _ => bits,
            };
            float value = BitConverter.UInt32BitsToSingle(bits);
            if (!float.IsNaN(value))
            {
                yield return value;
            }
        }
    }
}
