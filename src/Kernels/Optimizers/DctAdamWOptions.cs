using System.Diagnostics.CodeAnalysis;
using ILGPU.Runtime;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>How what a projection loses is kept for the next step.</summary>
public enum ErrorFeedback
{
    /// <summary>It is lost.</summary>
    None,

    /// <summary>As it is: 4 bytes a parameter.</summary>
    F32,

    /// <summary>In blocks of 256 with 256 levels each: 1.03 bytes a parameter.</summary>
    EightBit,

    /// <summary>In blocks of 256 with 16 levels each: 0.53 bytes a parameter.</summary>
    FourBit,
}

/// <summary>
/// DCT-AdamW (Modoranu et al. 2025, arXiv:2505.17967): AdamW in the columns of the discrete cosine basis that carry most of
/// the gradient.
/// </summary>
/// <remarks>
/// State of a matrix [rows, n]: <c>exp_avg</c>, <c>exp_avg_sq</c> [rows, r] (projected on the left [r, n]), <c>index</c> [r],
/// and <c>error</c> with error feedback. The basis is not stored. A step is two fast transforms of the matrix; p is read and
/// written once.
/// <example><code>
/// using var adam = new Optimizer(session, new DctAdamWOptions { Rank = 128 }, [new Parameter("w", weights, 2048, 2048)]);
/// adam.Step(gradient);
/// </code></example>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed record DctAdamWOptions : LowRankOptions
{
    /// <summary>Decay of the mean of the gradients, in [0, 1).</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Decay of the mean of the squared gradients, in [0, 1).</summary>
    public double Beta2 { get; init; } = 0.999;

    /// <summary>Added to the corrected root; positive.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>Columns are chosen anew at step 1 and at steps that this divides; at least 1.</summary>
    public int UpdateInterval { get; init; } = 1;

    /// <summary>
    /// Whether the states move with their columns to a new choice. If not, as by default in the authors' code, a column's
    /// state serves another column of the basis afterwards.
    /// </summary>
    public bool Rotate { get; init; }

    /// <summary>How what a projection loses is kept for the next step.</summary>
    public ErrorFeedback ErrorFeedback { get; init; }

    internal override AdamWOptions Fallback => new()
    {
        LearningRate = LearningRate,
        WeightDecay = WeightDecay,
        Beta1 = Beta1,
        Beta2 = Beta2,
        Epsilon = Epsilon,
        Maximize = Maximize,
    };

    internal override OptimizerEngine CreateEngine(Accelerator accelerator, Arena arena, OptimizerSettings settings) =>
        new DctAdamWEngine(accelerator, arena, this);

    internal override void Validate(string name)
    {
        base.Validate(name);
        Require.InRange(Beta1, 0, 1, $"{name}.{nameof(Beta1)}");
        Require.InRange(Beta2, 0, 1, $"{name}.{nameof(Beta2)}");
        Require.Positive(Epsilon, $"{name}.{nameof(Epsilon)}");
        Require.AtLeast(UpdateInterval, 1, $"{name}.{nameof(UpdateInterval)}");
        Require.Defined(ErrorFeedback, $"{name}.{nameof(ErrorFeedback)}");
    }
}
