namespace Kernels.References.Optimizers;

/// <summary>Lion: the sign of an interpolated momentum.</summary>
/// <param name="learningRate">Step size, at least 0.</param>
/// <param name="beta1">Share of the momentum in the sign's argument, in [0, 1).</param>
/// <param name="beta2">Decay of the momentum, in [0, 1).</param>
/// <param name="weightDecay">Decay coefficient, at least 0.</param>
/// <param name="decoupled">Whether the decay acts on the parameter and not on the gradient.</param>
/// <param name="maximize">Whether the objective grows along the step.</param>
/// <exception cref="ArgumentOutOfRangeException">A coefficient is out of its range.</exception>
/// <remarks>
/// Source: Chen et al. 2023, arXiv:2302.06675, algorithm 2; the decay comes first and the sign of 0 is 0. Where
/// roundings may turn the sign, the bound of the parameter covers all three outcomes.
/// </remarks>
public sealed class LionReference(
    double learningRate = 1e-4,
    double beta1 = 0.9,
    double beta2 = 0.99,
    double weightDecay = 0,
    bool decoupled = true,
    bool maximize = false) : ElementwiseReference
{
    private readonly double _learningRate = Check.NotNegative(learningRate);
    private readonly double _beta1 = Check.Fraction(beta1);
    private readonly double _beta2 = Check.Fraction(beta2);
    private readonly double _weightDecay = Check.NotNegative(weightDecay);

    /// <inheritdoc/>
    public override string Name => "Lion";

    /// <inheritdoc/>
    public override IReadOnlyList<string> StateNames => ["exp_avg"];

    /// <inheritdoc/>
    protected override Bounded UpdateElement(int t, Bounded p, Bounded g, Span<Bounded> state)
    {
        Prepare(ref p, ref g, _weightDecay, decoupled, _learningRate, maximize);
        Bounded direction = Bounded.Sign(Average(state[0], g, _beta1));
        state[0] = Average(state[0], g, _beta2);
        return p - (Bounded.Rounded(_learningRate) * direction);
    }
}
