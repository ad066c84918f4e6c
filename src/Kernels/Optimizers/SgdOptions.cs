using System.Diagnostics.CodeAnalysis;
using Kernels.DeviceCode.Optimizers;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>Stochastic gradient descent, with momentum where it is not 0; PyTorch's conventions.</summary>
/// <remarks>State: none, or <c>momentum_buffer</c>. 12 bytes a parameter, 20 with momentum (F32).</remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed record SgdOptions : ElementwiseOptions
{
    private static readonly UpdateForm s_plain = new UpdateForm<SgdRule>(
        [], static (options, _) => ((SgdOptions)options).FoldPlain());

    private static readonly UpdateForm s_momentum = new UpdateForm<SgdMomentumRule>(
        ["momentum_buffer"], static (options, step) => ((SgdOptions)options).FoldMomentum(step));

    /// <summary>Momentum, in [0, 1).</summary>
    public double Momentum { get; init; }

    /// <summary>Dampening of the gradient in the momentum, in [0, 1]; not used in the first step.</summary>
    public double Dampening { get; init; }

    /// <summary>Nesterov's momentum; needs a momentum and no dampening.</summary>
    public bool Nesterov { get; init; }

    internal override UpdateForm Form => Momentum == 0 ? s_plain : s_momentum;

    internal override void Validate(string name)
    {
        base.Validate(name);
        Require.InRange(Momentum, 0, 1, $"{name}.{nameof(Momentum)}");
        Require.InRange(Dampening, 0, Math.BitIncrement(1.0), $"{name}.{nameof(Dampening)}");
        if (Nesterov && (Momentum == 0 || Dampening != 0))
        {
            throw new ArgumentException("Nesterov's momentum needs a momentum above 0 and no dampening.", name);
        }
    }

    private SgdRule FoldPlain() => new() { LearningRate = (float)LearningRate, Decay = FoldDecay() };

    private SgdMomentumRule FoldMomentum(int step) => new()
    {
        LearningRate = (float)LearningRate,
        Momentum = step == 1 ? 0f : (float)Momentum,
        Gain = step == 1 ? 1f : (float)(1 - Dampening),
        Lookahead = (float)Momentum,
        Nesterov = Nesterov ? 1 : 0,
        Decay = FoldDecay(),
    };
}
