using ILGPU;

namespace Kernels.DeviceCode.Quantization;

/// <summary>Which weights share a codebook, or a scale.</summary>
internal struct ScopeTable
{
    private const int OneForAll = 0;
    private const int OneForARow = 1;
    private const int OneForAGroup = 2;

    /// <summary>The share of each row, [rows]; where there are groups.</summary>
    public ArrayView<int> OfRow;

    /// <summary>0 one share for all, 1 rows, 2 groups, 3 blocks.</summary>
    public int Kind;

    /// <summary>Weights of a block.</summary>
    public int Block;

    /// <summary>Whether a row has one share.</summary>
    public readonly bool IsByRow => Kind <= OneForAGroup;

    /// <summary>The share of a weight, which has this row and this number in row-major order.</summary>
    public readonly int Of(int row, int weight)
    {
        if (Kind == OneForAll)
        {
            return 0;
        }

        if (Kind == OneForARow)
        {
            return row;
        }

        return Kind == OneForAGroup ? OfRow[row] : weight / Block;
    }

    /// <summary>A number of a weight up to which the share of this weight reaches: its end, or that of the row.</summary>
    public readonly long End(int row, int weight, int columns)
    {
        if (Kind == OneForAll)
        {
            return int.MaxValue;
        }

        return IsByRow ? (row + 1L) * columns : (weight / Block + 1L) * Block;
    }
}
