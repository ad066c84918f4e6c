using System.Diagnostics.CodeAnalysis;
using Kernels.DeviceCode.Optimizers;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>RMSProp (Hinton 2012), with momentum and centering (Graves 2013) as options; PyTorch's conventions.</summary>
/// <remarks>
/// State: <c>square_avg</c>, then <c>momentum_buffer</c> and <c>grad_avg</c> where used. 20, 28 or 36 bytes a parameter
/// (F32).
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed record RmsPropOptions : ElementwiseOptions
{
    private static readonly UpdateForm s_plain = new UpdateForm<RmsPropRule>(
        ["square_avg"], static (options, _) => new() { Scalars = ((RmsPropOptions)options).Fold() });

    private static readonly UpdateForm s_momentum = new UpdateForm<RmsPropMomentumRule>(
        ["square_avg", "momentum_buffer"], static (options, _) => new() { Scalars = ((RmsPropOptions)options).Fold() });

    private static readonly UpdateForm s_centered = new UpdateForm<RmsPropCenteredRule>(
        ["square_avg", "grad_avg"], static (options, _) => new() { Scalars = ((RmsPropOptions)options).Fold() });

    private static readonly UpdateForm s_both = new UpdateForm<RmsPropCenteredMomentumRule>(
        ["square_avg", "momentum_buffer", "grad_avg"],
        static (options, _) => new() { Scalars = ((RmsPropOptions)options).Fold() });

    /// <summary>The published defaults.</summary>
    public RmsPropOptions() => LearningRate = 1e-2;

    /// <summary>Decay of the mean square, in [0, 1).</summary>
    public double Alpha { get; init; } = 0.99;

    /// <summary>Added to the root; positive.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>Momentum, in [0, 1).</summary>
    public double Momentum { get; init; }

    /// <summary>Divides by the root of the variance instead of the mean square; a negative variance counts as 0.</summary>
    public bool Centered { get; init; }

    internal override UpdateForm Form => (Momentum != 0, Centered) switch
    {
        (false, false) => s_plain,
        (true, false) => s_momentum,
        (false, true) => s_centered,
        (true, true) => s_both,
    };

    internal override void Validate(string name)
    {
        base.Validate(name);
        Require.InRange(Alpha, 0, 1, $"{name}.{nameof(Alpha)}");
        Require.InRange(Momentum, 0, 1, $"{name}.{nameof(Momentum)}");
        Require.Positive(Epsilon, $"{name}.{nameof(Epsilon)}");
    }

    private RmsPropScalars Fold() => new()
    {
        LearningRate = (float)LearningRate,
        Alpha = (float)Alpha,
        OneMinusAlpha = (float)(1 - Alpha),
        Momentum = (float)Momentum,
        Epsilon = (float)Epsilon,
        Decay = FoldDecay(),
    };
}
