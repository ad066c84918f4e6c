using System.Diagnostics.CodeAnalysis;
using ILGPU.Runtime;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>
/// Muon (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"): momentum, made orthogonal.
/// </summary>
/// <remarks>
/// M = mu M + (1 - mu) G; U = mu M + (1 - mu) G, or M without Nesterov; O = <see cref="Dct.NewtonSchulz"/> of U; p = p (1 -
/// rate decay) - rate scale O. State of a matrix: <c>momentum_buffer</c>.
/// <example><code>
/// using var muon = new Optimizer(session, new MuonOptions(), [new Parameter("w", weights, 2048, 2048)]);
/// muon.Step(gradient);
/// </code></example>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed record MuonOptions : MatrixOptions
{
    /// <summary>The author's defaults.</summary>
    public MuonOptions()
    {
        LearningRate = 0.02;
    }

    /// <summary>mu, decay of the momentum, in [0, 1).</summary>
    public double Momentum { get; init; } = 0.95;

    /// <summary>Whether the gradient counts once more.</summary>
    public bool Nesterov { get; init; } = true;

    /// <summary>What the update is multiplied by.</summary>
    public UpdateScale Scale { get; init; }

    /// <summary>
    /// The options of parameters that are no matrix, with the author's defaults. AMSGrad is not possible, and whether to
    /// maximize is said by these options for all parameters.
    /// </summary>
    public AdamWOptions AdamW { get; init; } = SideGroup.Defaults;

    internal override AdamWOptions Fallback => SideGroup.Of(AdamW, this);

    internal override OptimizerEngine CreateEngine(Accelerator accelerator, Arena arena, OptimizerSettings settings) =>
        new MuonEngine(accelerator, arena, this);

    internal override OptimizerOptions Scaled(double factor) =>
        (MuonOptions)base.Scaled(factor) with { AdamW = SideGroup.Scaled(AdamW, factor) };

    internal override void Validate(string name)
    {
        base.Validate(name);
        Require.InRange(Momentum, 0, 1, $"{name}.{nameof(Momentum)}");
        Require.Defined(Scale, $"{name}.{nameof(Scale)}");
        SideGroup.Validate(AdamW, this, name);
    }
}
