using Kernels.DeviceCode.Optimizers;

namespace Kernels.Optimizers;

/// <summary>What Adafactor's launches do, laid out for many tensors: pure functions of their shapes.</summary>
internal sealed class AdafactorTables
{
    private const int GroupRows = AdafactorColumnPiece.GroupRows;

    private readonly int _span; // most columns of a column piece whose rows are long
    private readonly List<AdafactorPiece> _longFull = [];
    private readonly List<AdafactorPiece> _longShort = [];
    private readonly List<AdafactorPiece> _narrow = [];
    private readonly List<AdafactorPiece> _wholeFull = [];
    private readonly List<AdafactorPiece> _wholeShort = [];
    private readonly List<AdafactorColumnPiece> _groupsFull = [];
    private readonly List<AdafactorColumnPiece> _groupsShort = [];
    private readonly List<AdafactorColumnPiece> _tails = [];
    private int _pieces;

    /// <param name="shapes">The tensors that are not empty.</param>
    /// <param name="span">Most columns of a column piece whose rows are long.</param>
    internal AdafactorTables(IReadOnlyList<AdafactorShape> shapes, int span)
    {
        _span = span;
        Sizes = new AdafactorSizes[shapes.Count];
        for (int tensor = 0; tensor < shapes.Count; tensor++)
        {
            AdafactorShape shape = shapes[tensor];
            Sizes[tensor] = new AdafactorSizes
            {
                InverseRoot = (float)(1 / Math.Sqrt(shape.Length)),
                InverseRows = (float)(1.0 / shape.Rows),
                InverseColumns = (float)(1.0 / shape.Columns),
            };
            PieceSums.Add(new SumSegments(_pieces, tensor, 1, shape.PieceCount));
            AddPieces(shape, tensor);
            if (shape.IsFactored)
            {
                AddColumns(shape, tensor);
                AddMatrices(shape, tensor);
            }
        }
    }

    internal AdafactorSizes[] Sizes { get; }

    /// <summary>In this order: full and short ones of long rows, those of short rows, full and short ones of vectors.</summary>
    internal AdafactorPiece[] Pieces => [.. _longFull, .. _longShort, .. _narrow, .. _wholeFull, .. _wholeShort];

    internal int LongFullEnd => _longFull.Count;

    internal int LongEnd => LongFullEnd + _longShort.Count;

    internal int NarrowEnd => LongEnd + _narrow.Count;

    internal int WholeFullEnd => NarrowEnd + _wholeFull.Count;

    internal List<AdafactorRow> Rows { get; } = [];

    /// <summary>In this order: groups of 64 rows and 256 columns, of 64 rows, all others.</summary>
    internal AdafactorColumnPiece[] ColumnPieces => [.. _groupsFull, .. _groupsShort, .. _tails];

    internal int GroupsFullEnd => _groupsFull.Count;

    internal int GroupsEnd => GroupsFullEnd + _groupsShort.Count;

    internal List<AdafactorColumnRun> ColumnRuns { get; } = [];

    /// <summary>Sums of columns, of all groups of rows.</summary>
    internal long ColumnSums { get; private set; }

    internal List<AdafactorMatrices> Matrices { get; } = [];

    internal long MatrixCount { get; private set; }

    /// <summary>From sums of pieces to those of tensors.</summary>
    internal List<SumSegments> PieceSums { get; } = [];

    /// <summary>From rows to sums over the rows of matrices.</summary>
    internal List<SumSegments> RowSums { get; } = [];

    private void AddPieces(in AdafactorShape shape, int tensor)
    {
        for (long cut = 0; cut < shape.Length; cut += shape.CutLength)
        {
            if (shape is { IsFactored: true, IsNarrow: false })
            {
                Rows.Add(new AdafactorRow
                {
                    Row = shape.FirstRow + cut / shape.Columns,
                    FirstPiece = _pieces,
                    Pieces = (int)(shape.PieceCount / shape.RowLength),
                    Tensor = tensor,
                });
            }

            for (long at = 0; at < shape.CutLength; at += shape.PieceLength)
            {
                AddPiece(shape, tensor, cut + at, (int)Math.Min(shape.PieceLength, shape.CutLength - at));
            }
        }
    }

    private void AddPiece(in AdafactorShape shape, int tensor, long element, int count)
    {
        var piece = new AdafactorPiece
        {
            First = shape.First + element,
            Row = shape.FirstRow + element,
            Tensor = tensor,
            Index = _pieces++,
            Count = count,
        };
        bool isFull = count == AdafactorPiece.Length;
        if (!shape.IsFactored)
        {
            (isFull ? _wholeFull : _wholeShort).Add(piece);
            return;
        }

        long matrix = element / (shape.Rows * shape.Columns);
        piece.Row = shape.FirstRow + element / shape.Columns;
        piece.Column = shape.FirstColumn + matrix * shape.Columns + element % shape.Columns;
        piece.Matrix = MatrixCount + matrix;
        if (!shape.IsNarrow)
        {
            (isFull ? _longFull : _longShort).Add(piece);
            return;
        }

        piece.Columns = (int)shape.Columns;
        piece.OverColumns = AdafactorPiece.Reciprocal(piece.Columns);
        piece.OverMatrix = shape.IsSmall ? AdafactorPiece.Reciprocal((int)(shape.Rows * shape.Columns)) : 0;
        _narrow.Add(piece);
    }

    private void AddColumns(in AdafactorShape shape, int tensor)
    {
        long groups = (shape.Rows + GroupRows - 1) / GroupRows;
        long ofMatrix = groups * shape.Columns;
        if (shape.IsNarrow && groups == 1)
        {
            AddNarrowGroups(shape, shape.First, ColumnSums, shape.Matrices, (int)shape.Rows);
        }
        else
        {
            for (long matrix = 0; matrix < shape.Matrices; matrix++)
            {
                AddGroups(shape, shape.First + matrix * shape.Rows * shape.Columns, ColumnSums + matrix * ofMatrix);
            }
        }

        // Where each matrix is one group, the columns of all are one run.
        long runs = groups == 1 ? 1 : shape.Matrices;
        long columns = groups == 1 ? shape.ColumnLength : shape.Columns;
        for (long run = 0; run < runs; run++)
        {
            for (long column = 0; column < columns; column += AdafactorPiece.Length)
            {
                ColumnRuns.Add(new AdafactorColumnRun
                {
                    Column = shape.FirstColumn + run * shape.Columns + column,
                    From = ColumnSums + run * ofMatrix + column,
                    Columns = shape.Columns,
                    Groups = groups,
                    Count = (int)Math.Min(AdafactorPiece.Length, columns - column),
                    Tensor = tensor,
                });
            }
        }

        ColumnSums += shape.Matrices * ofMatrix;
    }

    /// <summary>The groups of rows of one matrix.</summary>
    private void AddGroups(in AdafactorShape shape, long first, long to)
    {
        long full = shape.Rows / GroupRows;
        int left = (int)(shape.Rows % GroupRows);
        long tail = first + full * GroupRows * shape.Columns;
        if (shape.IsNarrow)
        {
            AddNarrowGroups(shape, first, to, full, GroupRows);
            AddNarrowGroups(shape, tail, to + full * shape.Columns, left == 0 ? 0 : 1, left);
            return;
        }

        for (long group = 0; group < full + (left == 0 ? 0 : 1); group++)
        {
            for (long column = 0; column < shape.Columns; column += _span)
            {
                var piece = new AdafactorColumnPiece
                {
                    First = first + group * GroupRows * shape.Columns + column,
                    To = to + group * shape.Columns + column,
                    Columns = shape.Columns,
                    Count = (int)Math.Min(_span, shape.Columns - column),
                    Rows = group < full ? GroupRows : left,
                };
                (group >= full ? _tails : piece.Count == AdafactorPiece.Length ? _groupsFull : _groupsShort).Add(piece);
            }
        }
    }

    /// <summary>Groups of short rows, one after the other.</summary>
    private void AddNarrowGroups(in AdafactorShape shape, long first, long to, long groups, int rows)
    {
        long together = AdafactorPiece.Length / shape.Columns;
        for (long group = 0; group < groups; group += together)
        {
            _tails.Add(new AdafactorColumnPiece
            {
                First = first + group * rows * shape.Columns,
                To = to + group * shape.Columns,
                Columns = shape.Columns,
                Count = (int)(Math.Min(together, groups - group) * shape.Columns),
                Rows = rows,
                Group = rows * (int)shape.Columns,
                OverColumns = AdafactorPiece.Reciprocal((int)shape.Columns),
            });
        }
    }

    private void AddMatrices(in AdafactorShape shape, int tensor)
    {
        RowSums.Add(new SumSegments(shape.FirstRow, MatrixCount, shape.Matrices, shape.Rows));
        for (long matrix = 0; matrix < shape.Matrices; matrix += AdafactorPiece.Length)
        {
            Matrices.Add(new AdafactorMatrices
            {
                First = MatrixCount + matrix,
                Count = (int)Math.Min(AdafactorPiece.Length, shape.Matrices - matrix),
                Tensor = tensor,
            });
        }

        MatrixCount += shape.Matrices;
    }
}
