using Kernels.References;
using Kernels.References.Optimizers;

namespace Kernels.Tests.References;

/// <summary>What the oracle of 8-bit state admits, at the very ends of it.</summary>
public class EightBitAdamReferenceTests
{
    private const float LeastNormal = 1.1754943508222875e-38f;

    // Of a step of the map.
    private const double Tolerance = 1.0 / 4096;

    private static readonly IReadOnlyList<double> s_signed = EightBitAdamReference.Numbers(isSigned: true);
    private static readonly IReadOnlyList<double> s_unsigned = EightBitAdamReference.Numbers(isSigned: false);

    [Fact]
    public void Every_number_is_nearest_to_itself_and_a_tie_takes_the_lower()
    {
        Assert.All(Enumerable.Range(0, 256), code =>
        {
            Assert.Equal(code, EightBitAdamReference.Nearest(s_signed[code], isSigned: true));
            Assert.Equal(code, EightBitAdamReference.Nearest(s_unsigned[code], isSigned: false));
        });
        Assert.Equal(0, EightBitAdamReference.Nearest(s_unsigned[1] / 2, isSigned: false));
        Assert.Equal(1, EightBitAdamReference.Nearest(Math.BitIncrement(s_unsigned[1] / 2), isSigned: false));
        Assert.Equal(0, EightBitAdamReference.Nearest(-9, isSigned: true));
        Assert.Equal(255, EightBitAdamReference.Nearest(9, isSigned: true));
    }

    [Fact]
    public void A_decoded_number_is_off_by_two_roundings_and_0_and_1_are_exact()
    {
        Assert.Equal(new Bounded(0, 0), EightBitAdamReference.Decode(127, 3, isSigned: true));
        Assert.Equal(new Bounded(0, 0), EightBitAdamReference.Decode(0, 3, isSigned: false));
        Assert.Equal(3, EightBitAdamReference.Decode(255, 3, isSigned: true).Value);
        Assert.Equal(new Bounded(1, 0), EightBitAdamReference.Decode(255, 1, isSigned: false));
        foreach (int code in new[] { 0, 254 })
        {
            Bounded decoded = EightBitAdamReference.Decode(code, 1, isSigned: true);
            Assert.Equal(s_signed[code], decoded.Value);
            Assert.Equal(2.01 * Bounded.UnitRoundoff * Math.Abs(s_signed[code]), decoded.Bound, 1e-20);
        }
    }

    [Fact]
    public void A_scale_is_the_largest_magnitude_within_the_bounds()
    {
        Bounded[] values = [new(-3, 0.5), double.PositiveInfinity, double.NaN, new(2, 0.25)];
        Assert.True(EightBitAdamReference.AdmitsScale(values, 2.5f));
        Assert.True(EightBitAdamReference.AdmitsScale(values, 3.5f));
        Assert.False(EightBitAdamReference.AdmitsScale(values, MathF.BitDecrement(2.5f)));
        Assert.False(EightBitAdamReference.AdmitsScale(values, MathF.BitIncrement(3.5f)));
        Assert.False(EightBitAdamReference.AdmitsScale(values, 0));
        Assert.True(EightBitAdamReference.AdmitsScale([0.5], 0.5f));
        Assert.False(EightBitAdamReference.AdmitsScale([0.5], 0));
        Assert.False(EightBitAdamReference.AdmitsScale([0.5], MathF.BitIncrement(0.5f)));

        // Of zeros it is 0; of what may be 0 as well, but none below 2^-126.
        Assert.True(EightBitAdamReference.AdmitsScale([0, 0], 0));
        Assert.False(EightBitAdamReference.AdmitsScale([0, 0], LeastNormal));
        Assert.True(EightBitAdamReference.AdmitsScale([new(0, 1)], 0));
        Assert.True(EightBitAdamReference.AdmitsScale([new(0, 1)], LeastNormal));
        Assert.True(EightBitAdamReference.AdmitsScale([new(0, 1)], 1));
        Assert.False(EightBitAdamReference.AdmitsScale([new(0, 1)], MathF.BitDecrement(LeastNormal)));
        Assert.True(EightBitAdamReference.AdmitsScale([1e-40], LeastNormal));
        Assert.False(EightBitAdamReference.AdmitsScale([1e-40], 1e-40f));
        Assert.False(EightBitAdamReference.AdmitsScale([1e-40], MathF.BitIncrement(LeastNormal)));
    }

    [Fact]
    public void The_code_of_a_block_of_zeros_is_that_of_0()
    {
        Assert.True(EightBitAdamReference.AdmitsCode(0, 0, 127, isSigned: true));
        Assert.False(EightBitAdamReference.AdmitsCode(0, 0, 128, isSigned: true));
        Assert.True(EightBitAdamReference.AdmitsCode(0, 0, 0, isSigned: false));
        Assert.False(EightBitAdamReference.AdmitsCode(0, 0, 1, isSigned: false));
        Assert.True(EightBitAdamReference.AdmitsCode(new(-1, 1), 0, 127, isSigned: true));
        Assert.False(EightBitAdamReference.AdmitsCode(new(-1, 0.5), 0, 127, isSigned: true));
    }

    /// <summary>Near a middle both codes are right; how near, the larger step beside the nearest number says.</summary>
    [Theory]
    [InlineData(0)] // nothing below
    [InlineData(1)]
    [InlineData(63)] // where decades meet, the step above is the larger
    [InlineData(140)]
    [InlineData(190)]
    [InlineData(191)]
    [InlineData(253)]
    [InlineData(254)] // nothing above the next
    public void Neighbours_are_admitted_near_their_middle(int code)
    {
        double middle = (s_signed[code] + s_signed[code + 1]) / 2;
        double below = Tolerance * Step(code);
        double above = Tolerance * Step(code + 1);

        Assert.True(Admits(middle - (below * (1 - 1e-5)), code + 1));
        Assert.False(Admits(middle - (below * (1 + 1e-5)), code + 1));
        Assert.True(Admits(middle + (above * (1 - 1e-5)), code));
        Assert.False(Admits(middle + (above * (1 + 1e-5)), code));
        Assert.True(Admits(middle - (below * 2), code) && Admits(middle + (above * 2), code + 1));
        Assert.False(Admits(middle, code + 2) || Admits(middle, code - 1));

        static double Step(int code) => new[] { code - 1, code }.Where(c => c is >= 0 and < 255)
            .Max(c => s_signed[c + 1] - s_signed[c]);

        static bool Admits(double value, int code) => EightBitAdamReference.AdmitsCode(value, 1, code, isSigned: true);
    }

    [Fact]
    public void A_bound_admits_all_codes_within_it_in_units_of_the_scale()
    {
        var value = new Bounded(1.0, 0.2); // 0.4 to 0.6 of the scale
        foreach (bool isSigned in new[] { false, true })
        {
            int first = EightBitAdamReference.Nearest(0.4, isSigned);
            int last = EightBitAdamReference.Nearest(0.6, isSigned);
            Assert.All(
                Enumerable.Range(first, last - first + 1),
                code => Assert.True(EightBitAdamReference.AdmitsCode(value, 2, code, isSigned)));
            Assert.False(EightBitAdamReference.AdmitsCode(value, 2, first - 1, isSigned));
            Assert.False(EightBitAdamReference.AdmitsCode(value, 2, last + 1, isSigned));
        }
    }

    [Fact]
    public void Without_a_sign_only_0_becomes_0()
    {
        const double Small = 1e-9; // nearest to 0
        Assert.True(Admits(new(Small, 0), 1) && !Admits(new(Small, 0), 0));
        Assert.True(Admits(0, 0) && !Admits(0, 1));
        // What may be 0 and may be more.
        Assert.True(Admits(new(Small, Small), 0) && Admits(new(Small, Small), 1));
        Assert.True(Admits(new(0, Small), 0) && Admits(new(0, Small), 1));
        Assert.False(Admits(0.5, 1));
        double second = ((s_unsigned[1] + s_unsigned[2]) / 2) - (Tolerance * s_unsigned[1]);
        Assert.True(Admits(new(0, second * (1 + 1e-7)), 2));
        Assert.False(Admits(new(0, second * (1 - 1e-7)), 2));
        Assert.True(EightBitAdamReference.AdmitsCode(Small, 1, 127, isSigned: true));
        Assert.False(EightBitAdamReference.AdmitsCode(Small, 1, 128, isSigned: true));

        static bool Admits(Bounded value, int code) =>
            EightBitAdamReference.AdmitsCode(value, 1, code, isSigned: false);
    }

    [Fact]
    public void A_step_is_that_of_adam_and_state_that_is_no_number_becomes_0()
    {
        var adam = new AdamReference(0.1);
        var optimizer = new EightBitAdamReference(adam);
        Bounded[] state = [0.5, 2];
        Bounded expected = adam.Step(3, 1, -4, state);

        (Bounded m, Bounded v) = (0.5, 2);
        Assert.Equal(expected, optimizer.Step(3, 1, -4, ref m, ref v));
        Assert.Equal((state[0], state[1]), (m, v));

        (m, v) = (0.5, double.PositiveInfinity);
        optimizer.Step(3, 1, -4, ref m, ref v);
        Assert.Equal((new Bounded(0, 0), new Bounded(0, 0)), (m, v));
        (m, v) = (double.PositiveInfinity, 2);
        optimizer.Step(3, 1, -4, ref m, ref v);
        Assert.Equal((new Bounded(0, 0), new Bounded(0, 0)), (m, v));

        Assert.Throws<ArgumentNullException>("adam", () => new EightBitAdamReference(null!));
        Assert.Throws<ArgumentException>("adam", () => new EightBitAdamReference(new AdamReference(amsgrad: true)));
    }
}
