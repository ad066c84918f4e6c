namespace Kernels.References;

/// <summary>Narrowing of binary32 numbers to 16 bits, by arithmetic on the grid of the narrow numbers.</summary>
/// <remarks>
/// Source: IEEE 754-2019, sections 3.4 and 4.3 (binary16, ties to even); bfloat16 is binary32 with 8 bits of
/// significance. Stochastic rounding: Gupta et al. 2015, arXiv:1502.02551, with 16 random bits directly below
/// the kept significand: the magnitude grows by random / 65536 of the spacing and is cut off. Every NaN becomes a quiet
/// NaN of the same sign with no payload; a kernel may deliver any NaN.
/// </remarks>
public static class NarrowingReference
{
    private static readonly Grid s_bfloat16 = new(7, -126, 127);
    private static readonly Grid s_float16 = new(10, -14, 15);

    /// <summary>Rounds to the nearest bfloat16, ties to even.</summary>
    /// <param name="value">The number.</param>
    /// <returns>The 16 bits.</returns>
    public static ushort ToBFloat16(float value) => BFloat16Bits(s_bfloat16.Nearest(value));

    /// <summary>Rounds to one of the two neighbouring bfloat16.</summary>
    /// <param name="value">The number.</param>
    /// <param name="random">16 random bits.</param>
    /// <returns>The 16 bits.</returns>
    public static ushort ToBFloat16(float value, ushort random) => BFloat16Bits(s_bfloat16.Stochastic(value, random));

    /// <summary>Rounds to the nearest binary16, ties to even.</summary>
    /// <param name="value">The number.</param>
    /// <returns>The 16 bits.</returns>
    public static ushort ToFloat16(float value) => Float16Bits(s_float16.Nearest(value));

    /// <summary>Rounds to one of the two neighbouring binary16.</summary>
    /// <param name="value">The number.</param>
    /// <param name="random">16 random bits.</param>
    /// <returns>The 16 bits.</returns>
    public static ushort ToFloat16(float value, ushort random) => Float16Bits(s_float16.Stochastic(value, random));

    /// <summary>A computed number that is stored as bfloat16.</summary>
    /// <param name="value">The number before narrowing.</param>
    /// <param name="stochastic">Whether it may go to either neighbour.</param>
    /// <returns>The same value with the narrowing in its bound; out of the domain where it may overflow.</returns>
    public static Bounded StoredAsBFloat16(Bounded value, bool stochastic = false) =>
        s_bfloat16.Store(value, stochastic);

    /// <summary>A computed number that is stored as binary16.</summary>
    /// <param name="value">The number before narrowing.</param>
    /// <param name="stochastic">Whether it may go to either neighbour.</param>
    /// <returns>The same value with the narrowing in its bound; out of the domain where it may overflow.</returns>
    public static Bounded StoredAsFloat16(Bounded value, bool stochastic = false) => s_float16.Store(value, stochastic);

    /// <summary>Widens a bfloat16 exactly.</summary>
    /// <param name="bits">The 16 bits.</param>
    /// <returns>The number.</returns>
    public static float FromBFloat16(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

    /// <summary>Widens a binary16 exactly.</summary>
    /// <param name="bits">The 16 bits.</param>
    /// <returns>The number.</returns>
    public static float FromFloat16(ushort bits) => (float)BitConverter.UInt16BitsToHalf(bits);

    // Both take a number of the grid, so that the conversion itself does not round; what is above the largest number
    // becomes an infinity there.
    private static ushort BFloat16Bits(double value) => double.IsNaN(value)
        ? (ushort)(double.IsNegative(value) ? 0xFFC0 : 0x7FC0)
        : (ushort)(BitConverter.SingleToUInt32Bits((float)value) >> 16);

    private static ushort Float16Bits(double value) => double.IsNaN(value)
        ? (ushort)(double.IsNegative(value) ? 0xFE00 : 0x7E00)
        : BitConverter.HalfToUInt16Bits((Half)value);

    private sealed record Grid(int FractionBits, int LeastExponent, int LargestExponent)
    {
        internal double Nearest(float value) => Round(value, steps => Math.Round(steps, MidpointRounding.ToEven));

        internal double Stochastic(float value, ushort random) =>
            Round(value, steps => Math.Floor(steps + (random / 65536.0)));

        internal Bounded Store(Bounded value, bool stochastic)
        {
            if (!value.IsInDomain || (value.Value == 0 && value.Bound == 0))
            {
                return value;
            }

            // The spacing is the same or halves towards zero, so that of the far end covers the interval.
            double end = Math.Abs(value.Value) + value.Bound;
            double spacing = Spacing(end);
            double largest = Math.ScaleB(1, LargestExponent + 1) - Math.ScaleB(1, LargestExponent - FractionBits);
            return end > largest
                ? value with { Bound = double.PositiveInfinity }
                : value with { Bound = value.Bound + (stochastic ? spacing : spacing / 2) };
        }

        private double Spacing(double magnitude) =>
            Math.ScaleB(1, Math.Max(Math.ILogB(magnitude), LeastExponent) - FractionBits);

        private double Round(float value, Func<double, double> toInteger)
        {
            if (!float.IsFinite(value))
            {
                return value;
            }

            double magnitude = Math.Abs((double)value);
            double spacing = Spacing(magnitude);
            return Math.CopySign(toInteger(magnitude / spacing) * spacing, value);
        }
    }
}
