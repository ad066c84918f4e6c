using ILGPU;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.VectorQuantization;

/// <summary>Rows sorted by segment, and the memory of their sums.</summary>
/// <remarks>
/// Shapes: entries [n] of d numbers. An item has a segment, or a piece of one, and one dimension (GPUs) or sixteen (CPU
/// devices).
/// Storage: rows F32, F16, BF16; sums binary32.
/// Traffic: every row once; a sum once; nothing else of the order of n d.
/// Order: the rows of a segment in ascending order are cut into pieces of 64, and these into runs of 64 pieces; a piece
/// is summed from its first row on, a run from its first piece on, a segment from its first run on: whatever the launch
/// and whatever other segments there are. So one segment with all rows has as many items at work as many segments.
/// A piece behind the first of its segment is found by the window of 64 sorted entries that it begins in: no two such
/// pieces begin in one window, since 64 entries of its own segment lie before each. With runs likewise.
/// Domain: what is not finite stays in its segment and its dimension. A segment without rows is exactly 0.
/// </remarks>
internal struct SegmentRows<TRow>
    where TRow : struct, IStorage
{
    public TRow Rows;

    /// <summary>The segments of the entries.</summary>
    public ChosenCode Keys;

    /// <summary>The entries, sorted.</summary>
    public ArrayView<int> Order;

    /// <summary>[segments + 1].</summary>
    public ArrayView<int> Begin;

    /// <summary>[windows of 64, d]: sums of the pieces that begin there.</summary>
    public ArrayView<float> Pieces;

    /// <summary>[windows of 4096, d]: sums of the runs that begin there.</summary>
    public ArrayView<float> Runs;
    public int Dimension;
    public int Segments;

    /// <summary>
    /// The piece of <paramref name="length"/> entries, behind the first of its segment, that begins in a window.
    /// </summary>
    /// <returns>Whether there is one; then its first and last entry.</returns>
    internal readonly bool Find(long window, int length, out int begin, out int end)
    {
        long position = window * length;
        begin = 0;
        end = 0;
        if (position >= Begin[Segments])
        {
            return false;
        }

        int segment = Keys.Key(Order[position]);
        int first = Begin[segment];
        int last = Begin[segment + 1];
        int before = ((int)position - first + length - 1) / length;
        begin = first + before * length;
        end = IntrinsicMath.Min(begin + length, last);
        return (before > 0) & (begin < last);
    }

    /// <summary>The sum of the rows of sorted entries.</summary>
    internal readonly TFloats Sum<TFloats>(int begin, int end, int dimension)
        where TFloats : struct, IFloats<TFloats>
    {
        TFloats sum = TFloats.Of(0f);
        for (int i = begin; i < end; i++)
        {
            sum = sum.Zip(TFloats.Load(Rows, (long)Order[i] * Dimension + dimension), default(Addition));
        }

        return sum;
    }

    /// <summary>Adds the sums of windows that follow each other.</summary>
    internal readonly TFloats AddWindows<TFloats>(TFloats sum, ArrayView<float> windows, int begin, int end, int dimension)
        where TFloats : struct, IFloats<TFloats>
    {
        for (int window = begin; window < end; window++)
        {
            sum = sum.Zip(TFloats.Load(new F32(windows), (long)window * Dimension + dimension), default(Addition));
        }

        return sum;
    }
}

/// <summary>Lengths of pieces and runs.</summary>
internal static class SegmentCuts
{
    /// <summary>Entries of a piece.</summary>
    internal const int Piece = 64;

    /// <summary>Entries of a run: 64 pieces.</summary>
    internal const int Run = Piece * Piece;

    /// <summary>Items of a row.</summary>
    internal static int Chunks<TWidth>(int dimension)
        where TWidth : struct, IItemWidth => (dimension + TWidth.Width - 1) / TWidth.Width;
}

/// <summary>What becomes of the sum of a segment.</summary>
internal interface ISegmentEnd
{
    /// <summary>What the dimensions of a segment share; the item of dimension 0 writes what there is one of.</summary>
    Quad Open(int segment, int count, int dimension);

    /// <summary>Takes the sum of a segment from the number <paramref name="at"/> of all sums on.</summary>
    void Take<TFloats>(long at, TFloats sum, Quad opened)
        where TFloats : struct, IFloats<TFloats>;
}

/// <summary>The sums as they are, and the counts.</summary>
internal struct SegmentStore : ISegmentEnd
{
    /// <summary>[segments, d].</summary>
    public ArrayView<float> Sums;

    /// <summary>[segments].</summary>
    public ArrayView<int> Counts;

    public readonly Quad Open(int segment, int count, int dimension)
    {
        if (dimension == 0)
        {
            Counts[segment] = count;
        }

        return default;
    }

    public readonly void Take<TFloats>(long at, TFloats sum, Quad opened)
        where TFloats : struct, IFloats<TFloats> => sum.Store(new F32(Sums), at);
}

/// <summary>The sums of pieces behind the first of their segment, one window and a chunk of the dimensions per item.</summary>
internal struct SegmentPieceWork<TRow, TWidth> : IItemWork
    where TRow : struct, IStorage
    where TWidth : struct, IItemWidth
{
    public SegmentRows<TRow> Rows;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int chunks = SegmentCuts.Chunks<TWidth>(Rows.Dimension);
        long window = i / chunks;
        int dimension = (int)(i - window * chunks) * TWidth.Width;
        if (!Rows.Find(window, SegmentCuts.Piece, out int begin, out int end))
        {
            return;
        }

        if (TWidth.Width > 1 & dimension + TWidth.Width <= Rows.Dimension)
        {
            Store<SixteenFloats>(window, begin, end, dimension);
            return;
        }

        int last = IntrinsicMath.Min(dimension + TWidth.Width, Rows.Dimension);
        for (; dimension < last; dimension++)
        {
            Store<OneFloat>(window, begin, end, dimension);
        }
    }

    private readonly void Store<TFloats>(long window, int begin, int end, int dimension)
        where TFloats : struct, IFloats<TFloats> => Rows.Sum<TFloats>(begin, end, dimension)
            .Store(new F32(Rows.Pieces), window * Rows.Dimension + dimension);
}

/// <summary>The sums of runs behind the first of their segment, one window and a chunk of the dimensions per item.</summary>
internal struct SegmentRunWork<TRow, TWidth> : IItemWork
    where TRow : struct, IStorage
    where TWidth : struct, IItemWidth
{
    public SegmentRows<TRow> Rows;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int chunks = SegmentCuts.Chunks<TWidth>(Rows.Dimension);
        long window = i / chunks;
        int dimension = (int)(i - window * chunks) * TWidth.Width;
        if (!Rows.Find(window, SegmentCuts.Run, out int begin, out int end))
        {
            return;
        }

        int piece = begin / SegmentCuts.Piece;
        int behind = piece + (end - begin + SegmentCuts.Piece - 1) / SegmentCuts.Piece;
        if (TWidth.Width > 1 & dimension + TWidth.Width <= Rows.Dimension)
        {
            Store<SixteenFloats>(window, piece, behind, dimension);
            return;
        }

        int last = IntrinsicMath.Min(dimension + TWidth.Width, Rows.Dimension);
        for (; dimension < last; dimension++)
        {
            Store<OneFloat>(window, piece, behind, dimension);
        }
    }

    private readonly void Store<TFloats>(long window, int piece, int behind, int dimension)
        where TFloats : struct, IFloats<TFloats> =>
        Rows.AddWindows(TFloats.Of(0f), Rows.Pieces, piece, behind, dimension)
            .Store(new F32(Rows.Runs), window * Rows.Dimension + dimension);
}

/// <summary>The sum of a segment and what becomes of it, one segment and a chunk of the dimensions per item.</summary>
internal struct SegmentEndWork<TRow, TWidth, TEnd> : IItemWork
    where TRow : struct, IStorage
    where TWidth : struct, IItemWidth
    where TEnd : struct, ISegmentEnd
{
    public SegmentRows<TRow> Rows;
    public TEnd End;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int chunks = SegmentCuts.Chunks<TWidth>(Rows.Dimension);
        int segment = (int)(i / chunks);
        int dimension = (int)(i - (long)segment * chunks) * TWidth.Width;
        int begin = Rows.Begin[segment];
        int end = Rows.Begin[segment + 1];
        Quad opened = End.Open(segment, end - begin, dimension);
        if (TWidth.Width > 1 & dimension + TWidth.Width <= Rows.Dimension)
        {
            Take<SixteenFloats>(segment, begin, end, dimension, opened);
            return;
        }

        int last = IntrinsicMath.Min(dimension + TWidth.Width, Rows.Dimension);
        for (; dimension < last; dimension++)
        {
            Take<OneFloat>(segment, begin, end, dimension, opened);
        }
    }

    private readonly void Take<TFloats>(int segment, int begin, int end, int dimension, Quad opened)
        where TFloats : struct, IFloats<TFloats>
    {
        TFloats sum = Rows.Sum<TFloats>(begin, IntrinsicMath.Min(begin + SegmentCuts.Piece, end), dimension);
        int pieces = (IntrinsicMath.Min(end - begin, SegmentCuts.Run) + SegmentCuts.Piece - 1) / SegmentCuts.Piece;
        int piece = begin / SegmentCuts.Piece;
        sum = Rows.AddWindows(sum, Rows.Pieces, piece + 1, piece + pieces, dimension);
        int runs = (end - begin + SegmentCuts.Run - 1) / SegmentCuts.Run;
        int run = begin / SegmentCuts.Run;
        sum = Rows.AddWindows(sum, Rows.Runs, run + 1, run + runs, dimension);
        End.Take((long)segment * Rows.Dimension + dimension, sum, opened);
    }
}
