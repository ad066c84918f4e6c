using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Storage;
using Kernels.References;
using Kernels.References.Optimizers;

namespace Kernels.Tests.Optimizers;

/// <summary>The 8-bit numbers: as published, and the kernel's arithmetic for them.</summary>
public sealed class EightBitMapTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void There_are_256_ascending_numbers_from_the_least_to_one(bool isSigned)
    {
        IReadOnlyList<double> numbers = EightBitAdamReference.Numbers(isSigned);
        Assert.Equal(256, numbers.Count);
        Assert.All(Enumerable.Range(1, 255), i => Assert.True(numbers[i] > numbers[i - 1]));
        Assert.Equal(1, numbers[255]);
        Assert.Equal(0, numbers[isSigned ? DynamicMap.SignedZero : 0]);
    }

    [Fact]
    public void Signs_mirror_all_numbers_but_one()
    {
        IReadOnlyList<double> numbers = EightBitAdamReference.Numbers(isSigned: true);
        Assert.All(Enumerable.Range(0, 128), i => Assert.Equal(-numbers[127 - i], numbers[127 + i]));
    }

    /// <summary>Worked by hand from the published construction.</summary>
    [Theory]
    [InlineData(true, 0, -0.99296875)]
    [InlineData(true, 128, 5.5e-7)]
    [InlineData(true, 129, 3.25e-6)]
    [InlineData(true, 130, 7.75e-6)]
    [InlineData(true, 191, 0.10703125)]
    [InlineData(true, 254, 0.99296875)]
    [InlineData(false, 1, 3.25e-7)]
    [InlineData(false, 2, 7.75e-7)]
    [InlineData(false, 3, 2.125e-6)]
    [InlineData(false, 127, 0.103515625)]
    [InlineData(false, 254, 0.996484375)]
    public void Known_numbers_are_where_they_belong(bool isSigned, int code, double number) =>
        // Some roundings of binary64.
        Assert.Equal(number, EightBitAdamReference.Numbers(isSigned)[code], Math.ScaleB(Math.Abs(number), -50));

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_kernel_decodes_every_code_and_finds_it_again(bool isSigned)
    {
        for (int code = 0; code < 256; code++)
        {
            float decoded = isSigned ? DynamicMap.DecodeSigned(Lane.Of(code)).Value : DynamicMap.DecodeUnsigned(Lane.Of(code)).Value;
            Bounded number = EightBitAdamReference.Decode(code, 1, isSigned);
            Assert.True(number.Admits(decoded), $"{decoded:R}, expected {number}");
            Assert.Equal(code, Encode(decoded, isSigned));
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_kernel_finds_a_nearest_code_on_both_sides_of_every_middle(bool isSigned)
    {
        IReadOnlyList<double> numbers = EightBitAdamReference.Numbers(isSigned);
        for (int code = 0; code < 255; code++)
        {
            double middle = (numbers[code] + numbers[code + 1]) / 2;
            double step = numbers[code + 1] - numbers[code];
            if (!isSigned && code == 0)
            {
                continue; // what is not 0 does not become 0
            }

            Assert.Equal(code, Encode((float)(middle - step / 4096), isSigned));
            Assert.Equal(code + 1, Encode((float)(middle + step / 4096), isSigned));
        }

        // Where decades meet, the position is a power of two, but the middle between their numbers is not.
        for (int decade = -7; decade <= 0; decade++)
        {
            float edge = (float)Math.Pow(10, decade);
            for (int ulps = -4096; ulps <= (decade == 0 ? 0 : 4096); ulps += ulps is > -16 and < 16 ? 1 : 16)
            {
                float near = BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(edge) + ulps);
                CheckNearest(near);
                if (isSigned)
                {
                    CheckNearest(-near);
                }
            }
        }

        var draw = new Random(3);
        for (int i = 0; i < 20_000; i++)
        {
            float x = (float)(Math.Pow(10, -8 * draw.NextDouble()) * (isSigned && draw.Next(2) == 0 ? -1 : 1));
            CheckNearest(x);
        }

        void CheckNearest(float x) => Assert.True(
            EightBitAdamReference.AdmitsCode(x, 1f, Encode(x, isSigned), isSigned), $"{x:R} became {Encode(x, isSigned)}");
    }

    /// <summary>20 / 128 is exactly between two numbers of the highest decade.</summary>
    [Theory]
    [InlineData(true, 0.15625f)]
    [InlineData(true, -0.15625f)]
    [InlineData(false, 0.15625f)]
    public void A_tie_takes_the_lower_code(bool isSigned, float tie)
    {
        IReadOnlyList<double> numbers = EightBitAdamReference.Numbers(isSigned);
        int lower = Enumerable.Range(0, 255).Single(c => numbers[c] < tie && numbers[c + 1] > tie);
        if (Math.Abs(numbers[lower] + numbers[lower + 1] - 2 * tie) < 1e-12)
        {
            Assert.Equal(lower, Encode(tie, isSigned));
        }
        else
        {
            Assert.False(isSigned, "The tie is one with a sign.");
        }
    }

    [Fact]
    public void Only_zero_becomes_zero_without_a_sign()
    {
        Assert.Equal(0, Encode(0f, isSigned: false));
        Assert.Equal(1, Encode(1e-8f, isSigned: false));
        Assert.Equal(1, (int)DynamicMap.EncodeUnsigned(Lane.Of(float.Epsilon), Lane.Of(0f)).Value);
        Assert.Equal(DynamicMap.SignedZero, Encode(1e-8f, isSigned: true));
        Assert.Equal(DynamicMap.SignedZero, Encode(-0f, isSigned: true));
    }

    private static int Encode(float x, bool isSigned) => (int)(isSigned
        ? DynamicMap.EncodeSigned(Lane.Of(x))
        : DynamicMap.EncodeUnsigned(Lane.Of(x), Lane.Of(x))).Value;
}
