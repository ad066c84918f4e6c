namespace Kernels.References.Optimizers;

/// <summary>LAMB: Adam's direction, scaled for the whole tensor by the ratio of two norms.</summary>
/// <param name="learningRate">Step size, at least 0.</param>
/// <param name="beta1">Decay of the mean, in [0, 1).</param>
/// <param name="beta2">Decay of the second moment, in [0, 1).</param>
/// <param name="epsilon">Added to the root of the corrected second moment, at least 0.</param>
/// <param name="weightDecay">The parameter's share in the direction, at least 0.</param>
/// <param name="maximize">Whether the objective grows along the step.</param>
/// <param name="decoupled">Without it the share is in the gradient instead.</param>
/// <exception cref="ArgumentOutOfRangeException">A coefficient is out of its range.</exception>
/// <remarks>
/// Source: You et al. 2020, arXiv:1904.00962, algorithm 2, phi the identity: u = m' / (sqrt(v') + epsilon) + decay p,
/// p = p - rate |p| / |u| u. The ratio is 1 where one of the norms is 0, as in the authors' code. Where roundings may
/// make a norm 0, the bound covers both outcomes or is infinite.
/// </remarks>
public sealed class LambReference(
    double learningRate = 1e-3,
    double beta1 = 0.9,
    double beta2 = 0.999,
    double epsilon = 1e-6,
    double weightDecay = 0.01,
    bool maximize = false,
    bool decoupled = true) : OptimizerReference
{
    private readonly double _learningRate = Check.NotNegative(learningRate);
    private readonly double _beta1 = Check.Fraction(beta1);
    private readonly double _beta2 = Check.Fraction(beta2);
    private readonly double _epsilon = Check.NotNegative(epsilon);
    private readonly double _weightDecay = Check.NotNegative(weightDecay);

    /// <summary>The most additions one square goes through in the kernel's reductions; by default any order.</summary>
    public int? ReductionDepth { get; init; }

    /// <inheritdoc/>
    public override string Name => "LAMB";

    /// <inheritdoc/>
    public override IReadOnlyList<string> StateNames => ["exp_avg", "exp_avg_sq"];

    /// <summary>The factor on the step, |p| / |u|.</summary>
    /// <param name="parameterNorm">The norm of the parameters.</param>
    /// <param name="directionNorm">The norm of the direction.</param>
    /// <returns>The ratio, 1 if one of the norms is 0.</returns>
    public static Bounded TrustRatio(Bounded parameterNorm, Bounded directionNorm)
    {
        if (parameterNorm is { Value: 0, Bound: 0 } || directionNorm is { Value: 0, Bound: 0 })
        {
            return 1;
        }

        if (parameterNorm.Value == 0 || directionNorm.Value == 0)
        {
            return new Bounded(1, double.PositiveInfinity);
        }

        Bounded ratio = parameterNorm / directionNorm;
        return parameterNorm.Value <= parameterNorm.Bound ? Bounded.Either(ratio, 1) : ratio;
    }

    /// <inheritdoc/>
    protected override void Update(int t, Span<Bounded> p, ReadOnlySpan<Bounded> g, Bounded[][] state)
    {
        Bounded correction1 = Bounded.Rounded(1 - Math.Pow(_beta1, t));
        Bounded correction2 = Bounded.Rounded(Math.Sqrt(1 - Math.Pow(_beta2, t)));
        Bounded decay = Bounded.Rounded(decoupled ? _weightDecay : 0);
        Bounded coupled = Bounded.Rounded(decoupled ? 0 : _weightDecay);
        var direction = new Bounded[p.Length];
        for (int i = 0; i < p.Length; i++)
        {
            Bounded gradient = maximize ? -g[i] : g[i];
            if (coupled.Value != 0)
            {
                gradient += coupled * p[i];
            }

            Bounded mean = state[0][i] = Average(state[0][i], gradient, _beta1);
            Bounded second = state[1][i] = Average(state[1][i], gradient * gradient, _beta2);
            Bounded denominator = (Bounded.Sqrt(second) / correction2) + Bounded.Rounded(_epsilon);
            direction[i] = (mean / correction1 / denominator) + (decay * p[i]);
        }

        Bounded ratio = TrustRatio(
            GradientNormReference.Norm(p, ReductionDepth), GradientNormReference.Norm(direction, ReductionDepth));
        Bounded rate = Bounded.Rounded(_learningRate) * ratio;
        for (int i = 0; i < p.Length; i++)
        {
            p[i] -= rate * direction[i];
        }
    }
}
