namespace Kernels.References.Optimizers;

/// <summary>diffGrad: Adam with a friction from the change of the gradient.</summary>
/// <param name="learningRate">Step size, at least 0.</param>
/// <param name="beta1">Decay of the mean, in [0, 1).</param>
/// <param name="beta2">Decay of the second moment, in [0, 1).</param>
/// <param name="epsilon">Added to the root of the second moment before its bias is corrected, at least 0.</param>
/// <param name="weightDecay">Decay coefficient, at least 0.</param>
/// <param name="decoupled">
/// Whether the decay acts on the parameter; if not, the previous gradient is stored with the decay in it.
/// </param>
/// <param name="amsgrad">Whether the second moment is replaced by its running maximum.</param>
/// <param name="maximize">Whether the objective grows along the step; the previous gradient is stored negated.</param>
/// <exception cref="ArgumentOutOfRangeException">A coefficient is out of its range.</exception>
/// <remarks>
/// Source: Dubey et al. 2020, arXiv:1909.11015, as in the authors' second version (diffGrad_v2), which keeps a copy
/// of the previous gradient, 0 before the first step. Decoupled decay and AMSGrad are ours; the maximum is taken of
/// the stored second moment.
/// </remarks>
public sealed class DiffGradReference(
    double learningRate = 1e-3,
    double beta1 = 0.9,
    double beta2 = 0.999,
    double epsilon = 1e-8,
    double weightDecay = 0,
    bool decoupled = false,
    bool amsgrad = false,
    bool maximize = false) : ElementwiseReference
{
    /// <summary>
    /// The error that a kernel's 1 + exp(-x), a number in (1, 2] for x at least 0, may have beside the rounding of the sum:
    /// 2^-23.
    /// </summary>
    public const double ExpError = 2 * Bounded.UnitRoundoff;

    private readonly double _learningRate = Check.NotNegative(learningRate);
    private readonly double _beta1 = Check.Fraction(beta1);
    private readonly double _beta2 = Check.Fraction(beta2);
    private readonly double _epsilon = Check.NotNegative(epsilon);
    private readonly double _weightDecay = Check.NotNegative(weightDecay);

    /// <inheritdoc/>
    public override string Name => "diffGrad";

    /// <inheritdoc/>
    public override IReadOnlyList<string> StateNames => amsgrad
        ? ["exp_avg", "exp_avg_sq", "previous_grad", "max_exp_avg_sq"]
        : ["exp_avg", "exp_avg_sq", "previous_grad"];

    /// <summary>The friction coefficient, 1 / (1 + exp(-|change|)).</summary>
    /// <param name="change">The previous gradient less the gradient.</param>
    /// <returns>The coefficient, in [1/2, 1].</returns>
    public static Bounded Friction(Bounded change)
    {
        Bounded exp = Bounded.Exp(-Bounded.Abs(change), 0);
        return (Bounded)1 / (1 + new Bounded(exp.Value, exp.Bound + ExpError));
    }

    /// <inheritdoc/>
    protected override Bounded UpdateElement(int t, Bounded p, Bounded g, Span<Bounded> state)
    {
        double correction1 = 1 - Math.Pow(_beta1, t);
        double correction2 = Math.Sqrt(1 - Math.Pow(_beta2, t));
        Prepare(ref p, ref g, _weightDecay, decoupled, _learningRate, maximize);
        state[0] = Average(state[0], g, _beta1);
        state[1] = Average(state[1], g * g, _beta2);
        Bounded friction = Friction(state[2] - g);
        state[2] = g;
        Bounded second = amsgrad ? state[3] = Bounded.Max(state[3], state[1]) : state[1];
        Bounded rate = Bounded.Rounded(_learningRate * correction2 / correction1);
        return p - (rate * (state[0] * friction) / (Bounded.Sqrt(second) + Bounded.Rounded(_epsilon)));
    }
}
