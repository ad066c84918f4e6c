using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>Which average of the parameters is kept.</summary>
public enum WeightAveraging
{
    /// <summary>None.</summary>
    None,

    /// <summary>Exponential moving average: average += (1 - decay) * (p - average).</summary>
    Exponential,

    /// <summary>Arithmetic mean of the parameters after every step (stochastic weight averaging).</summary>
    Stochastic,
}

/// <summary>How the state of an optimizer is kept.</summary>
public enum StateStorage
{
    /// <summary>In F32.</summary>
    F32,

    /// <summary>
    /// In 8 bits with a scale for each 256 of a parameter's elements (Dettmers et al. 2021, arXiv:2110.02861): 2.03
    /// bytes a parameter instead of 8. For Adam and AdamW without AMSGrad; parameters of less than 4,096 elements keep
    /// their state in F32, as in bitsandbytes.
    /// </summary>
    EightBit,
}

/// <summary>How an optimizer keeps its tensors and what it does in the same pass.</summary>
public sealed record OptimizerSettings
{
    /// <summary>How the parameters are kept.</summary>
    public Storage Parameters { get; init; } = Storage.F32;

    /// <summary>How the gradients are kept.</summary>
    public Storage Gradients { get; init; } = Storage.F32;

    /// <summary>How the state of the optimizer is kept.</summary>
    public StateStorage StateStorage { get; init; }

    /// <summary>
    /// Keeps an F32 master of the parameters; the parameters in <see cref="Parameters"/> (F16 or BF16) are then a copy
    /// that every step renews.
    /// </summary>
    public bool Master { get; init; }

    /// <summary>Rounds BF16 parameters stochastically.</summary>
    public bool StochasticRounding { get; init; }

    /// <summary>Key of the random numbers of <see cref="StochasticRounding"/>.</summary>
    public ulong Seed { get; init; }

    /// <summary>Which average of the parameters is kept.</summary>
    public WeightAveraging Averaging { get; init; }

    /// <summary>Decay of the exponential average, in [0, 1).</summary>
    public double AverageDecay { get; init; } = 0.999;

    /// <summary>
    /// Clips the gradients of a step to this norm, taken over all parameters that are not frozen; not negative. A step
    /// whose gradients are not finite is skipped. Null does neither.
    /// </summary>
    public double? MaxGradientNorm { get; init; }

    /// <summary>
    /// The gradients are those of a loss times a scale: the step divides by it, is skipped where a gradient is not
    /// finite, and the scale grows and backs off. Null: the gradients are those of the loss.
    /// </summary>
    public LossScalerOptions? LossScaling { get; init; }

    internal static void Validate(OptimizerSettings settings, OptimizerOptions options)
    {
        Require.Defined(settings.Parameters);
        Require.Defined(settings.Gradients);
        Require.Defined(settings.Averaging);
        Require.Defined(settings.StateStorage);
        if (settings.StateStorage == StateStorage.EightBit && options is not AdamOptions { AmsGrad: false })
        {
            throw new ArgumentException(
                $"StateStorage.EightBit is for Adam and AdamW without AMSGrad, and the options are {options}.",
                nameof(settings));
        }

        Require.InRange(settings.AverageDecay, 0, 1);
        if (settings.MaxGradientNorm is { } norm)
        {
            Require.NotNegative(norm, "settings.MaxGradientNorm");
        }

        if (settings.Master && settings.Parameters == Storage.F32)
        {
            throw new ArgumentException("A Master is for Parameters in F16 or BF16.", nameof(settings));
        }

        if (settings.StochasticRounding && settings.Parameters != Storage.BF16)
        {
            throw new ArgumentException("StochasticRounding is for Parameters in BF16.", nameof(settings));
        }
    }
}
