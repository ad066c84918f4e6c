using System.Diagnostics.CodeAnalysis;
using ILGPU.Runtime;
using Kernels.DeviceCode.Optimizers;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>
/// AdaGradNorm (Ward, Wu, Bottou 2020, arXiv:1806.01811): one step size for all parameters,
/// <c>b² += |g|²; p -= LearningRate / b * g</c>. State: <c>sum</c>, one number. 16 bytes a parameter (F32).
/// </summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed record AdaGradNormOptions : OptimizerOptions
{
    /// <summary>The published form, with a step size of 0.01.</summary>
    public AdaGradNormOptions() => LearningRate = 1e-2;

    /// <summary>b² before the first step; finite and not negative.</summary>
    public double InitialAccumulator { get; init; } = 0.01;

    internal override OptimizerEngine CreateEngine(
        Accelerator accelerator, Arena arena, OptimizerSettings settings) =>
        new AdaGradNormEngine(accelerator, arena, this);

    internal override void Validate(string name)
    {
        base.Validate(name);
        Require.NotNegative(InitialAccumulator, $"{name}.{nameof(InitialAccumulator)}");
    }

    internal Decay FoldDecay() => new()
    {
        L2 = Decoupled ? 0f : (float)WeightDecay,
        Shrink = Decoupled ? (float)(1 - LearningRate * WeightDecay) : 1f,
    };
}
