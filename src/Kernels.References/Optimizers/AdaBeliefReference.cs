namespace Kernels.References.Optimizers;

/// <summary>AdaBelief: the second moment of the gradient about its own mean, with RAdam's rectification.</summary>
/// <param name="learningRate">Step size, at least 0.</param>
/// <param name="beta1">Decay of the mean, in [0, 1).</param>
/// <param name="beta2">Decay of the belief, in [0, 1).</param>
/// <param name="epsilon">Added to the belief at every step, where it stays, and to its root; at least 0.</param>
/// <param name="weightDecay">Decay coefficient, at least 0.</param>
/// <param name="rectify">Whether the variance of the step size is rectified.</param>
/// <param name="decoupled">Whether the decay acts on the parameter and not on the gradient.</param>
/// <param name="fixedDecay">Whether decoupled decay is 1 - weightDecay instead of 1 - rate * weightDecay.</param>
/// <param name="amsgrad">
/// Whether the belief is replaced by its running maximum; a rectified step ignores that maximum.
/// </param>
/// <param name="degeneratedToSgd">
/// Whether steps that are too early to rectify follow the momentum; otherwise they leave the parameter alone.
/// </param>
/// <param name="maximize">Whether the objective grows along the step.</param>
/// <exception cref="ArgumentOutOfRangeException">A coefficient is out of its range.</exception>
/// <remarks>
/// Source: Zhuang et al. 2020, arXiv:2010.07468, algorithm 2; all switches and the two places of epsilon as in the
/// authors' adabelief-pytorch 0.2.1; rectification: Liu et al. 2020, arXiv:1908.03265, algorithm 2, but from a length
/// of the average of 5 on, as both authors' codes have it, where the paper says more than 4.
/// </remarks>
public sealed class AdaBeliefReference(
    double learningRate = 1e-3,
    double beta1 = 0.9,
    double beta2 = 0.999,
    double epsilon = 1e-16,
    double weightDecay = 0,
    bool rectify = true,
    bool decoupled = true,
    bool fixedDecay = false,
    bool amsgrad = false,
    bool degeneratedToSgd = true,
    bool maximize = false) : ElementwiseReference
{
    private readonly double _learningRate = Check.NotNegative(learningRate);
    private readonly double _beta1 = Check.Fraction(beta1);
    private readonly double _beta2 = Check.Fraction(beta2);
    private readonly double _epsilon = Check.NotNegative(epsilon);
    private readonly double _weightDecay = Check.NotNegative(weightDecay);

    /// <inheritdoc/>
    public override string Name => "AdaBelief";

    /// <inheritdoc/>
    public override IReadOnlyList<string> StateNames =>
        amsgrad ? ["exp_avg", "exp_avg_var", "max_exp_avg_var"] : ["exp_avg", "exp_avg_var"];

    /// <summary>The length of the approximated simple moving average of RAdam, rho.</summary>
    /// <param name="beta2">Decay of the second moment, in [0, 1).</param>
    /// <param name="t">The number of the step; the first is 1.</param>
    /// <returns>rho; a step is rectified from 5 on.</returns>
    public static double AverageLength(double beta2, int t) =>
        LongestLength(beta2) - (2.0 * t * Math.Pow(beta2, t) / (1 - Math.Pow(beta2, t)));

    /// <summary>The factor on the step size in RAdam, r.</summary>
    /// <param name="beta2">Decay of the second moment, in [0, 1).</param>
    /// <param name="t">The number of the step; the first is 1.</param>
    /// <returns>r, in (0, 1), or NaN where the average is too short.</returns>
    public static double Rectification(double beta2, int t)
    {
        double limit = LongestLength(beta2);
        double length = AverageLength(beta2, t);
        return Math.Sqrt((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length));
    }

    /// <inheritdoc/>
    protected override Bounded UpdateElement(int t, Bounded p, Bounded g, Span<Bounded> state)
    {
        double correction1 = 1 - Math.Pow(_beta1, t);
        double correction2 = Math.Sqrt(1 - Math.Pow(_beta2, t));
        // A fixed decay is a decay at rate 1.
        Prepare(ref p, ref g, _weightDecay, decoupled, fixedDecay ? 1 : _learningRate, maximize);
        Bounded eps = Bounded.Rounded(_epsilon);
        Bounded mean = state[0] = Average(state[0], g, _beta1);
        Bounded residual = g - mean;
        Bounded belief = state[1] = Average(state[1], residual * residual, _beta2) + eps;
        Bounded largest = amsgrad ? state[2] = Bounded.Max(state[2], belief) : belief;

        if (!rectify)
        {
            Bounded denominator = (Bounded.Sqrt(largest) / Bounded.Rounded(correction2)) + eps;
            return p - (Bounded.Rounded(_learningRate / correction1) * mean / denominator);
        }

        if (AverageLength(_beta2, t) >= 5)
        {
            double rate = _learningRate * Rectification(_beta2, t) * correction2 / correction1;
            return p - (Bounded.Rounded(rate) * mean / (Bounded.Sqrt(belief) + eps));
        }

        return degeneratedToSgd ? p - (Bounded.Rounded(_learningRate / correction1) * mean) : p;
    }

    private static double LongestLength(double beta2) => (2 / (1 - beta2)) - 1;
}
