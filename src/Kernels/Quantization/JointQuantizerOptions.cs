using System.Diagnostics.CodeAnalysis;
using Kernels.Optimizers;
using Kernels.Validation;

namespace Kernels.Quantization;

/// <summary>What learns the codes of the weights.</summary>
public enum MappingForm
{
    /// <summary>One latent number for each weight: <see cref="Quantization.Latent"/>.</summary>
    Latent = 0,

    /// <summary>k logits for each weight: <see cref="Mapping"/>.</summary>
    Logits = 1,
}

/// <summary>How <see cref="JointQuantizer"/> learns.</summary>
/// <remarks>The rates of the three optimizers are in units of what they learn: latent numbers and logits as they are,
/// codes in mean gaps of the start's codebooks, scales in the mean of the start's scales. All fall to 0 along half a
/// cosine.</remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed record JointQuantizerOptions
{
    /// <summary>Steps of gradient descent on codes, scales and mapping together; at least 0.</summary>
    public int Steps { get; init; } = 100;

    /// <summary>What learns the codes of the weights.</summary>
    public MappingForm Form { get; init; } = MappingForm.Latent;

    /// <summary>The gradient of logits.</summary>
    public MappingOptions Mapping { get; init; } = new();

    /// <summary>The temperature of the first step and of the last; between them in a constant ratio. Positive.</summary>
    public double StartTemperature { get; init; } = 1;

    /// <summary>As <see cref="StartTemperature"/>.</summary>
    public double EndTemperature { get; init; } = 0.25;

    /// <summary>
    /// The weight of the hardening of logits at the last step, in units of the start's objective by the number of weights;
    /// it grows from 0 in a straight line. At least 0.
    /// </summary>
    public double Hardening { get; init; }

    /// <summary>The optimizer of the mapping.</summary>
    public OptimizerOptions MappingOptimizer { get; init; } = new AdamOptions { LearningRate = 0.02 };

    /// <summary>The optimizer of the codebooks.</summary>
    public OptimizerOptions CodebookOptimizer { get; init; } = new AdamOptions { LearningRate = 0.005 };

    /// <summary>The optimizer of the scales.</summary>
    public OptimizerOptions ScaleOptimizer { get; init; } = new AdamOptions { LearningRate = 0.002 };

    /// <summary>Whether codebooks learn.</summary>
    public bool LearnsCodebook { get; init; } = true;

    /// <summary>Whether scales learn, where there are any.</summary>
    public bool LearnsScale { get; init; } = true;

    /// <summary>
    /// Rounds of what follows the steps, from the best so far on: descent along single weights, and then the best codes
    /// and scales for these. Rounds end when one gains less than 1 part in 10,000. At least 0.
    /// </summary>
    public int Rounds { get; init; } = 10;

    internal void Validate(string name)
    {
        Require.AtLeast(Steps, 0, $"{name}.{nameof(Steps)}");
        Require.AtLeast(Rounds, 0, $"{name}.{nameof(Rounds)}");
        Require.Defined(Form, $"{name}.{nameof(Form)}");
        Require.Positive(StartTemperature, $"{name}.{nameof(StartTemperature)}");
        Require.Positive(EndTemperature, $"{name}.{nameof(EndTemperature)}");
        Require.NotNegative(Hardening, $"{name}.{nameof(Hardening)}");
        Require.NotNull(Mapping, name);
        Require.NotNull(MappingOptimizer, name);
        Require.NotNull(CodebookOptimizer, name);
        Require.NotNull(ScaleOptimizer, name);
        Mapping.Validate(name);
        MappingOptimizer.Validate(name);
        CodebookOptimizer.Validate(name);
        ScaleOptimizer.Validate(name);
    }
}

/// <summary>Where learning is.</summary>
/// <param name="Step">Steps and rounds done.</param>
/// <param name="Steps">Steps and rounds at most.</param>
/// <param name="Objective">The objective of the hard codes now.</param>
/// <param name="Best">The least so far.</param>
public readonly record struct JointQuantizerProgress(int Step, int Steps, float Objective, float Best);

/// <summary>What learning came to.</summary>
/// <param name="Before">The objective of the start.</param>
/// <param name="AfterSteps">The least up to the last step of gradient descent.</param>
/// <param name="After">The least in all: that of the result.</param>
public readonly record struct JointQuantizerResult(float Before, float AfterSteps, float After);
