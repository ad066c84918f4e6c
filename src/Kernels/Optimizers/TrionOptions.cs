using System.Diagnostics.CodeAnalysis;
using ILGPU.Runtime;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>
/// Trion (Modoranu et al. 2025, arXiv:2505.17967): the columns of the discrete cosine basis that carry most of the momentum,
/// made orthogonal.
/// </summary>
/// <remarks>
/// B = M + G; b, the r columns of the transformed B with the largest norms; M = B - (1 - mu) b Q_r, so that what the
/// projection loses stays for later steps; O = <see cref="Dct.NewtonSchulz"/> of b; p = p (1 - rate decay) - rate scale O
/// Q_r. State of a matrix [rows, n]: <c>momentum_buffer</c> [rows, n]. Against <see cref="MuonOptions"/> it spares
/// products, not state: theirs are of r columns.
/// <example><code>
/// using var trion = new Optimizer(session, new TrionOptions { Rank = 256 }, [new Parameter("w", weights, 2048, 2048)]);
/// trion.Step(gradient);
/// </code></example>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed record TrionOptions : LowRankOptions
{
    /// <summary>The authors' defaults.</summary>
    public TrionOptions()
    {
        LearningRate = 0.02;
    }

    /// <summary>mu, how much of the projected momentum is left after a step, in [0, 1).</summary>
    public double Momentum { get; init; } = 0.95;

    /// <summary>What the update is multiplied by.</summary>
    public UpdateScale Scale { get; init; }

    /// <summary>
    /// The options of parameters that are no matrix, with the authors' defaults. AMSGrad is not possible, and whether to
    /// maximize is said by these options for all parameters.
    /// </summary>
    public AdamWOptions AdamW { get; init; } = SideGroup.Defaults;

    internal override AdamWOptions Fallback => SideGroup.Of(AdamW, this);

    internal override OptimizerEngine CreateEngine(Accelerator accelerator, Arena arena, OptimizerSettings settings) =>
        new TrionEngine(accelerator, arena, this);

    internal override OptimizerOptions Scaled(double factor) =>
        (TrionOptions)base.Scaled(factor) with { AdamW = SideGroup.Scaled(AdamW, factor) };

    internal override void Validate(string name)
    {
        base.Validate(name);
        Require.InRange(Momentum, 0, 1, $"{name}.{nameof(Momentum)}");
        Require.Defined(Scale, $"{name}.{nameof(Scale)}");
        SideGroup.Validate(AdamW, this, name);
    }
}

/// <summary>The parameters that an optimizer of orthogonal updates leaves to AdamW.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal static class SideGroup
{
    /// <summary>The defaults of Jordan's and of Trion's authors' code.</summary>
    internal static AdamWOptions Defaults { get; } = new()
    {
        LearningRate = 3e-4,
        Beta1 = 0.9,
        Beta2 = 0.95,
        Epsilon = 1e-10,
        WeightDecay = 0,
    };

    /// <summary>The options that count.</summary>
    internal static AdamWOptions Of(AdamWOptions options, MatrixOptions matrices) =>
        options with { Maximize = matrices.Maximize };

    /// <summary>With the rate times a factor.</summary>
    internal static AdamWOptions Scaled(AdamWOptions options, double factor) => (AdamWOptions)options.Scaled(factor);

    internal static void Validate(AdamWOptions options, MatrixOptions matrices, string name)
    {
        Require.NotNull(options, $"{name}.{nameof(TrionOptions.AdamW)}");
        options.Validate($"{name}.{nameof(TrionOptions.AdamW)}");
        if (options.AmsGrad || (options.Maximize && !matrices.Maximize))
        {
            throw new ArgumentException(
                $"AdamW of what is no matrix has no AMSGrad and maximizes only with the matrices; it is {options}.", name);
        }
    }
}
