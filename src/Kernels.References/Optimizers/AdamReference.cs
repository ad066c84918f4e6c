namespace Kernels.References.Optimizers;

/// <summary>Adam, AdamW (decoupled decay) and AMSGrad.</summary>
/// <param name="learningRate">Step size, at least 0.</param>
/// <param name="beta1">Decay of the mean, in [0, 1).</param>
/// <param name="beta2">Decay of the second moment, in [0, 1).</param>
/// <param name="epsilon">Added to the root of the corrected second moment, at least 0.</param>
/// <param name="weightDecay">Decay coefficient, at least 0.</param>
/// <param name="decoupled">Whether the decay acts on the parameter and not on the gradient: AdamW.</param>
/// <param name="amsgrad">Whether the denominator is a running maximum.</param>
/// <param name="amsgradRule">Of what the maximum is taken.</param>
/// <param name="maximize">Whether the objective grows along the step.</param>
/// <exception cref="ArgumentOutOfRangeException">A coefficient is out of its range.</exception>
/// <remarks>
/// Source: Kingma and Ba 2015, arXiv:1412.6980, algorithm 1; Loshchilov and Hutter 2019, arXiv:1711.05101,
/// algorithm 2 with the rate as the schedule of the decay, as PyTorch has it; Reddi et al. 2018, arXiv:1904.09237,
/// algorithm 2, to which PyTorch and Optax add the bias correction in two ways.
/// </remarks>
public sealed class AdamReference(
    double learningRate = 1e-3,
    double beta1 = 0.9,
    double beta2 = 0.999,
    double epsilon = 1e-8,
    double weightDecay = 0,
    bool decoupled = false,
    bool amsgrad = false,
    AmsGradRule amsgradRule = AmsGradRule.Torch,
    bool maximize = false) : ElementwiseReference
{
    private readonly double _learningRate = Check.NotNegative(learningRate);
    private readonly double _beta1 = Check.Fraction(beta1);
    private readonly double _beta2 = Check.Fraction(beta2);
    private readonly double _epsilon = Check.NotNegative(epsilon);
    private readonly double _weightDecay = Check.NotNegative(weightDecay);

    /// <inheritdoc/>
    public override string Name => amsgrad ? "AMSGrad" : decoupled ? "AdamW" : "Adam";

    /// <inheritdoc/>
    public override IReadOnlyList<string> StateNames =>
        amsgrad ? ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"] : ["exp_avg", "exp_avg_sq"];

    /// <inheritdoc/>
    protected override Bounded UpdateElement(int t, Bounded p, Bounded g, Span<Bounded> state)
    {
        double correction1 = 1 - Math.Pow(_beta1, t);
        double correction2 = 1 - Math.Pow(_beta2, t);
        Prepare(ref p, ref g, _weightDecay, decoupled, _learningRate, maximize);
        state[0] = Average(state[0], g, _beta1);
        state[1] = Average(state[1], g * g, _beta2);
        Bounded root = Root(state, correction2) + Bounded.Rounded(_epsilon);
        Bounded mean = state[0] / Bounded.Rounded(correction1);
        return p - (Bounded.Rounded(_learningRate) * mean / root);
    }

    private Bounded Root(Span<Bounded> state, double correction2)
    {
        if (amsgrad && amsgradRule == AmsGradRule.Optax)
        {
            state[2] = Bounded.Max(state[2], state[1] / Bounded.Rounded(correction2));
            return Bounded.Sqrt(state[2]);
        }

        if (amsgrad)
        {
            state[2] = Bounded.Max(state[2], state[1]);
        }

        // The root of the quotient as a quotient of roots: a kernel folds the second one.
        return Bounded.Sqrt(state[amsgrad ? 2 : 1]) / Bounded.Rounded(Math.Sqrt(correction2));
    }
}
