using ILGPU.Runtime;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>What every optimizer can be told. The derived record chooses the algorithm.</summary>
public abstract record OptimizerOptions
{
    private protected OptimizerOptions() { }

    /// <summary>Step size; finite and not negative. 0 leaves the parameters and still renews the state.</summary>
    public double LearningRate { get; init; } = 1e-3;

    /// <summary>Weight decay; finite and not negative.</summary>
    public double WeightDecay { get; init; }

    /// <summary>
    /// True: decay shrinks the parameter by <c>1 - LearningRate * WeightDecay</c> before the update (AdamW's way).
    /// False: decay is added to the gradient (L2).
    /// </summary>
    public bool Decoupled { get; init; }

    /// <summary>True climbs: the gradient is negated before anything else.</summary>
    public bool Maximize { get; init; }

    /// <summary>What an optimizer of these options does with its arena.</summary>
    internal abstract OptimizerEngine CreateEngine(
        Accelerator accelerator, Arena arena, OptimizerSettings settings);

    /// <summary>These with every learning rate times a factor.</summary>
    internal virtual OptimizerOptions Scaled(double factor) => this with { LearningRate = LearningRate * factor };

    /// <summary>Checks every option.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range or not a number.</exception>
    internal virtual void Validate(string name)
    {
        Require.NotNegative(LearningRate, $"{name}.{nameof(LearningRate)}");
        Require.NotNegative(WeightDecay, $"{name}.{nameof(WeightDecay)}");
    }
}
