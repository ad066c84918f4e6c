namespace Kernels.References.Optimizers;

/// <summary>RMSProp, plain or centered, with or without momentum.</summary>
/// <param name="learningRate">Step size, at least 0.</param>
/// <param name="alpha">Decay of the averages, in [0, 1).</param>
/// <param name="epsilon">Added to the root, at least 0.</param>
/// <param name="momentum">Share of the old buffer, at least 0; 0 keeps no buffer.</param>
/// <param name="centered">Whether the square of the mean gradient is taken off; the difference is clamped at 0.</param>
/// <param name="weightDecay">Decay coefficient, at least 0.</param>
/// <param name="decoupled">Whether the decay acts on the parameter and not on the gradient.</param>
/// <param name="maximize">Whether the objective grows along the step.</param>
/// <exception cref="ArgumentOutOfRangeException">A coefficient is out of its range.</exception>
/// <remarks>
/// Source: Tieleman and Hinton 2012, lecture 6e; centered: Graves 2013, arXiv:1308.0850, equations 38 to 45; the place
/// of epsilon (outside the root) and of the rate (outside the buffer) as in torch.optim.RMSprop. The clamp is ours:
/// without it the rounded difference may be negative and its root NaN.
/// </remarks>
public sealed class RmsPropReference(
    double learningRate = 1e-2,
    double alpha = 0.99,
    double epsilon = 1e-8,
    double momentum = 0,
    bool centered = false,
    double weightDecay = 0,
    bool decoupled = false,
    bool maximize = false) : ElementwiseReference
{
    private readonly double _learningRate = Check.NotNegative(learningRate);
    private readonly double _alpha = Check.Fraction(alpha);
    private readonly double _epsilon = Check.NotNegative(epsilon);
    private readonly double _momentum = Check.NotNegative(momentum);
    private readonly double _weightDecay = Check.NotNegative(weightDecay);

    /// <inheritdoc/>
    public override string Name => "RMSProp";

    /// <inheritdoc/>
    public override IReadOnlyList<string> StateNames => (_momentum != 0, centered) switch
    {
        (false, false) => ["square_avg"],
        (true, false) => ["square_avg", "momentum_buffer"],
        (false, true) => ["square_avg", "grad_avg"],
        (true, true) => ["square_avg", "momentum_buffer", "grad_avg"],
    };

    /// <inheritdoc/>
    protected override Bounded UpdateElement(int t, Bounded p, Bounded g, Span<Bounded> state)
    {
        Prepare(ref p, ref g, _weightDecay, decoupled, _learningRate, maximize);
        state[0] = Average(state[0], g * g, _alpha);
        Bounded variance = state[0];
        if (centered)
        {
            ref Bounded mean = ref state[^1];
            mean = Average(mean, g, _alpha);
            variance = Bounded.Max(variance - (mean * mean), 0);
        }

        Bounded denominator = Bounded.Sqrt(variance) + Bounded.Rounded(_epsilon);
        Bounded rate = Bounded.Rounded(_learningRate);
        if (_momentum == 0)
        {
            return p - (rate * g / denominator);
        }

        state[1] = (Bounded.Rounded(_momentum) * state[1]) + (g / denominator);
        return p - (rate * state[1]);
    }
}
