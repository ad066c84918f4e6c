using ILGPU;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Linear;

/// <summary>Sums of the columns of a matrix: the gradient of a bias.</summary>
/// <remarks>
/// Shapes: x [rows, n] row-major, sums [blocks, n]: row b is the sum of the b-th <c>BlockRows</c> rows of x. A second
/// launch over the sums of the first, with all of them in one block, gives the sum of all.
/// Traffic: x is read once.
/// Needs: no shared memory; a group covers exactly its columns, so there is no bounds check. In <c>Add</c> an item has one
/// column; in <c>Strips</c>, for OpenCL CPU devices, a group is one item with a strip: a row is read for 16 KiB on end.
/// Order: rows of a block in ascending order, then blocks in ascending order: the same for every launch.
/// Domain: NaN and infinity stay in their column.
/// Error: gamma(rows) sum |x|.
/// </remarks>
internal static class ColumnSumKernel
{
    /// <summary>Rows of a block of the first launch.</summary>
    internal const int BlockRows = 128;

    /// <summary>Columns of a strip.</summary>
    internal const int StripColumns = 4096;

    /// <param name="x">[rows, n], only read.</param>
    /// <param name="sums">[blocks, n], written.</param>
    /// <param name="size">Sizes.</param>
    [DeviceKernel("linear/columnsum.add")]
    internal static void Add(ArrayView<float> x, ArrayView<float> sums, ColumnSumSize size)
    {
        int block = Grid.IdxX / size.GroupsPerBlock;
        int group = Grid.IdxX % size.GroupsPerBlock;
        long column = size.FirstColumn + (long)group * Group.DimX + Group.IdxX;
        long begin = (long)block * size.BlockRows;
        long end = IntrinsicMath.Min(begin + size.BlockRows, (long)size.Rows);
        float sum = 0f;
        // The bound is the same for all items, so that PoCL runs the columns inside of this loop, as SIMD.
        for (long row = begin; row < end; row++)
        {
            sum += x[row * size.Columns + column];
        }

        long at = (long)block * size.Columns + column;
        if (size.Accumulate != 0)
        {
            sum = sums[at] + sum;
        }

        sums[at] = sum;
    }

    /// <summary>The same sums; those of a strip stay in the cache of a core while it goes down the rows.</summary>
    /// <param name="x">[rows, n], only read.</param>
    /// <param name="sums">[blocks, n], written; not accumulated.</param>
    /// <param name="size">Sizes.</param>
    [DeviceKernel("linear/columnsum.strips")]
    internal static void Strips(ArrayView<float> x, ArrayView<float> sums, ColumnSumSize size)
    {
        int block = Grid.IdxX / size.GroupsPerBlock;
        int group = Grid.IdxX % size.GroupsPerBlock;
        long first = (long)group * StripColumns;
        long last = IntrinsicMath.Min(first + StripColumns, (long)size.Columns);
        long begin = (long)block * size.BlockRows;
        long end = IntrinsicMath.Min(begin + size.BlockRows, (long)size.Rows);
        long above = (long)block * size.Columns;
        long n = size.Columns;
        // Loops over columns that lie beside each other: the compiler makes SIMD of them.
        for (long c = first; c < last; c++)
        {
            sums[above + c] = 0f;
        }

        long row = begin;
        for (; row + 8 <= end; row += 8)
        {
            long at = row * n;
            for (long c = first; c < last; c++)
            {
                float sum = sums[above + c];
                sum += x[at + c];
                sum += x[at + n + c];
                sum += x[at + 2 * n + c];
                sum += x[at + 3 * n + c];
                sum += x[at + 4 * n + c];
                sum += x[at + 5 * n + c];
                sum += x[at + 6 * n + c];
                sum += x[at + 7 * n + c];
                sums[above + c] = sum;
            }
        }

        for (; row < end; row++)
        {
            long at = row * n;
            for (long c = first; c < last; c++)
            {
                sums[above + c] += x[at + c];
            }
        }
    }
}

/// <summary>Sizes of one launch of <see cref="ColumnSumKernel"/>.</summary>
internal struct ColumnSumSize
{
    public int Rows;
    public int Columns;
    public int BlockRows;
    public int FirstColumn;
    public int GroupsPerBlock;
    public int Accumulate; // 1: added to what sums holds
}
