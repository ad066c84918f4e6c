using FsCheck.Xunit;
using Kernels.References;
using Kernels.References.Quantization;
using Kernels.Tests.Support;
using static Kernels.Tests.References.Quantization.Numbers;

namespace Kernels.Tests.References.Quantization;

/// <summary>Codebooks that are built in, block scales, and scales of scales.</summary>
public sealed class BlockReferenceTests
{
    [Fact]
    public void NF4_is_the_published_one_and_its_middles_are_those_of_bitsandbytes()
    {
        float[] nf4 = [.. CodebooksReference.Nf4];
        Assert.Equal(16, nf4.Length);
        Assert.Equal((-1f, 0f, 1f), (nf4[0], nf4[7], nf4[15]));
        float[] middles =
        [
            -0.8480964004993439f, -0.6106329262256622f, -0.4599952697753906f, -0.33967943489551544f,
            -0.23460740596055984f, -0.13791173323988914f, -0.045525018125772476f, 0.03979014977812767f,
            0.1202552504837513f, 0.2035212516784668f, 0.2920137718319893f, 0.3893125355243683f, 0.5016634166240692f,
            0.6427869200706482f, 0.8614784181118011f,
        ];
        var assign = new AssignReference(nf4);
        for (int j = 0; j < middles.Length; j++)
        {
            Assert.Equal(middles[j], (nf4[j] + nf4[j + 1]) / 2, 1e-7f);
            Assert.Equal(j, assign.Nearest(middles[j] - 1e-6f, 1));
            Assert.Equal(j + 1, assign.Nearest(middles[j] + 1e-6f, 1));
        }

        // Eight positive quantiles and seven negative ones of equal steps of probability, from 0.9677083 to a half.
        for (int j = 0; j < 8; j++)
        {
            double p = 0.5 + ((0.9677083 - 0.5) * (j + 1) / 8);
            Assert.Equal(Normal(nf4[8 + j] * Quantile(0.9677083)), p, 1e-6);
        }

        for (int j = 0; j < 7; j++)
        {
            double p = 0.5 + ((0.9677083 - 0.5) * (7 - j) / 7);
            Assert.Equal(Normal(-nf4[j] * Quantile(0.9677083)), p, 1e-6);
        }

        static double Quantile(double p)
        {
            double low = 0;
            double high = 4;
            while (high - low > 1e-13)
            {
                double middle = (low + high) / 2;
                (low, high) = Normal(middle) < p ? (middle, high) : (low, middle);
            }

            return low;
        }

        // By the series of Phi.
        static double Normal(double x)
        {
            double term = x;
            double sum = x;
            for (int n = 1; n < 60; n++)
            {
                term *= x * x / ((2 * n) + 1);
                sum += term;
            }

            return 0.5 + (sum * Math.Exp(-x * x / 2) / Math.Sqrt(2 * Math.PI));
        }
    }

    [Fact]
    public void FP4_is_a_float_of_two_bits_of_exponent_and_one_of_fraction()
    {
        float[] numbers = [.. CodebooksReference.Fp4];
        Assert.Equal(numbers.Order(), numbers);
        Assert.Equal([3, 2, 5, 4, 7, 6, 1, 0], CodebooksReference.Fp4Patterns.Skip(8).Reverse().Select(p => p & 7));
        for (int code = 0; code < 16; code++)
        {
            int pattern = CodebooksReference.Fp4Patterns[code];
            int exponent = (pattern >> 1) & 3;
            double fraction = (pattern & 1) / 2.0;
            // Larger exponents are lesser numbers.
            double value = exponent == 0 ? fraction / 8 : Math.Pow(2, 4 - exponent) * (1 + fraction);
            Assert.Equal((pattern < 8 ? 1 : -1) * value / 12, numbers[code], 1e-7);
        }

        var assign = new AssignReference(numbers);
        Assert.Equal((7, 7, 7), (assign.Nearest(0, 1), assign.Nearest(-0f, 1), assign.Nearest(0.002f, 1)));
        Assert.False(float.IsNegative(numbers[7]));
        Assert.Equal((9, 6), (assign.Nearest(0.003f, 1), assign.Nearest(-0.003f, 1)));
    }

    [Fact]
    public void The_uniform_grid_is_symmetric_and_ends_at_1()
    {
        for (int k = 2; k <= 256; k++)
        {
            float[] grid = CodebooksReference.Uniform(k);
            Assert.Equal((-1f, 1f, k), (grid[0], grid[^1], grid.Length));
            Assert.All(Enumerable.Range(0, k), j => Assert.Equal(-grid[j], grid[k - 1 - j]));
            Assert.All(Enumerable.Range(1, k - 1), j => Assert.Equal(2.0 / (k - 1), grid[j] - grid[j - 1], 1e-6));
        }
    }

    [Fact]
    public void Quantiles_part_the_numbers_into_equal_shares()
    {
        Assert.Equal([7.5, 22.5], Values(CodebooksReference.Quantiles([30, 0, 20, 10], 2)));
        Assert.Equal([5, 5, 5], Values(CodebooksReference.Quantiles([5], 3)));
        var random = new Random(1);
        float[] w = Gaussian(random, 5001);
        Bounded[] codes = CodebooksReference.Quantiles(w, 5);
        Assert.All(Enumerable.Range(0, 5), j => Assert.Equal((5000 * ((2 * j) + 1)) / 10.0,
            w.Count(v => v < codes[j].Value), 1.0));
        float[] sorted = [.. w.Order()];
        Bounded[] seven = CodebooksReference.Quantiles(w, 7);
        float[] lines = [.. Enumerable.Range(0, 7).Select(j => At(5000 * ((2 * j) + 1), 14, isShort: true))];
        AssertAdmits(seven, lines);
        AssertAdmits(seven, [.. Enumerable.Range(0, 7).Select(j => At(5000 * ((2 * j) + 1), 14, isShort: false))]);
        Assert.All(seven, v => Assert.InRange(v.Bound, 0, 1e-6));

        float At(int numerator, int denominator, bool isShort)
        {
            float low = sorted[numerator / denominator];
            float high = sorted[(numerator / denominator) + 1];
            float f = numerator % denominator / (float)denominator;
            return isShort ? low + (f * (high - low)) : ((1 - f) * low) + (f * high);
        }
    }

    [Fact]
    public void A_block_has_its_largest_magnitude_and_zeros_the_code_of_0()
    {
        float[] w = [1, -3, 2, 0, 0, -0f, 1e-40f, 0, -1e-42f, float.NaN, float.NegativeInfinity, -4, 5];
        float[] scales = BlockAbsMaxReference.Scales(w, 3);
        Assert.Equal([3, 0, 1.1754943508222875e-38f, 4, 5], scales);
        Assert.Equal([4, 7], BlockAbsMaxReference.Scales([-4, 1, 7], 2));
        var shape = new CodebookShape(1, 13, 16, 1, null, QuantizationScope.Blocks(3, 13));
        float[] nf4 = [.. CodebooksReference.Nf4];
        int[] index = AssignReference.Assign(shape, w, nf4, scales);
        Assert.Equal([11, 0, 14, 7, 7, 7, 7, 7, 7, 0, 0, 0, 15], index);
        Bounded[] back = DequantizeReference.Evaluate(shape, index, nf4, scales);
        Assert.Equal(0, BitConverter.DoubleToInt64Bits(back[4].Value)); // not -0
        Assert.Equal((-4, 5), (back[11].Value, back[12].Value));
    }

    [Property(MaxTest = 30)]
    public void A_weight_returns_within_half_the_gap(int seed)
    {
        var random = new Random(seed);
        float[] w = Gaussian(random, 200, Math.Pow(10, random.Next(-30, 30)));
        float[] scales = BlockAbsMaxReference.Scales(w, 64);
        var shape = new CodebookShape(1, 200, 16, 1, null, QuantizationScope.Blocks(64, 200));
        float[] nf4 = [.. CodebooksReference.Nf4];
        int[] index = AssignReference.Assign(shape, w, nf4, scales);
        Bounded[] back = DequantizeReference.Evaluate(shape, index, nf4, scales);
        for (int i = 0; i < w.Length; i++)
        {
            Assert.InRange(Math.Abs(back[i].Value - w[i]) / scales[i / 64], 0, 0.16); // (1 - 0.696) / 2
        }

        // The code of a binary32 kernel, once with the reciprocal as in bitsandbytes.
        int[] found = [.. w.Select((v, i) => Enumerable.Range(0, 15).Count(
            j => v * (1 / scales[i / 64]) > (nf4[j] + nf4[j + 1]) / 2))];
        Assert.Equal(-1, AssignReference.FirstWrong(shape, w, nf4, scales, found));
    }

    [Fact]
    public void Scales_return_from_8_bits()
    {
        var random = new Random(2);
        float[] scales = [.. Gaussian(random, 700).Select(v => 2 + (0.3f * v))];
        (byte[] codes, float[] blockScales, float offset) = DoubleQuantizationReference.Encode(scales);
        Assert.Equal((700, 3), (codes.Length, blockScales.Length));
        Assert.True(DoubleQuantizationReference.Admits(scales, codes, blockScales, offset));
        Bounded[] back = DoubleQuantizationReference.Decode(codes, blockScales, offset);
        for (int i = 0; i < 700; i++)
        {
            // Half of the largest gap of the map, 0.9 / 64.
            Assert.InRange(Math.Abs(back[i].Value - scales[i]), 0, 0.0075 * blockScales[i / 256]);
        }

        // As a binary32 kernel does it, offset in another order.
        float mean = FloatSum.Tree(scales) * (1f / 700);
        float[] rest = Array.ConvertAll(scales, v => v - mean);
        float[] most = [.. rest.Chunk(256).Select(block => block.Max(Math.Abs))];
        float[] map = [.. Kernels.References.Optimizers.EightBitAdamReference.Numbers(true).Select(v => (float)v)];
        byte[] own = [.. rest.Select((v, i) => (byte)Enumerable.Range(0, 255).Count(
            j => v * (1 / most[i / 256]) > (map[j] + map[j + 1]) / 2))];
        Assert.True(DoubleQuantizationReference.Admits(scales, own, most, mean));
        AssertAdmits(
            DoubleQuantizationReference.Decode(own, most, mean),
            [.. own.Select((code, i) => (map[code] * most[i / 256]) + mean)]);

        Assert.False(DoubleQuantizationReference.Admits(scales, own, most, mean + 0.01f));
        foreach (int wrong in new[] { 0, 300, 699 })
        {
            own[wrong] ^= 1;
            Assert.False(DoubleQuantizationReference.Admits(scales, own, most, mean));
            own[wrong] ^= 1;
        }
    }

    [Fact]
    public void The_mean_of_scales_may_be_a_product_with_a_reciprocal()
    {
        Bounded mean = DoubleQuantizationReference.Offset([1, 2, 4]);
        Assert.Equal(7 / 3.0, mean.Value);
        // Two additions, a reciprocal and a product.
        double bound = 4 * Bounded.UnitRoundoff * 7 / 3;
        Assert.InRange(mean.Bound, bound, 1.0001 * bound);
    }

    [Fact]
    public void Zeros_among_scales_return_as_something_small_and_the_weights_as_0()
    {
        float[] w = [.. new float[64], .. Gaussian(new Random(3), 640)];
        float[] scales = BlockAbsMaxReference.Scales(w, 64);
        var shape = new CodebookShape(1, w.Length, 16, 1, null, QuantizationScope.Blocks(64, w.Length));
        float[] nf4 = [.. CodebooksReference.Nf4];
        int[] index = AssignReference.Assign(shape, w, nf4, scales);
        (byte[] codes, float[] blockScales, float offset) = DoubleQuantizationReference.Encode(scales);
        float[] back = [.. DoubleQuantizationReference.Decode(codes, blockScales, offset).Select(v => (float)v.Value)];
        Bounded[] weights = DequantizeReference.Evaluate(shape, index, nf4, back);
        Assert.All(weights[..64], v => Assert.Equal(new Bounded(0, 0), v));
    }

    [Fact]
    public void Equal_scales_and_none_at_all_are_codes_of_0()
    {
        (byte[] codes, float[] blockScales, float offset) = DoubleQuantizationReference.Encode([3, 3, 3]);
        Assert.Equal((0f, 3f), (blockScales[0], offset));
        Assert.Equal([3, 3, 3], Values(DoubleQuantizationReference.Decode(codes, blockScales, offset)));
        Assert.True(DoubleQuantizationReference.Admits([3, 3, 3], codes, blockScales, offset));
        (codes, blockScales, offset) = DoubleQuantizationReference.Encode([]);
        Assert.Equal((0, 0, 0f), (codes.Length, blockScales.Length, offset));
        Assert.Throws<ArgumentException>("blockScales", () => DoubleQuantizationReference.Decode([1], [], 0));
        Assert.Throws<ArgumentException>("w", () => CodebooksReference.Quantiles([], 2));
        Assert.Throws<ArgumentOutOfRangeException>("k", () => CodebooksReference.Uniform(1));
        Assert.Throws<ArgumentOutOfRangeException>("block", () => BlockAbsMaxReference.Scales([1], 0));
    }
}
