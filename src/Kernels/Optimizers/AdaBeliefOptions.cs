using System.Diagnostics.CodeAnalysis;
using Kernels.DeviceCode.Optimizers;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>AdaBelief (Zhuang et al. 2020, arXiv:2010.07468), as in the authors' adabelief-pytorch 0.2.1.</summary>
/// <remarks>
/// State: <c>exp_avg</c>, <c>exp_avg_var</c>, and <c>max_exp_avg_var</c> with AMSGrad. 28 bytes a parameter, 36 with
/// AMSGrad (F32).
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed record AdaBeliefOptions : ElementwiseOptions
{
    private static readonly UpdateForm s_plain = new UpdateForm<AdaBeliefRule>(
        ["exp_avg", "exp_avg_var"], static (options, step) => new() { Scalars = ((AdaBeliefOptions)options).Fold(step) });

    private static readonly UpdateForm s_amsGrad = new UpdateForm<AdaBeliefAmsGradRule>(
        ["exp_avg", "exp_avg_var", "max_exp_avg_var"],
        static (options, step) => new()
        {
            Scalars = ((AdaBeliefOptions)options).Fold(step),
            UseMaximum = ((AdaBeliefOptions)options).Rectify ? 0 : 1,
        });

    /// <summary>The published defaults.</summary>
    public AdaBeliefOptions() => Decoupled = true;

    /// <summary>Decay of the mean of the gradients, in [0, 1).</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Decay of the belief, in [0, 1).</summary>
    public double Beta2 { get; init; } = 0.999;

    /// <summary>Stored in the belief and added to its root; positive. About the square of Adam's.</summary>
    public double Epsilon { get; init; } = 1e-16;

    /// <summary>Rectifies the variance of the adaptive rate (Liu et al. 2019) in the first steps.</summary>
    public bool Rectify { get; init; } = true;

    /// <summary>
    /// Where rectification turns the adaptive rate off: true takes a momentum step, false leaves the parameters.
    /// </summary>
    public bool DegeneratedToSgd { get; init; } = true;

    /// <summary>Decoupled decay shrinks by 1 - WeightDecay, whatever the learning rate.</summary>
    public bool FixedDecay { get; init; }

    /// <summary>Keeps the largest belief; a rectified step does not use it.</summary>
    public bool AmsGrad { get; init; }

    internal override UpdateForm Form => AmsGrad ? s_amsGrad : s_plain;

    internal override void Validate(string name)
    {
        base.Validate(name);
        Require.InRange(Beta1, 0, 1, $"{name}.{nameof(Beta1)}");
        Require.InRange(Beta2, 0, 1, $"{name}.{nameof(Beta2)}");
        Require.Positive(Epsilon, $"{name}.{nameof(Epsilon)}");
        if (FixedDecay && !Decoupled)
        {
            throw new ArgumentException("A fixed decay needs a decoupled one.", name);
        }
    }

    private AdaBeliefScalars Fold(int step)
    {
        double correction1 = 1 - Math.Pow(Beta1, step);
        double power2 = Math.Pow(Beta2, step);
        double correction2 = 1 - power2;
        double size = LearningRate / correction1;
        double rootScale = 1 / Math.Sqrt(correction2);
        bool adaptive = true;
        if (Rectify)
        {
            double limit = 2 / (1 - Beta2) - 1;
            double length = limit - 2 * step * power2 / correction2;
            adaptive = length >= 5;
            rootScale = 1;
            if (adaptive)
            {
                size *= Math.Sqrt(
                    correction2 * (length - 4) / (limit - 4) * (length - 2) / (limit - 2) * limit / length);
            }
        }

        return new()
        {
            Moments = AdamOptions.Fold(Beta1, Beta2),
            Epsilon = (float)Epsilon,
            StepSize = (float)size,
            RootScale = (float)rootScale,
            Adaptive = adaptive ? 1 : 0,
            Moves = adaptive || DegeneratedToSgd ? 1 : 0,
            Decay = FixedDecay ? new Decay { Shrink = (float)(1 - WeightDecay) } : FoldDecay(),
        };
    }
}
