using System.Diagnostics.CodeAnalysis;
using Kernels.DeviceCode.Optimizers;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>AdaGrad (Duchi, Hazan, Singer 2011), with PyTorch's learning-rate decay.</summary>
/// <remarks>State: <c>sum</c>. 20 bytes a parameter (F32).</remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed record AdaGradOptions : ElementwiseOptions
{
    private static readonly UpdateForm s_form = new UpdateForm<AdaGradRule>(
        ["sum"], static (options, step) => ((AdaGradOptions)options).Fold(step));

    /// <summary>The published defaults.</summary>
    public AdaGradOptions() => LearningRate = 1e-2;

    /// <summary>The rate of step t is LearningRate / (1 + (t - 1) * LearningRateDecay); not negative.</summary>
    public double LearningRateDecay { get; init; }

    /// <summary>What the sum of squares starts with; not negative.</summary>
    public double InitialAccumulator { get; init; }

    /// <summary>Added to the root; positive.</summary>
    public double Epsilon { get; init; } = 1e-10;

    internal override UpdateForm Form => s_form;

    internal override float InitialState(int slot) => (float)InitialAccumulator;

    internal override void Validate(string name)
    {
        base.Validate(name);
        Require.NotNegative(LearningRateDecay, $"{name}.{nameof(LearningRateDecay)}");
        Require.NotNegative(InitialAccumulator, $"{name}.{nameof(InitialAccumulator)}");
        Require.Positive(Epsilon, $"{name}.{nameof(Epsilon)}");
    }

    private AdaGradRule Fold(int step)
    {
        double rate = LearningRate / (1 + (step - 1) * LearningRateDecay);
        return new()
        {
            LearningRate = (float)rate,
            Epsilon = (float)Epsilon,
            Decay = FoldDecay(rate),
        };
    }
}
