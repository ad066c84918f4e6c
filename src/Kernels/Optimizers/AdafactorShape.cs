using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Reductions;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>A tensor as Adafactor sees it, and where it and its state are in the tensors of a step.</summary>
/// <param name="IsFactored">Whether it is made of matrices; else it is a vector.</param>
/// <param name="Matrices">Matrices; 1 of a vector.</param>
/// <param name="Rows">Rows of a matrix; 1 of a vector.</param>
/// <param name="Columns">Columns of a matrix; elements of a vector.</param>
internal readonly record struct AdafactorShape(bool IsFactored, long Matrices, long Rows, long Columns)
{
    private const long MaxLength = (long)int.MaxValue * Pieces.Length;

    /// <summary>The first element.</summary>
    internal long First { get; init; }

    /// <summary>Where its first state begins.</summary>
    internal long FirstRow { get; init; }

    /// <summary>Where its second state begins.</summary>
    internal long FirstColumn { get; init; }

    internal long Length => Matrices * Rows * Columns;

    /// <summary>Elements of the first state.</summary>
    internal long RowLength => IsFactored ? Matrices * Rows : Length;

    /// <summary>Elements of the second state.</summary>
    internal long ColumnLength => IsFactored ? Matrices * Columns : 0;

    /// <summary>Rows that are so short that a piece holds several.</summary>
    internal bool IsNarrow => IsFactored && Columns <= AdafactorPiece.NarrowColumns;

    /// <summary>Matrices that are so small that a piece holds several.</summary>
    internal bool IsSmall => IsNarrow && Rows * Columns <= Pieces.Length;

    /// <summary>Elements of a piece, but of the last one of a row, of a matrix or of all.</summary>
    internal int PieceLength => (int)(IsSmall ? Pieces.Length / (Rows * Columns) * Rows * Columns
        : IsNarrow ? Pieces.Length / Columns * Columns
        : Pieces.Length);

    /// <summary>How many consecutive elements are cut into pieces together.</summary>
    internal long CutLength => IsSmall ? Length : IsNarrow ? Rows * Columns : Columns;

    internal long PieceCount => Length == 0 ? 0 : Length / CutLength * ((CutLength + PieceLength - 1) / PieceLength);

    /// <summary>The last two dimensions are those of a matrix, if there are two.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A length is negative, or they are too long together.</exception>
    internal static AdafactorShape Of(ReadOnlySpan<long> shape, string name)
    {
        long elements = 1;
        foreach (long dimension in shape)
        {
            Require.InRange(dimension, 0, MaxLength / Math.Max(1, elements) + 1, name);
            elements *= Math.Max(1, dimension);
        }

        if (shape.Length < 2)
        {
            return new AdafactorShape(IsFactored: false, 1, 1, shape.IsEmpty ? 1 : shape[0]);
        }

        long matrices = 1;
        foreach (long dimension in shape[..^2])
        {
            matrices *= dimension;
        }

        return new AdafactorShape(IsFactored: true, matrices, shape[^2], shape[^1]);
    }
}
