using System.Numerics;
using ILGPU.Runtime;
using Kernels.Dct;
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

/// <summary>Options of an optimizer of matrices; what is no matrix is stepped by AdamW.</summary>
/// <remarks>
/// A parameter is a matrix if it has two dimensions, both below <see cref="MaxDimension"/>. The decay is always decoupled.
/// </remarks>
public abstract record MatrixOptions : OptimizerOptions
{
    private protected MatrixOptions()
    {
        Decoupled = true;
    }

    /// <summary>A parameter with a dimension as large as this is no matrix: embeddings and heads. At least 1.</summary>
    public int MaxDimension { get; init; } = 32_000;

    /// <summary>The options of a parameter that is no matrix.</summary>
    internal abstract AdamWOptions Fallback { get; }

    /// <summary>Whether a parameter is a matrix of this optimizer.</summary>
    internal virtual bool IsMatrix(Parameter parameter) =>
        parameter.Shape.Count == 2 && parameter.Shape.All(n => n > 0 && n < MaxDimension);

    internal override void Validate(string name)
    {
        base.Validate(name);
        if (!Decoupled)
        {
            throw new ArgumentException($"The decay of {GetType().Name} is decoupled; Decoupled must be true.", name);
        }

        Require.InRange(MaxDimension, 1, 1 << 20, $"{name}.{nameof(MaxDimension)}");
    }
}

/// <summary>Options of an optimizer that works in the columns of a basis that carry most of a matrix.</summary>
public abstract record LowRankOptions : MatrixOptions
{
    private protected LowRankOptions() { }

    /// <summary>
    /// r, columns that are kept; at least 1. A matrix whose basis has fewer is stepped by AdamW: there is nothing to win.
    /// </summary>
    public int Rank { get; init; } = 128;

    /// <summary>How columns are chosen.</summary>
    public ColumnSelectorOptions Selection { get; init; } = new();

    internal override bool IsMatrix(Parameter parameter)
    {
        if (!base.IsMatrix(parameter))
        {
            return false;
        }

        (int rows, int columns) = ((int)parameter.Shape[0], (int)parameter.Shape[1]);
        int length = Selection.IsLeft(rows, columns) ? rows : columns;
        return Rank <= length && (Selection.Basis != Basis.Hadamard || BitOperations.IsPow2(length));
    }

    internal override void Validate(string name)
    {
        base.Validate(name);
        Require.InRange(Rank, 1, (1 << 20) + 1, $"{name}.{nameof(Rank)}");
        Require.NotNull(Selection, $"{name}.{nameof(Selection)}");
        Selection.Validate($"{name}.{nameof(Selection)}");
    }
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
