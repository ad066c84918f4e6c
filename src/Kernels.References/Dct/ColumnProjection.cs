namespace Kernels.References.Dct;

/// <summary>
/// A matrix [rows, columns] onto r of a basis's columns; a projection from the left is one of the transpose.
/// </summary>
internal sealed class ColumnProjection
{
    private readonly TransformReference _basis;
    private readonly TransformReference _inverse;

    internal ColumnProjection(TransformKind kind, int rows, int columns, int rank, ProjectionSide side)
    {
        Shape = new ProjectionShape(rows, columns, rank, side);
        _basis = new TransformReference(kind, Shape.Width);
        _inverse = new TransformReference(_basis.Inverse, Shape.Width);
    }

    internal ProjectionShape Shape { get; }

    /// <summary>Scores the columns of a turned matrix.</summary>
    internal SelectReference Select(ReadOnlySpan<Bounded> turned, bool squares) => new(_basis, turned, squares);

    /// <summary>Refuses indices that no binary32 computation can have chosen.</summary>
    internal void Demand(SelectReference select, ReadOnlySpan<int> index)
    {
        Check.Length(index, Shape.Rank);
        if (!select.Admits(index))
        {
            string found = string.Join(' ', index.ToArray());
            string chosen = string.Join(' ', select.Choose(Shape.Rank));
            throw new ArgumentException($"No roundings choose {found}, the exact choice is {chosen}.", nameof(index));
        }
    }

    /// <summary>a Q_r^T, still turned: scattered into zeros and transformed back.</summary>
    internal Bounded[] Back(ReadOnlySpan<Bounded> low, ReadOnlySpan<int> index)
    {
        var scattered = new Bounded[Shape.Height * Shape.Width];
        for (int i = 0; i < low.Length; i++)
        {
            scattered[(i / Shape.Rank * Shape.Width) + index[i % Shape.Rank]] = low[i];
        }

        return _inverse.Apply(scattered);
    }
}

/// <summary>The shapes of a projection; turned means that the side to be shortened is that of the columns.</summary>
internal sealed class ProjectionShape
{
    private readonly int _rows;
    private readonly int _columns;
    private readonly bool _isRight;

    internal ProjectionShape(int rows, int columns, int rank, ProjectionSide side)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        if (!Enum.IsDefined(side))
        {
            throw new ArgumentOutOfRangeException(nameof(side), side, "Must be one of the sides.");
        }

        _rows = rows;
        _columns = columns;
        _isRight = side == ProjectionSide.Right || (side == ProjectionSide.Auto && rows >= columns);
        ArgumentOutOfRangeException.ThrowIfLessThan(rank, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rank, Width);
        Rank = rank;
    }

    internal int Rank { get; }

    /// <summary>Rows of a turned matrix.</summary>
    internal int Height => _isRight ? _rows : _columns;

    /// <summary>Columns of a turned matrix, the length of the basis.</summary>
    internal int Width => _isRight ? _columns : _rows;

    internal T[] Turn<T>(ReadOnlySpan<T> matrix)
    {
        Check.Length(matrix, _rows * _columns);
        return _isRight ? matrix.ToArray() : BoundedMatrix.Transpose(matrix, Width, Height);
    }

    internal T[] TurnBack<T>(T[] turned) =>
        _isRight ? turned : BoundedMatrix.Transpose<T>(turned, Height, Width);

    /// <summary>[r, columns] of a projection from the left to [columns, r].</summary>
    internal T[] TurnLow<T>(ReadOnlySpan<T> low)
    {
        Check.Length(low, Height * Rank);
        return _isRight ? low.ToArray() : BoundedMatrix.Transpose(low, Rank, Height);
    }

    internal T[] TurnLowBack<T>(T[] low) => _isRight ? low : BoundedMatrix.Transpose<T>(low, Height, Rank);
}
