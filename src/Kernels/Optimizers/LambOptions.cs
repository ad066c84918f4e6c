using System.Diagnostics.CodeAnalysis;
using ILGPU.Runtime;
using Kernels.DeviceCode.Optimizers;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>
/// LAMB (You et al. 2020, arXiv:1904.00962): Adam's direction, scaled for each tensor by the ratio of the norms of its
/// parameters and of the direction. State: <c>exp_avg</c>, <c>exp_avg_sq</c>. 42 bytes a parameter (F32).
/// </summary>
/// <remarks>Decoupled, the default, adds the decay to the direction before its norm is taken, as published.</remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed record LambOptions : OptimizerOptions
{
    /// <summary>The published defaults.</summary>
    public LambOptions()
    {
        WeightDecay = 0.01;
        Decoupled = true;
    }

    /// <summary>Decay of the mean of the gradients, in [0, 1).</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Decay of the mean of the squared gradients, in [0, 1).</summary>
    public double Beta2 { get; init; } = 0.999;

    /// <summary>Added to the corrected root; not negative.</summary>
    public double Epsilon { get; init; } = 1e-6;

    internal override OptimizerEngine CreateEngine(
        Accelerator accelerator, Arena arena, OptimizerSettings settings) =>
        new LambEngine(accelerator, arena);

    internal override void Validate(string name)
    {
        base.Validate(name);
        Require.InRange(Beta1, 0, 1, $"{name}.{nameof(Beta1)}");
        Require.InRange(Beta2, 0, 1, $"{name}.{nameof(Beta2)}");
        Require.NotNegative(Epsilon, $"{name}.{nameof(Epsilon)}");
    }

    internal LambScalars Fold(int step) => new()
    {
        Moments = new Moments
        {
            Beta1 = (float)Beta1,
            OneMinusBeta1 = (float)(1 - Beta1),
            Beta2 = (float)Beta2,
            OneMinusBeta2 = (float)(1 - Beta2),
        },
        LearningRate = (float)LearningRate,
        Epsilon = (float)Epsilon,
        MeanScale = (float)(1 / (1 - Math.Pow(Beta1, step))),
        RootScale = (float)(1 / Math.Sqrt(1 - Math.Pow(Beta2, step))),
        Decay = Decoupled ? (float)WeightDecay : 0f,
        L2 = Decoupled ? 0f : (float)WeightDecay,
    };
}
