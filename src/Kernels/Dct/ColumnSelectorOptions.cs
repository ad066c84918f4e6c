using Kernels.Validation;

namespace Kernels.Dct;

/// <summary>What the score of a column is.</summary>
public enum ColumnNorm
{
    /// <summary>The sum of magnitudes, as in the authors' code.</summary>
    L1,

    /// <summary>The sum of squares: the choice is the one that loses least of the gradient's Frobenius norm.</summary>
    L2,
}

/// <summary>On which side a gradient is projected.</summary>
public enum ProjectionSide
{
    /// <summary>The longer lines of the state are kept short: right if there are as many rows as columns or more.</summary>
    Auto,

    /// <summary>Rows are transformed: [rows, columns] becomes [rows, r].</summary>
    Right,

    /// <summary>Columns are transformed: [rows, columns] becomes [r, columns].</summary>
    Left,
}

/// <summary>How columns are chosen; the defaults are the authors'.</summary>
public sealed record ColumnSelectorOptions
{
    /// <summary>The basis whose vectors are chosen from.</summary>
    public Basis Basis { get; init; } = Basis.Dct2;

    /// <summary>What the score of a column is.</summary>
    public ColumnNorm Norm { get; init; } = ColumnNorm.L1;

    /// <summary>On which side the gradient is projected.</summary>
    public ProjectionSide Side { get; init; } = ProjectionSide.Auto;

    internal void Validate(string name)
    {
        Require.Defined(Basis, $"{name}.{nameof(Basis)}");
        Require.Defined(Norm, $"{name}.{nameof(Norm)}");
        Require.Defined(Side, $"{name}.{nameof(Side)}");
    }

    /// <summary>Whether a gradient of this shape is projected on the left.</summary>
    internal bool IsLeft(int rows, int columns) =>
        Side == ProjectionSide.Left || (Side == ProjectionSide.Auto && rows < columns);
}
