using Kernels.Quantization;
using Kernels.References;
using Kernels.References.Quantization;
using Kernels.Tests.Support;

namespace Kernels.Tests.Quantization;

public sealed class CodebooksProperties
{
    [Fact]
    public void Built_in_numbers_are_those_of_the_oracle_to_the_bit()
    {
        Assert.Equal(Bits([.. CodebooksReference.Nf4]), Bits(Codebooks.Nf4.ToArray()));
        Assert.Equal(Bits([.. CodebooksReference.Fp4]), Bits(Codebooks.Fp4.ToArray()));
        for (int k = 2; k <= 256; k++)
        {
            Assert.Equal(CodebooksReference.Uniform(k), Codebooks.Uniform(k));
        }
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 5)]
    [InlineData(100, 16)]
    [InlineData(1001, 256)]
    public void Quantiles_are_within_the_bounds_and_ascend(int n, int k)
    {
        float[] w = new Draw(n).Floats(n);
        float[] quantiles = Codebooks.Quantiles(w, k);
        Bounded[] wanted = CodebooksReference.Quantiles(w, k);
        Assert.All(Enumerable.Range(0, k), j => Assert.True(wanted[j].Admits(quantiles[j])));
        Assert.Equal(quantiles.Order(), quantiles);
    }

    [Fact]
    public void What_is_out_of_range_is_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>("codes", () => Codebooks.Uniform(1));
        Assert.Throws<ArgumentOutOfRangeException>("codes", () => Codebooks.Uniform(257));
        Assert.Throws<ArgumentOutOfRangeException>("codes", () => Codebooks.Quantiles([1], 0));
        Assert.Throws<ArgumentException>("w", () => Codebooks.Quantiles([], 2));
        Assert.Throws<ArgumentException>("w", () => Codebooks.Quantiles([1, float.NaN], 2));
    }

    private static int[] Bits(float[] numbers) => Array.ConvertAll(numbers, BitConverter.SingleToInt32Bits);
}
