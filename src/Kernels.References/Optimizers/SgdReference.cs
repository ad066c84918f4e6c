namespace Kernels.References.Optimizers;

/// <summary>Stochastic gradient descent with momentum, dampening and Nesterov's look-ahead.</summary>
/// <param name="learningRate">Step size, at least 0.</param>
/// <param name="momentum">Share of the old buffer; 0 keeps no buffer.</param>
/// <param name="dampening">Share of the gradient that is held back from the second step on.</param>
/// <param name="nesterov">Whether the step looks ahead along the new buffer.</param>
/// <param name="weightDecay">Decay coefficient, at least 0.</param>
/// <param name="decoupled">Whether the decay acts on the parameter and not on the gradient.</param>
/// <param name="maximize">Whether the objective grows along the step.</param>
/// <exception cref="ArgumentOutOfRangeException">A coefficient is negative.</exception>
/// <remarks>
/// Source: Polyak 1964; Sutskever et al. 2013, equations 1 to 4, in the form of torch.optim.SGD, which keeps the rate
/// out of the buffer: b = g on the first step, then b = momentum b + (1 - dampening) g; p = p - rate d with d = b, or
/// d = g + momentum b for Nesterov.
/// </remarks>
public sealed class SgdReference(
    double learningRate = 1e-3,
    double momentum = 0,
    double dampening = 0,
    bool nesterov = false,
    double weightDecay = 0,
    bool decoupled = false,
    bool maximize = false) : ElementwiseReference
{
    private readonly double _learningRate = Check.NotNegative(learningRate);
    private readonly double _momentum = Check.NotNegative(momentum);
    private readonly double _weightDecay = Check.NotNegative(weightDecay);

    /// <inheritdoc/>
    public override string Name => "SGD";

    /// <inheritdoc/>
    public override IReadOnlyList<string> StateNames => _momentum == 0 ? [] : ["momentum_buffer"];

    /// <inheritdoc/>
    protected override Bounded UpdateElement(int t, Bounded p, Bounded g, Span<Bounded> state)
    {
        Prepare(ref p, ref g, _weightDecay, decoupled, _learningRate, maximize);
        Bounded direction = g;
        if (_momentum != 0)
        {
            Bounded mu = Bounded.Rounded(_momentum);
            state[0] = t == 1 ? g : (mu * state[0]) + (Bounded.Rounded(1 - dampening) * g);
            direction = nesterov ? g + (mu * state[0]) : state[0];
        }

        return p - (Bounded.Rounded(_learningRate) * direction);
    }
}
