using System.Diagnostics.CodeAnalysis;
using Kernels.DeviceCode.Optimizers;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>Which maximum AMSGrad keeps.</summary>
public enum AmsGradRule
{
    /// <summary>Of the raw second moment, corrected afterwards: PyTorch.</summary>
    Torch,

    /// <summary>Of the bias-corrected second moment: optax.</summary>
    Optax,
}

/// <summary>
/// Adam (Kingma, Ba 2014, arXiv:1412.6980), with AMSGrad (Reddi, Kale, Kumar 2018, arXiv:1904.09237) as an option.
/// </summary>
/// <remarks>
/// State: <c>exp_avg</c>, <c>exp_avg_sq</c>, and <c>max_exp_avg_sq</c> with AMSGrad. 28 bytes a parameter, 36 with
/// AMSGrad (F32).
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public record AdamOptions : ElementwiseOptions
{
    private static readonly UpdateForm s_adam = new UpdateForm<AdamRule>(
        ["exp_avg", "exp_avg_sq"], static (options, step) => ((AdamOptions)options).Fold(step));

    private static readonly UpdateForm s_amsGrad = new UpdateForm<DeviceCode.Optimizers.AmsGradRule>(
        ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"], static (options, step) => ((AdamOptions)options).FoldAmsGrad(step));

    /// <summary>Decay of the mean of the gradients, in [0, 1).</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Decay of the mean of the squared gradients, in [0, 1).</summary>
    public double Beta2 { get; init; } = 0.999;

    /// <summary>Added to the corrected root; positive.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>Divides by the root of the largest second moment so far.</summary>
    public bool AmsGrad { get; init; }

    /// <summary>Which maximum <see cref="AmsGrad"/> keeps.</summary>
    public AmsGradRule AmsGradRule { get; init; } = AmsGradRule.Torch;

    internal override UpdateForm Form => AmsGrad ? s_amsGrad : s_adam;

    internal override void Validate(string name)
    {
        base.Validate(name);
        Require.InRange(Beta1, 0, 1, $"{name}.{nameof(Beta1)}");
        Require.InRange(Beta2, 0, 1, $"{name}.{nameof(Beta2)}");
        Require.Positive(Epsilon, $"{name}.{nameof(Epsilon)}");
        Require.Defined(AmsGradRule, $"{name}.{nameof(AmsGradRule)}");
    }

    private AdamRule Fold(int step) => new()
    {
        Moments = Fold(Beta1, Beta2),
        Epsilon = (float)Epsilon,
        StepSize = (float)(LearningRate / (1 - Math.Pow(Beta1, step))),
        RootScale = (float)(1 / Math.Sqrt(1 - Math.Pow(Beta2, step))),
        Decay = FoldDecay(),
    };

    private DeviceCode.Optimizers.AmsGradRule FoldAmsGrad(int step)
    {
        AdamRule adam = Fold(step);
        bool torch = AmsGradRule == AmsGradRule.Torch;
        return new()
        {
            Moments = adam.Moments,
            Epsilon = adam.Epsilon,
            StepSize = adam.StepSize,
            MaximumScale = torch ? 1f : (float)(1 / (1 - Math.Pow(Beta2, step))),
            RootScale = torch ? adam.RootScale : 1f,
            Decay = adam.Decay,
        };
    }

    internal static Moments Fold(double beta1, double beta2) => new()
    {
        Beta1 = (float)beta1,
        OneMinusBeta1 = (float)(1 - beta1),
        Beta2 = (float)beta2,
        OneMinusBeta2 = (float)(1 - beta2),
    };
}

/// <summary>
/// AdamW (Loshchilov, Hutter 2017, arXiv:1711.05101): <see cref="AdamOptions"/> with decoupled weight decay of 0.01.
/// </summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed record AdamWOptions : AdamOptions
{
    /// <summary>The published defaults.</summary>
    public AdamWOptions()
    {
        WeightDecay = 0.01;
        Decoupled = true;
    }
}
