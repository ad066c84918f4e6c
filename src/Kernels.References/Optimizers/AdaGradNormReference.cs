namespace Kernels.References.Optimizers;

/// <summary>AdaGrad-Norm: one step size for the whole tensor from the accumulated squared gradient norms.</summary>
/// <param name="learningRate">The numerator of the step size, at least 0.</param>
/// <param name="initialAccumulator">b^2 before the first step, at least 0.</param>
/// <param name="weightDecay">Decay coefficient, at least 0.</param>
/// <param name="decoupled">
/// Whether the decay acts on the parameter, by 1 - learningRate * weightDecay, and not on the gradient.
/// </param>
/// <param name="maximize">Whether the objective grows along the step.</param>
/// <exception cref="ArgumentOutOfRangeException">A coefficient is out of its range.</exception>
/// <remarks>
/// Source: Ward, Wu and Bottou 2020, arXiv:1806.01811, algorithm 1; used by Lau, Liu and Kolar 2024, arXiv:2402.11215:
/// b^2 = b^2 + |g|^2, p = p - rate / b g. A gradient of 0 on top of a state of 0 takes no step.
/// </remarks>
public sealed class AdaGradNormReference(
    double learningRate = 1e-2,
    double initialAccumulator = 0.01,
    double weightDecay = 0,
    bool decoupled = false,
    bool maximize = false) : OptimizerReference
{
    private readonly double _learningRate = Check.NotNegative(learningRate);
    private readonly double _initialAccumulator = Check.NotNegative(initialAccumulator);
    private readonly double _weightDecay = Check.NotNegative(weightDecay);

    /// <summary>
    /// The most additions that one squared gradient goes through in the kernel's reduction; by default any order.
    /// </summary>
    public int? ReductionDepth { get; init; }

    /// <inheritdoc/>
    public override string Name => "AdaGradNorm";

    /// <inheritdoc/>
    public override IReadOnlyList<string> StateNames => ["sum"];

    /// <inheritdoc/>
    public override double InitialState(int slot) => _initialAccumulator;

    /// <inheritdoc/>
    public override int StateLength(int slot, int n) => 1;

    /// <inheritdoc/>
    protected override void Update(int t, Span<Bounded> p, ReadOnlySpan<Bounded> g, Bounded[][] state)
    {
        Bounded[] gradients = g.ToArray();
        for (int i = 0; i < p.Length; i++)
        {
            Prepare(ref p[i], ref gradients[i], _weightDecay, decoupled, _learningRate, maximize);
        }

        state[0][0] += GradientNormReference.SquaredNorm(gradients, ReductionDepth);
        if (state[0][0] is { Value: 0, Bound: 0 })
        {
            return;
        }

        Bounded rate = Bounded.Rounded(_learningRate) / Bounded.Sqrt(state[0][0]);
        for (int i = 0; i < p.Length; i++)
        {
            p[i] -= rate * gradients[i];
        }
    }
}
