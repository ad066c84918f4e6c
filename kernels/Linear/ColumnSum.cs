using ILGPU;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Linear;

/// <summary>Sums of the columns of a matrix: the gradient of a bias.</summary>
/// <remarks>
/// Shapes: x [rows, n] row-major, sums [blocks, n]: row b is the sum of the b-th <c>BlockRows</c> rows of x. A second
/// launch over the sums of the first, with all of them in one block, gives the sum of all.
/// Traffic: x is read once.
/// Needs: no shared memory; a group has one item a column and covers exactly its columns, so there is no bounds check.
/// Order: rows of a block in ascending order, then blocks in ascending order: the same for every launch.
/// Domain: NaN and infinity stay in their column.
/// Error: gamma(rows) sum |x|.
/// </remarks>
internal static class ColumnSumKernel
{
    /// <summary>Rows of a block of the first launch.</summary>
    internal const int BlockRows = 128;

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
