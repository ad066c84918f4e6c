using System.Numerics;
using Kernels.Dct;
using Kernels.Validation;

namespace Kernels.Optimizers;

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
