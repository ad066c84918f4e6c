namespace Kernels.References.Linear;

/// <summary>ReLU and the tanh form of GELU in binary64, and their derivatives.</summary>
/// <remarks>
/// Source: Hendrycks, Gimpel 2016, arXiv:1606.08415, section 2. Written as x s(w), with s(w) = 1 / (1 + exp(-w)) and
/// w = 2 sqrt(2 / pi) (x + 0.044715 x^3): the same function, since (1 + tanh(v)) / 2 = s(2 v).
/// <para>
/// Bound of a binary32 evaluation from e = exp(-|w|), u = 2^-24. The terms of w have one sign and five roundings each,
/// so |dw| &lt;= 6 u |w|; exp is within 2 ulp = 4 u of its own argument, so e has the relative error
/// r = 6 u |w| + 4 u, or is 0 where it is below 1.3e-38. With q the share of e in 1 + e, which is 1 - s(|w|), s has
/// the relative error q r + 2 u if it is 1 / (1 + e), and (1 - q) r + 2 u if it is e / (1 + e).
/// The slope of GELU is below 1.13 in absolute value, and its curvature below 1.6.
/// Every sum of first-order terms is enlarged by 1 % to cover the products of errors (|w| u &lt; 1e-4 where e counts).
/// GELU of infinity is infinity, of minus infinity NaN. Of a gradient that may overflow nothing is said.
/// </para>
/// </remarks>
public static class ActivationReference
{
    private const double U = Bounded.UnitRoundoff;
    private const double Scale = 1.5957691216057308; // 2 sqrt(2 / pi)
    private const double Cubic = 0.044715;
    private const double Flushed = Bounded.Flushed;
    private const double Slack = 1.01;

    // 1 + |x| w', by which e goes into the slope, is 231 where e is 1.3e-38; with greater |x| e is soon far less.
    private const double MostFlushed = 240;

    /// <summary>max(x, 0). It moves no two numbers apart, so the bound stays.</summary>
    /// <param name="x">The argument.</param>
    public static Bounded Relu(Bounded x) => x with { Value = Math.Max(x.Value, 0) };

    /// <summary>GELU in its tanh form.</summary>
    /// <param name="x">The argument.</param>
    public static Bounded Gelu(Bounded x)
    {
        (double s, double r, double share) = Sigmoid(x.Value);
        double value = x.Value * s;
        if (double.IsPositiveInfinity(value) && x.Bound == 0)
        {
            return value;
        }

        double evaluation = (Math.Abs(value) * ((share * r) + (3 * U))) + (Math.Abs(x.Value) * Flushed);
        return new Bounded(value, (Slack * evaluation) + (1.13 * x.Bound) + Bounded.LeastSubnormal);
    }

    /// <summary>The gradient through ReLU: dy where x is greater than 0, else 0.</summary>
    /// <param name="x">The argument of ReLU, exact.</param>
    /// <param name="dy">What comes back through it, exact.</param>
    public static Bounded ReluBack(double x, double dy) => double.IsNaN(x) ? x : x > 0 ? dy : 0;

    /// <summary>The gradient through GELU.</summary>
    /// <param name="x">The argument of GELU, exact.</param>
    /// <param name="dy">What comes back through it, exact.</param>
    public static Bounded GeluBack(double x, double dy)
    {
        (double s, double r, double share) = Sigmoid(x);
        // x s'(w) w'; where s' is 0 the rest may be infinite.
        double spread = s * (1 - s);
        double tail = spread == 0 ? 0 : x * spread * Scale * (1 + (3 * Cubic * x * x));
        double slope = s + tail;
        // Roundings of the tail: e, twice 1 / (1 + e) with two each, two products, w' with five, the last product.
        double evaluation = (s * ((share * r) + (3 * U))) + (Math.Abs(tail) * ((3 * r) + (13 * U)))
            + (U * Math.Abs(slope)) + (MostFlushed * Flushed);
        double value = dy * slope;
        return Bounded.Checked(
            value, (Slack * ((Math.Abs(dy) * evaluation) + (U * Math.Abs(value)))) + Bounded.LeastSubnormal);
    }

    /// <summary>s(w), the relative error of e, and the share of it that reaches s.</summary>
    private static (double S, double R, double Share) Sigmoid(double x)
    {
        double w = Scale * (x + (Cubic * x * x * x));
        double e = Math.Exp(-Math.Abs(w));
        double r = e > 0 ? U * ((6 * Math.Abs(w)) + 4) : 0;
        double large = 1 / (1 + e);
        double small = e / (1 + e);
        return w < 0 ? (small, r, large) : (large, r, small);
    }
}
