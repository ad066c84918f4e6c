using System.Runtime.InteropServices;

namespace Kernels.References;

/// <summary>
/// A number and a proven bound on how far a binary32 computation of it may be from it.
/// </summary>
/// <param name="Value">The number, computed in binary64.</param>
/// <param name="Bound">
/// The largest possible distance of the binary32 result from <paramref name="Value"/>, in the unit of the value, not
/// negative. Positive infinity means that nothing can be said: the inputs are outside the domain of the computation.
/// </param>
/// <remarks>
/// <para>
/// Source: running error analysis, Wilkinson; Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition,
/// section 3.3, with all product terms kept, so that the bounds hold and are not first order only.
/// </para>
/// <para>
/// Every operation adds one rounding to nearest of relative size 2^-24, and multiplication and division one absolute
/// underflow term of 2^-149. A device that contracts a*b+c into one fused operation only removes roundings, so the
/// bound holds there too. The binary64 roundings of the reference itself and of its bounds are covered by a
/// slack of 2^-20 on the unit roundoff. Operations that are exact in every IEEE arithmetic (negation, absolute value,
/// adding an exact zero, multiplying by an exact zero or one, dividing by an exact one) add nothing.
/// </para>
/// <para>
/// NaN and infinities in values propagate as in IEEE 754. The bound is infinite where the binary32 computation may
/// overflow, where a denominator may be zero, and for everything computed from such a result. A NaN value with a
/// bound that is not infinite is a NaN that the binary32 computation must deliver as well; its bound is NaN.
/// </para>
/// </remarks>
[StructLayout(LayoutKind.Auto)]
public readonly record struct Bounded(double Value, double Bound)
{
    /// <summary>The unit roundoff of binary32, 2^-24.</summary>
    public const double UnitRoundoff = 1.0 / (1 << 24);

    /// <summary>The least positive binary32 number, 2^-149.</summary>
    public const double LeastSubnormal = float.Epsilon;

    /// <summary>A kernel's exponential may be 0 where it is below: it stops at -87.3, and exp(-87.3) is 1.22e-38.</summary>
    internal const double Flushed = 1.3e-38;

    // Covers the roundings of binary64: at most some 2^-50, far below 2^-24 * 2^-20.
    private const double Unit = UnitRoundoff * (1.0 + (1.0 / (1 << 20)));

    /// <summary>Whether the bound says anything: it is neither infinite nor NaN.</summary>
    public bool IsInDomain => double.IsFinite(Bound);

    private bool IsExactZero => Value == 0 && Bound == 0;

    private bool IsExactOne => Value == 1 && Bound == 0;

    /// <summary>Takes a number as exact: it is the same in the binary32 computation.</summary>
    /// <param name="value">The number, normally the value of a binary32 input.</param>
    public static implicit operator Bounded(double value) => FromDouble(value);

    /// <summary>Takes a number as exact: it is the same in the binary32 computation.</summary>
    /// <param name="value">The number, normally the value of a binary32 input.</param>
    /// <returns>The number with bound 0; with bound NaN if it is NaN.</returns>
    public static Bounded FromDouble(double value) => new(value, double.IsNaN(value) ? double.NaN : 0);

    /// <summary>A constant that the host computes in binary64 and narrows to binary32 once.</summary>
    /// <param name="constant">The constant before narrowing.</param>
    /// <returns>
    /// The constant, with half a unit in the last place as its bound; 0, 1 and -1 are exact. Other constants that
    /// binary32 happens to represent keep the bound, because a kernel may fold several constants into one.
    /// </returns>
    public static Bounded Rounded(double constant) => constant is 0 or 1 or -1
        ? new Bounded(constant, 0)
        : Checked(constant, (Unit * Math.Abs(constant)) + (LeastSubnormal / 2));

    /// <summary>Whether a binary32 result agrees with the value.</summary>
    /// <param name="measured">The result of the computation under test.</param>
    /// <returns>
    /// True if the bound is infinite (anything is admitted, NaN included); otherwise, for a NaN value, whether the
    /// result is NaN; otherwise whether the result is a number within the bound of the value.
    /// </returns>
    public bool Admits(float measured)
    {
        if (double.IsPositiveInfinity(Bound))
        {
            return true;
        }

        if (double.IsNaN(Value))
        {
            return float.IsNaN(measured);
        }

        return measured == Value || Math.Abs(measured - Value) <= Bound;
    }

    /// <summary>Rounded sum.</summary>
    /// <param name="a">First term.</param>
    /// <param name="b">Second term.</param>
    public static Bounded operator +(Bounded a, Bounded b)
    {
        if (a.IsExactZero)
        {
            return b;
        }

        return b.IsExactZero ? a : Round(a.Value + b.Value, a.Bound + b.Bound, underflow: 0, a, b);
    }

    /// <summary>Rounded difference.</summary>
    /// <param name="a">Minuend.</param>
    /// <param name="b">Subtrahend.</param>
    public static Bounded operator -(Bounded a, Bounded b) => a + (-b);

    /// <summary>Exact negation.</summary>
    /// <param name="a">The number.</param>
    public static Bounded operator -(Bounded a) => new(-a.Value, a.Bound);

    /// <summary>Rounded product.</summary>
    /// <param name="a">First factor.</param>
    /// <param name="b">Second factor.</param>
    public static Bounded operator *(Bounded a, Bounded b)
    {
        if (a.IsExactOne)
        {
            return b;
        }

        if (b.IsExactOne)
        {
            return a;
        }

        double propagated = (Math.Abs(a.Value) * b.Bound) + (Math.Abs(b.Value) * a.Bound) + (a.Bound * b.Bound);
        double underflow = a.IsExactZero || b.IsExactZero ? 0 : LeastSubnormal;
        return Round(a.Value * b.Value, propagated, underflow, a, b);
    }

    /// <summary>Rounded quotient; the bound is infinite if the denominator may be zero.</summary>
    /// <param name="a">Numerator.</param>
    /// <param name="b">Denominator.</param>
    public static Bounded operator /(Bounded a, Bounded b)
    {
        if (b.IsExactOne)
        {
            return a;
        }

        double quotient = a.Value / b.Value;
        double least = Math.Abs(b.Value) - b.Bound;
        if (least <= 0 && !double.IsNaN(a.Bound))
        {
            return new Bounded(quotient, double.PositiveInfinity);
        }

        double propagated = (a.Bound + (Math.Abs(quotient) * b.Bound)) / least;
        return Round(quotient, propagated, a.IsExactZero ? 0 : LeastSubnormal, a, b);
    }

    /// <summary>Correctly rounded square root.</summary>
    /// <param name="a">
    /// The argument. The binary32 argument is taken to be not negative even where the bound would allow it, as sums of
    /// squares and clamped differences are.
    /// </param>
    /// <returns>The square root.</returns>
    public static Bounded Sqrt(Bounded a)
    {
        if (a.Value < 0 && a.Value + a.Bound >= 0)
        {
            return new Bounded(double.NaN, double.PositiveInfinity);
        }

        double root = Math.Sqrt(a.Value);
        // The two sides of the interval, each as a quotient that does not cancel. The lower end is taken a little
        // lower than it is, since it may be all rounding; the root of a clamped argument is never below zero.
        double lower = Math.Max(0, (a.Value * (1 - 1e-15)) - a.Bound);
        double below = a.Value > a.Bound ? Slope(a.Bound, root + Math.Sqrt(lower)) : root;
        double above = Slope(a.Bound, root + Math.Sqrt(a.Value + a.Bound));
        return Round(root, a.Bound == 0 ? 0 : Math.Max(below, above), underflow: 0, a, a);
    }

    /// <summary>Exact absolute value.</summary>
    /// <param name="a">The number.</param>
    /// <returns>The absolute value.</returns>
    public static Bounded Abs(Bounded a) => a with { Value = Math.Abs(a.Value) };

    /// <summary>The larger of two numbers.</summary>
    /// <param name="a">One number.</param>
    /// <param name="b">The other number.</param>
    /// <returns>The larger; out of the domain if one of them is NaN, since devices treat NaN in two ways.</returns>
    public static Bounded Max(Bounded a, Bounded b)
    {
        if (double.IsNaN(a.Value) || double.IsNaN(b.Value))
        {
            return new Bounded(double.NaN, double.PositiveInfinity);
        }

        (Bounded larger, Bounded smaller) = a.Value >= b.Value ? (a, b) : (b, a);
        bool certain = larger.Value - smaller.Value > (larger.Bound + smaller.Bound) * (1 + UnitRoundoff);
        return certain ? larger : larger with { Bound = Math.Max(a.Bound, b.Bound) };
    }

    /// <summary>The smaller of two numbers.</summary>
    /// <param name="a">One number.</param>
    /// <param name="b">The other number.</param>
    /// <returns>The smaller; out of the domain if one of them is NaN, since devices treat NaN in two ways.</returns>
    public static Bounded Min(Bounded a, Bounded b) => -Max(-a, -b);

    /// <summary>The exponential function as a kernel computes it, by a polynomial of its own.</summary>
    /// <param name="a">The exponent.</param>
    /// <param name="relativeError">
    /// The relative error of the kernel's function for an exact argument, its last rounding included. Results below
    /// 1.3e-38 may be flushed to zero.
    /// </param>
    /// <returns>The exponential.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The relative error is negative.</exception>
    public static Bounded Exp(Bounded a, double relativeError)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(relativeError);
        double value = Math.Exp(a.Value);
        // exp(x) - 1 <= x exp(x), for x >= 0.
        double propagated = value * a.Bound * Math.Exp(a.Bound);
        double bound = propagated + ((relativeError + Unit) * (value + propagated)) + Flushed;
        return Tainted(a, a) ? new Bounded(value, double.PositiveInfinity) : Checked(value, bound);
    }

    /// <summary>The sign, -1, 0 or 1, where 0 has sign 0.</summary>
    /// <param name="a">The number.</param>
    /// <returns>
    /// The sign of the value; exact if the bound excludes the other signs, else with a bound that covers all three.
    /// A NaN is out of the domain.
    /// </returns>
    public static Bounded Sign(Bounded a)
    {
        if (double.IsNaN(a.Value))
        {
            return new Bounded(double.NaN, double.PositiveInfinity);
        }

        int sign = Math.Sign(a.Value);
        bool certain = a.IsExactZero || Math.Abs(a.Value) > a.Bound;
        return new Bounded(sign, certain ? 0 : 1 + Math.Abs(sign));
    }

    /// <summary>The result of a choice that roundings may turn.</summary>
    /// <param name="chosen">What the exact computation chooses.</param>
    /// <param name="other">What the binary32 computation might choose instead.</param>
    /// <returns>The chosen value with a bound that covers both.</returns>
    public static Bounded Either(Bounded chosen, Bounded other)
    {
        // Infinities of the same sign are not apart; of a NaN that only one of them must be nothing is known.
        double apart = chosen.Value == other.Value ? 0 : Math.Abs(chosen.Value - other.Value);
        bool isUnknown = Tainted(chosen, other) || double.IsNaN(chosen.Bound) != double.IsNaN(other.Bound);
        return chosen with
        {
            Bound = isUnknown ? double.PositiveInfinity : Math.Max(chosen.Bound, apart + other.Bound),
        };
    }

    /// <summary>A sum of many terms in any order and any tree.</summary>
    /// <param name="terms">The terms, each with its own bound.</param>
    /// <param name="depth">
    /// The largest number of additions that any one term goes through: the number of terms less one for a loop, the
    /// height for a tree, the sum of both for a loop followed by a tree. By default the number of terms less one, which
    /// covers every order.
    /// </param>
    /// <returns>
    /// The sum; the bound is that of the terms plus gamma times the sum of their sizes, gamma = k u / (1 - k u) for
    /// depth k (Higham 2002, section 4.2).
    /// </returns>
    /// <exception cref="ArgumentOutOfRangeException">The depth is negative.</exception>
    public static Bounded Sum(ReadOnlySpan<Bounded> terms, int? depth = null)
    {
        int roundings = depth ?? Math.Max(terms.Length - 1, 0);
        ArgumentOutOfRangeException.ThrowIfNegative(roundings, nameof(depth));
        double sum = 0;
        double plain = 0;
        double carry = 0;
        double size = 0;
        double bounds = 0;
        bool tainted = false;
        foreach (Bounded term in terms)
        {
            // Kahan's sum: its own error does not grow with the number of terms.
            double corrected = term.Value - carry;
            double next = sum + corrected;
            carry = next - sum - corrected;
            sum = next;
            plain += term.Value;
            size += Math.Abs(term.Value);
            bounds += term.Bound;
            tainted |= double.IsPositiveInfinity(term.Bound);
        }

        // The slack is what binary64 loses in the sums of sizes and bounds; 1e-15 covers Kahan's own error.
        double slack = 1 + (terms.Length * 4.5e-16);
        double bound = (bounds + (Gamma(roundings) * (size + bounds)) + (1e-15 * size)) * slack;
        if (tainted)
        {
            // Kahan's carry of an infinity is NaN.
            return new Bounded(double.IsFinite(plain) ? sum : plain, double.PositiveInfinity);
        }

        // Partial sums may overflow where the whole sum does not.
        return size + bound > float.MaxValue ? new Bounded(sum, double.PositiveInfinity) : Checked(sum, bound);
    }

    /// <summary>Gamma of error analysis: the relative effect of several roundings, k u / (1 - k u).</summary>
    /// <param name="roundings">The number k of roundings.</param>
    /// <returns>Gamma; infinite if there are 2^24 roundings or more.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The number is negative.</exception>
    public static double Gamma(int roundings)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(roundings);
        double product = roundings * Unit;
        return product < 1 ? product / (1 - product) : double.PositiveInfinity;
    }

    /// <summary>Value, plus-minus sign, bound.</summary>
    /// <returns>A text for test messages.</returns>
    public override string ToString() => $"{Value:R} ± {Bound:G3}";

    private static Bounded Round(double value, double propagated, double underflow, Bounded a, Bounded b)
    {
        // A NaN that must be there stays so, whatever it meets.
        if (double.IsNaN(a.Bound) || double.IsNaN(b.Bound))
        {
            return new Bounded(double.NaN, double.NaN);
        }

        return Tainted(a, b)
            ? new Bounded(value, double.PositiveInfinity)
            : Checked(value, propagated + (Unit * (Math.Abs(value) + propagated)) + underflow);
    }

    private static bool Tainted(Bounded a, Bounded b) =>
        double.IsPositiveInfinity(a.Bound) || double.IsPositiveInfinity(b.Bound);

    /// <summary>A number with a bound, of which nothing is said where it may overflow.</summary>
    internal static Bounded Checked(double value, double bound) => new(
        value,
        Math.Abs(value) + bound > float.MaxValue || (double.IsNaN(bound) && !double.IsNaN(value))
            ? double.PositiveInfinity
            : bound);

    private static double Slope(double rise, double run) => rise == 0 ? 0 : rise / run;
}
