namespace Kernels.References.Optimizers;

/// <summary>AdaGrad with diagonal accumulators.</summary>
/// <param name="learningRate">Step size, at least 0.</param>
/// <param name="lrDecay">The rate of step t is the step size / (1 + (t - 1) lrDecay); at least 0.</param>
/// <param name="weightDecay">Decay coefficient, at least 0.</param>
/// <param name="initialAccumulator">The accumulator before the first step, at least 0.</param>
/// <param name="epsilon">Added to the root of the accumulator, at least 0.</param>
/// <param name="decoupled">
/// Whether the decay acts on the parameter and not on the gradient, with the rate of the step.
/// </param>
/// <param name="maximize">Whether the objective grows along the step.</param>
/// <exception cref="ArgumentOutOfRangeException">A coefficient is negative.</exception>
/// <remarks>
/// Source: Duchi, Hazan and Singer 2011, figure 1 (diagonal matrices), with the epsilon, the decay of the rate and the
/// coupled weight decay of torch.optim.Adagrad.
/// </remarks>
public sealed class AdaGradReference(
    double learningRate = 1e-2,
    double lrDecay = 0,
    double weightDecay = 0,
    double initialAccumulator = 0,
    double epsilon = 1e-10,
    bool decoupled = false,
    bool maximize = false) : ElementwiseReference
{
    private readonly double _learningRate = Check.NotNegative(learningRate);
    private readonly double _lrDecay = Check.NotNegative(lrDecay);
    private readonly double _weightDecay = Check.NotNegative(weightDecay);
    private readonly double _initialAccumulator = Check.NotNegative(initialAccumulator);
    private readonly double _epsilon = Check.NotNegative(epsilon);

    /// <inheritdoc/>
    public override string Name => "AdaGrad";

    /// <inheritdoc/>
    public override IReadOnlyList<string> StateNames => ["sum"];

    /// <inheritdoc/>
    public override double InitialState(int slot) => _initialAccumulator;

    /// <inheritdoc/>
    protected override Bounded UpdateElement(int t, Bounded p, Bounded g, Span<Bounded> state)
    {
        double rate = _learningRate / (1 + ((t - 1) * _lrDecay));
        Prepare(ref p, ref g, _weightDecay, decoupled, rate, maximize);
        state[0] += g * g;
        return p - (Bounded.Rounded(rate) * g / (Bounded.Sqrt(state[0]) + Bounded.Rounded(_epsilon)));
    }
}
