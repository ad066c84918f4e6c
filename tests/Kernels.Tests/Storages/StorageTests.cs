using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Storage;
using Kernels.References;
using Kernels.References.Optimizers;

namespace Kernels.Tests.Storages;

/// <summary>The codecs of 16-bit storages, bit for bit; the step properties run them on devices.</summary>
public sealed class StorageTests
{
    [Fact]
    public void Every_16_bit_pattern_decodes_exactly_and_encodes_to_itself()
    {
        for (uint bits = 0; bits <= 0xFFFF; bits++)
        {
            float half = default(F16).Decode(bits);
            float brain = default(BF16).Decode(bits);
            Assert.Equal(NarrowingReference.FromFloat16((ushort)bits), half);
            Assert.Equal(NarrowingReference.FromBFloat16((ushort)bits), brain);
            if (!float.IsNaN(half))
            {
                Assert.Equal(bits, default(F16).Encode(half, 0));
            }

            if (!float.IsNaN(brain))
            {
                Assert.Equal(bits, BF16.Nearest(brain));
            }
        }
    }

    [Fact]
    public void Floats_round_to_nearest_with_ties_to_even()
    {
        var random = new Random(1);
        for (int i = 0; i < 2_000_000; i++)
        {
            // Random bits, and points next to the middle between two halves.
            uint bits = (uint)random.NextInt64(1L << 32);
            bits = (i % 4) switch
            {
                0 => bits,
                1 => (bits & 0xFFFFE000) | 0x1000,
                2 => ((bits & 0xFFFFE000) | 0x1000) + (uint)(i % 3) - 1,
                _ => (bits & 0xFFFF0000) | 0x8000,
            };
            float value = BitConverter.UInt32BitsToSingle(bits);
            uint half = default(F16).Encode(value, 0);
            uint brain = BF16.Nearest(value);
            if (float.IsNaN(value))
            {
                Assert.True(float.IsNaN(default(F16).Decode(half)));
                Assert.True(float.IsNaN(default(BF16).Decode(brain)));
            }
            else
            {
                Assert.Equal(NarrowingReference.ToFloat16(value), half);
                Assert.Equal(NarrowingReference.ToBFloat16(value), brain);
            }
        }
    }

    [Fact]
    public void Stochastic_rounding_adds_the_random_bits_and_cuts()
    {
        var random = new Random(2);
        for (int i = 0; i < 500_000; i++)
        {
            float value = BitConverter.UInt32BitsToSingle((uint)random.NextInt64(1L << 32));
            var word = (ushort)random.Next(1 << 16);
            uint got = default(StochasticBF16).Encode(value, word);
            if (float.IsNaN(value))
            {
                Assert.True(float.IsNaN(default(BF16).Decode(got)));
            }
            else
            {
                Assert.Equal(NarrowingReference.ToBFloat16(value, word), got);
            }
        }
    }

    [Fact]
    public void Philox_is_the_published_generator()
    {
        var random = new Random(3);
        for (int i = 0; i < 1000; i++)
        {
            uint[] c = [.. Enumerable.Range(0, 4).Select(_ => (uint)random.NextInt64(1L << 32))];
            uint[] key = [(uint)random.NextInt64(1L << 32), (uint)random.NextInt64(1L << 32)];
            QuadBits got = Philox.Draw(new QuadBits { X = c[0], Y = c[1], Z = c[2], W = c[3] }, key[0], key[1]);
            Assert.Equal(PhiloxReference.Block(c, key), new[] { got.X, got.Y, got.Z, got.W });
        }
    }

    [Fact]
    public void One_and_the_fading_exponential_are_within_their_absolute_error()
    {
        for (double x = 0; x <= 100; x += 1.0 / 8192)
        {
            var argument = (float)x;
            double wanted = 1 + Math.Exp(-argument);
            double error = Math.Abs(Exponential.OnePlusFading(Lane.Of(argument)).Value - wanted);
            Assert.InRange(error, 0, DiffGradReference.ExpError + wanted * Bounded.UnitRoundoff);
        }

        Assert.Equal(2f, Exponential.OnePlusFading(Lane.Of(0f)).Value);
        Assert.Equal(1f, Exponential.OnePlusFading(Lane.Of(float.PositiveInfinity)).Value);
        Assert.True(float.IsNaN(Exponential.OnePlusFading(Lane.Of(float.NaN)).Value));
    }

    [Fact]
    public void The_exponential_is_within_two_ulp()
    {
        double worst = 0;
        for (double x = 0; x >= -87.3; x -= 1.0 / 8192)
        {
            var argument = (float)x;
            double wanted = Math.Exp(argument);
            float got = Exponential.OfNegative(Lane.Of(argument)).Value;
            double ulp = MathF.BitIncrement((float)wanted) - (float)wanted;
            worst = Math.Max(worst, Math.Abs(got - wanted) / ulp);
        }

        Assert.InRange(worst, 0, 2);
        Assert.Equal(1f, Exponential.OfNegative(Lane.Of(0f)).Value);
        Assert.Equal(0f, Exponential.OfNegative(Lane.Of(float.NegativeInfinity)).Value);
        Assert.True(float.IsNaN(Exponential.OfNegative(Lane.Of(float.NaN)).Value));
    }
}
