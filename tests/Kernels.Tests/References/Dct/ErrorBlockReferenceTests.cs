using Kernels.References;
using Kernels.References.Dct;
using static Kernels.Tests.References.Dct.Matrices;

namespace Kernels.Tests.References.Dct;

public sealed class ErrorBlockReferenceTests
{
    [Fact]
    public void Halves_of_bytes_are_neighbours_and_buckets_begin_at_bytes()
    {
        var block = new ErrorBlockReference(bits: 4, bucket: 3);
        (byte[] codes, float[] minimum, float[] unit) = block.Encode([0, 1, 15, 30, 15, 0, 7, 7]);
        Assert.Equal([0x10, 0x0F, 0x8F, 0x00, 0x00], codes);
        Assert.Equal([0, 0, 7], minimum);
        Assert.Equal([1, 2, 0], unit);
        Assert.Equal([0, 1, 15, 15, 8, 0, 0, 0], Enumerable.Range(0, 8).Select(i => block.Code(codes, i)));
        // Code 8 of unit 2 is 16, for a 15 in the middle.
        Assert.Equal([0, 1, 15, 30, 16, 0, 7, 7], Values(block.Decode(codes, minimum, unit, 8)));
    }

    [Theory]
    [InlineData(8, 16)]
    [InlineData(8, 7)]
    [InlineData(4, 16)]
    [InlineData(4, 7)]
    public void An_element_returns_within_half_a_unit(int bits, int bucket)
    {
        float[] x = Gaussian(100, seed: bits + bucket);
        var block = new ErrorBlockReference(bits, bucket);
        (byte[] codes, float[] minimum, float[] unit) = block.Encode(x);
        Assert.Equal(block.ByteCount(100), codes.Length);
        Bounded[] back = block.Decode(codes, minimum, unit, 100);
        double worst = 0;
        for (int i = 0; i < x.Length; i++)
        {
            double u = unit[i / bucket];
            worst = Math.Max(worst, Math.Abs(back[i].Value - x[i]) / u);
            Assert.InRange(Math.Abs(back[i].Value - x[i]), 0, (u / 2) + (1e-7 * (1 << bits) * u));
            Assert.True(back[i].Admits((block.Code(codes, i) * unit[i / bucket]) + minimum[i / bucket]));
        }

        // Of a hundred some come near to a half.
        Assert.InRange(worst, 0.45, 0.501);
        Assert.True(block.Admits(Exact(x), codes, minimum, unit));
    }

    /// <summary>Dividing by 15 for 8 bits uses 16 of 256 codes.</summary>
    [Fact]
    public void Eight_bits_have_255_steps()
    {
        float[] x = [.. Enumerable.Range(0, 256).Select(i => (float)i)];
        var block = new ErrorBlockReference(bits: 8, bucket: 256);
        (byte[] codes, _, float[] unit) = block.Encode(x);
        Assert.Equal(Enumerable.Range(0, 256).Select(i => (byte)i), codes);
        Assert.Equal([1], unit);
        Assert.False(block.Admits(Exact(x), codes, [0], [17]));
        Assert.False(block.Admits(Exact(x), [.. codes.Select(c => (byte)(c / 17))], [0], [1]));
    }

    /// <summary>All high halves first and then all low ones is another order.</summary>
    [Fact]
    public void Four_bits_return_in_their_order()
    {
        float[] x = [.. Enumerable.Range(0, 16).Select(i => (float)i)];
        var block = new ErrorBlockReference(bits: 4, bucket: 16);
        (byte[] codes, float[] minimum, float[] unit) = block.Encode(x);
        double[] back = Values(block.Decode(codes, minimum, unit, 16));
        Assert.Equal(Wide(x), back);
        byte[] apart = [.. Enumerable.Range(0, 8).Select(i => (byte)((i << 4) | (i + 8)))];
        Assert.False(block.Admits(Exact(x), apart, minimum, unit));
    }

    [Fact]
    public void What_is_left_over_takes_whole_bytes_and_may_be_one_element()
    {
        var block = new ErrorBlockReference(bits: 4, bucket: 8);
        Assert.Equal([1, 1, 2, 2, 3, 3, 4, 4, 5], Enumerable.Range(1, 9).Select(block.ByteCount));
        (byte[] codes, float[] minimum, float[] unit) = new ErrorBlockReference(8, 3).Encode([1, 2, 256, 5]);
        Assert.Equal([0, 1, 255, 0], codes);
        Assert.Equal([1, 5], minimum);
        Assert.Equal([1, 0], unit);
    }

    [Theory]
    [InlineData(8)]
    [InlineData(4)]
    public void A_constant_bucket_has_codes_0_and_returns_itself(int bits)
    {
        var block = new ErrorBlockReference(bits, bucket: 3);
        (byte[] codes, float[] minimum, float[] unit) = block.Encode([2.5f, 2.5f, 2.5f]);
        Assert.All(codes, c => Assert.Equal(0, c));
        Assert.Equal([0], unit);
        Assert.Equal([2.5, 2.5, 2.5], Values(block.Decode(codes, minimum, unit, 3)));
        Assert.True(block.Admits([2.5, 2.5, 2.5], codes, minimum, unit));
        codes[0] = 1;
        Assert.False(block.Admits([2.5, 2.5, 2.5], codes, minimum, unit));
    }

    [Fact]
    public void Near_an_integer_both_codes_are_admitted_and_elsewhere_one()
    {
        var block = new ErrorBlockReference(bits: 8, bucket: 4);
        Assert.True(block.AdmitsCode(2.5f, 0, 1, 2) && block.AdmitsCode(2.5f, 0, 1, 3));
        Assert.True(block.AdmitsCode(2.49999f, 0, 1, 2) && block.AdmitsCode(2.49999f, 0, 1, 3));
        Assert.False(block.AdmitsCode(2.5f, 0, 1, 4) || block.AdmitsCode(2.5f, 0, 1, 1));
        Assert.False(block.AdmitsCode(2.499f, 0, 1, 3) || block.AdmitsCode(2.501f, 0, 1, 2));
        var vague = new Bounded(2.4, 0.2);
        Assert.True(block.AdmitsCode(vague, 0, 1, 2) && block.AdmitsCode(vague, 0, 1, 3));
        Assert.True(block.AdmitsCode(255.6, 0, 1, 255));
        // Four roundings of 254 are some 6e-5, one of 255 is less.
        Assert.True(block.AdmitsCode(254.49995, 0, 1, 254) && block.AdmitsCode(254.49995, 0, 1, 255));
        Assert.False(block.AdmitsCode(254.4999, 0, 1, 255));
    }

    /// <summary>Codes in binary32 by three groupings, of 20000 numbers.</summary>
    [Theory]
    [InlineData(8)]
    [InlineData(4)]
    public void Codes_made_in_binary32_are_admitted(int bits)
    {
        const int Bucket = 50;
        float[] x = Gaussian(20_000, seed: 5);
        var block = new ErrorBlockReference(bits, Bucket);
        for (int grouping = 0; grouping < 3; grouping++)
        {
            var minimum = new float[400];
            var unit = new float[400];
            for (int i = 0; i < x.Length; i++)
            {
                int bucket = i / Bucket;
                if (i % Bucket == 0)
                {
                    minimum[bucket] = x.Skip(i).Take(Bucket).Min();
                    unit[bucket] = (x.Skip(i).Take(Bucket).Max() - minimum[bucket]) * (1f / block.MaxCode);
                }

                float above = x[i] - minimum[bucket];
                float steps = grouping switch
                {
                    0 => above / unit[bucket],
                    1 => above * (1 / unit[bucket]),
                    _ => above * (block.MaxCode / (x.Skip(bucket * Bucket).Take(Bucket).Max() - minimum[bucket])),
                };
                int code = Math.Clamp((int)MathF.Floor(steps + 0.5f), 0, block.MaxCode);
                Assert.True(block.AdmitsCode(x[i], minimum[bucket], unit[bucket], code), $"{grouping} {i}");
            }
        }
    }

    [Fact]
    public void Scales_of_another_range_are_refused_and_bounds_allow_theirs()
    {
        var block = new ErrorBlockReference(bits: 4, bucket: 2);
        Assert.True(block.Admits([1, 16], [0xF0], [1], [1]));
        Assert.False(block.Admits([1, 16], [0xF0], [1], [1.00001f]));
        Assert.False(block.Admits([1, 16], [0xF0], [0.99999f], [1]));
        Assert.True(block.Admits([new(1, 0.01), new(16, 0.01)], [0xF0], [0.995f], [1.001f]));
        Assert.False(block.Admits([new(1, 0.01), new(16, 0.01)], [0xF0], [0.98f], [1]));
        // A half left over.
        Assert.True(block.Admits([1, 16, 3], [0xF0, 0], [1, 3], [1, 0]));
        Assert.False(block.Admits([1, 16, 3], [0xF0, 0x10], [1, 3], [1, 0]));
        // Outside the domain.
        Assert.True(block.Admits([1, double.NaN], [0x12], [float.NaN], [float.NaN]));
    }

    /// <summary>A unit within four roundings of the range, and one least number.</summary>
    [Fact]
    public void A_unit_has_four_roundings_and_no_more()
    {
        const float U = (float)Bounded.UnitRoundoff;
        var block = new ErrorBlockReference(bits: 4, bucket: 2);
        Assert.True(Admits(15, 1 - (4 * U)) && Admits(15, 1 + (4 * U)));
        Assert.False(Admits(15, 1 - (5 * U)) || Admits(15, 1 + (6 * U)));
        Assert.True(Admits(15 * float.Epsilon, 0) && Admits(15 * float.Epsilon, 2 * float.Epsilon));
        Assert.False(Admits(15 * float.Epsilon, 3 * float.Epsilon) || Admits(30 * float.Epsilon, 0));
        Assert.False(block.Admits([new(1, 1), new(1, 1)], [0], [2], [-float.Epsilon]));
        Assert.True(block.Admits([2.5, 2.5], [0], [2.5f], [float.Epsilon]));
        Assert.False(block.Admits([2.5, 2.5], [0], [2.5f], [2 * float.Epsilon]));
        // With bounds: from 1 to 14 numbers above the least.
        Assert.True(block.Admits([new(0, 0), new(7.5, 6.5)], [0xF0], [0], [1 / 15f]));
        Assert.True(block.Admits([new(0, 0), new(7.5, 6.5)], [0xF0], [0], [14 / 15f]));
        Assert.False(block.Admits([new(0, 0), new(7.5, 6.5)], [0xF0], [0], [0.066f]));
        Assert.False(block.Admits([new(0, 0), new(7.5, 6.5)], [0xF0], [0], [0.934f]));
        Assert.True(block.Admits([new(0, 1), new(15, 0)], [0xF0], [1], [14 / 15f]));
        Assert.True(block.Admits([new(0, 1), new(15, 0)], [0xF0], [-1], [16 / 15f]));
        Assert.False(block.Admits([new(0, 1), new(15, 0)], [0xF0], [2], [13 / 15f]));
        Assert.False(block.Admits([new(0, 1), new(15, 0)], [0xF0], [-1.001f], [16 / 15f]));

        bool Admits(float most, float unit) => block.Admits([0, most], [0xF0], [0], [unit])
            | block.Admits([0, most], [0x00], [0], [unit]) | block.Admits([0, most], [0x70], [0], [unit]);
    }

    /// <summary>The ends of what roundings allow: of the steps, of their bound, and of the sum with a half.</summary>
    [Fact]
    public void A_code_has_four_roundings_of_its_steps_and_one_of_the_largest()
    {
        var block = new ErrorBlockReference(bits: 8, bucket: 4);
        double gamma = Bounded.Gamma(4);
        double sum = 256 * Bounded.UnitRoundoff;
        double up = (254.5 - sum) / (1 + gamma);
        double down = (3.5 + sum) / (1 - gamma);
        AssertEnd(code: 255, inside: up + 1e-9, outside: up - 1e-9, bound: 0);
        AssertEnd(code: 3, inside: down - 1e-9, outside: down + 1e-9, bound: 0);
        // 0 plus or minus this.
        Assert.True(block.AdmitsCode(new(0, up + 1e-9), 0, 1, 255));
        Assert.False(block.AdmitsCode(new(0, up - 1e-9), 0, 1, 255));
        double near = 100 - (3.5 + sum + (gamma * 100));
        near /= 1 + gamma;
        AssertEnd(code: 3, inside: 100, outside: 100, bound: near, step: 1e-9);

        void AssertEnd(int code, double inside, double outside, double bound, double step = 0)
        {
            Assert.True(block.AdmitsCode(new(inside, bound + step), 0, 1, code));
            Assert.False(block.AdmitsCode(new(outside, bound - step), 0, 1, code));
        }
    }

    [Theory]
    [InlineData(0, 15, 0)]
    [InlineData(-20, 10, 0)]
    [InlineData(-20, 10, 1.5)]
    [InlineData(0, 15 * float.Epsilon, 0)]
    public void What_is_stored_is_off_by_half_a_unit_and_its_roundings(double least, double most, double bound)
    {
        var block = new ErrorBlockReference(bits: 4, bucket: 2);
        Bounded[] stored = block.Stored([new(most, bound), new(least, bound), new(7, 0.25)]);
        double gamma = Bounded.Gamma(4);
        double unit = ((most - least + (2 * bound)) / 15 * (1 + gamma)) + Bounded.LeastSubnormal;
        double size = Math.Max(Math.Abs(least - bound), most + bound) + unit;
        double off = (unit * (0.5 + (15 * ((2 * gamma) + (3 * Bounded.UnitRoundoff)))))
            + (2 * Bounded.UnitRoundoff * size) + (32 * Bounded.LeastSubnormal);
        Assert.Equal((most, least), (stored[0].Value, stored[1].Value));
        Assert.All(stored[..2], v => Assert.InRange(v.Bound, (bound + off) * (1 - 1e-12), (bound + off) * (1 + 1e-12)));
        // The next bucket has a unit of its own.
        Assert.InRange(stored[2].Bound, 0.26, 0.3);
    }

    [Fact]
    public void A_bucket_is_in_the_domain_up_to_half_the_largest_number()
    {
        const float Half = float.MaxValue / 2;
        var block = new ErrorBlockReference(bits: 8, bucket: 2);
        Assert.All(block.Stored([Half, -Half]), v => Assert.True(v.IsInDomain));
        Assert.All(block.Stored([0, -MathF.BitIncrement(Half)]), v => Assert.False(v.IsInDomain));
        Assert.All(block.Stored([new(0, Half), 1]), v => Assert.True(v.IsInDomain));
        Assert.All(block.Stored([new(Half, 1e25), 1]), v => Assert.False(v.IsInDomain));
        Assert.All(block.Stored([1, double.NaN, 1]).Take(2), v => Assert.False(v.IsInDomain));
        Assert.True(block.Stored([1, double.NaN, 1])[2].IsInDomain);
    }

    [Fact]
    public void Formats_and_lengths_that_do_not_fit_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new ErrorBlockReference(5, 4));
        Assert.Throws<ArgumentOutOfRangeException>(() => new ErrorBlockReference(8, 0));
        var block = new ErrorBlockReference(4, 3);
        Assert.Throws<ArgumentException>(() => block.Decode(new byte[2], new float[2], new float[2], 5));
        Assert.Throws<ArgumentException>(() => block.Decode(new byte[3], new float[1], new float[2], 5));
        Assert.Throws<ArgumentException>(() => block.Admits(new Bounded[5], new byte[3], new float[2], new float[1]));
        Assert.Throws<ArgumentOutOfRangeException>(() => block.Decode([], [], [], -1));
    }
}
