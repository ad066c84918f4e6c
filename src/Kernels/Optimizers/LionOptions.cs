using System.Diagnostics.CodeAnalysis;
using Kernels.DeviceCode.Optimizers;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>Lion (Chen et al. 2023, arXiv:2302.06675); weight decay is decoupled unless said otherwise.</summary>
/// <remarks>State: <c>exp_avg</c>. 20 bytes a parameter (F32).</remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed record LionOptions : ElementwiseOptions
{
    private static readonly UpdateForm s_form = new UpdateForm<LionRule>(
        ["exp_avg"], static (options, _) => ((LionOptions)options).Fold());

    /// <summary>The published defaults.</summary>
    public LionOptions()
    {
        LearningRate = 1e-4;
        Decoupled = true;
    }

    /// <summary>Weight of the average in the direction, in [0, 1).</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Decay of the average, in [0, 1).</summary>
    public double Beta2 { get; init; } = 0.99;

    internal override UpdateForm Form => s_form;

    internal override void Validate(string name)
    {
        base.Validate(name);
        Require.InRange(Beta1, 0, 1, $"{name}.{nameof(Beta1)}");
        Require.InRange(Beta2, 0, 1, $"{name}.{nameof(Beta2)}");
    }

    private LionRule Fold() => new()
    {
        LearningRate = (float)LearningRate,
        Moments = AdamOptions.Fold(Beta1, Beta2),
        Decay = FoldDecay(),
    };
}
