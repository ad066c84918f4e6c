using System.Diagnostics.CodeAnalysis;
using Kernels.DeviceCode.Optimizers;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>diffGrad (Dubey et al. 2019, arXiv:1909.11015), in the authors' corrected form.</summary>
/// <remarks>State: <c>exp_avg</c>, <c>exp_avg_sq</c>, <c>previous_grad</c>. 36 bytes a parameter (F32).</remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed record DiffGradOptions : ElementwiseOptions
{
    private static readonly UpdateForm s_form = new UpdateForm<DiffGradRule>(
        ["exp_avg", "exp_avg_sq", "previous_grad"], static (options, step) => ((DiffGradOptions)options).Fold(step));

    /// <summary>Decay of the mean of the gradients, in [0, 1).</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Decay of the mean of the squared gradients, in [0, 1).</summary>
    public double Beta2 { get; init; } = 0.999;

    /// <summary>Added to the root before its bias correction; positive.</summary>
    public double Epsilon { get; init; } = 1e-8;

    internal override UpdateForm Form => s_form;

    internal override void Validate(string name)
    {
        base.Validate(name);
        Require.InRange(Beta1, 0, 1, $"{name}.{nameof(Beta1)}");
        Require.InRange(Beta2, 0, 1, $"{name}.{nameof(Beta2)}");
        Require.Positive(Epsilon, $"{name}.{nameof(Epsilon)}");
    }

    private DiffGradRule Fold(int step) => new()
    {
        Moments = AdamOptions.Fold(Beta1, Beta2),
        Epsilon = (float)Epsilon,
        StepSize = (float)(LearningRate * Math.Sqrt(1 - Math.Pow(Beta2, step)) / (1 - Math.Pow(Beta1, step))),
        Decay = FoldDecay(),
    };
}
