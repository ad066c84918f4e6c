using ILGPU;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Sixteen = Kernels.DeviceCode.Linear.Sixteen;

namespace Kernels.DeviceCode.Quantization;

/// <summary>Partial sums of one vector's activations for some planar blocks of each row, and what rows make of them.</summary>
internal struct PartialSumArguments
{
    /// <summary>Lanes of a tile: a tile has the sums of all values of a code for sixteen neighbouring segments.</summary>
    internal const int TileLanes = 16;

    /// <summary>Tiles of a step.</summary>
    internal const int StepTiles = PackedFormat.Lanes / TileLanes;

    /// <summary>Steps of a planar block of fields.</summary>
    internal const int Steps = 32;

    public ArrayView<uint> Words;

    /// <summary>The one codebook of these rows, [k, length].</summary>
    public ArrayView<float> Codebook;

    /// <summary>The vector, [columns].</summary>
    public ArrayView<float> X;

    /// <summary>[blocks, steps, tiles, values of a code's bits, lanes of a tile].</summary>
    public ArrayView<float> Tables;

    /// <summary>[parts, rows, n].</summary>
    public ArrayView<float> Sums;
    public PackedFormat Format; // fields, in planar order
    public int Length;
    public int FirstBlock;
    public int Blocks;
    public int Rows;
    public int EndRow;     // of those with this codebook
    public int Vector;
    public int Vectors;
    public int Accumulate; // 1: blocks came before these

    /// <summary>Values of the bits of a code.</summary>
    public readonly int Values => 1 << Format.FieldBits;

    /// <summary>Numbers of a tile.</summary>
    public readonly int TileLength => TileLanes << Format.FieldBits;

    /// <summary>Codes of a row from a block of these on.</summary>
    public readonly int Left(int block) => Format.RunCodes - (FirstBlock + block) * Format.BlockCodes;

    /// <summary>Where the words of a block of these begin.</summary>
    public readonly long Word(int row, int block) =>
        (long)row * Format.RunWords + (long)(FirstBlock + block) * Format.BlockWords;

    /// <summary>Lanes of a step of a block that have a code: the first ones.</summary>
    public static int Count(int left, int lanes, int step) =>
        IntrinsicMath.Max(0, IntrinsicMath.Min(lanes, left - step * lanes));

    /// <summary>The segment that a tile begins with: its number in a row.</summary>
    public readonly int Segment(int tile)
    {
        int step = tile / StepTiles;
        int block = step / Steps;
        int lanes = Format.LanesOf(Left(block));
        return (FirstBlock + block) * Format.BlockCodes + (step - block * Steps) * lanes
            + (tile - step * StepTiles) * TileLanes;
    }

    /// <summary>Stores a sum of a row.</summary>
    public readonly void Store(int part, int row, float sum)
    {
        long at = ((long)part * Rows + row) * Vectors + Vector;
        Sums[at] = Accumulate != 0 ? Sums[at] + sum : sum;
    }
}

/// <summary>A partial sum per item: what a value of a code makes of a segment of x.</summary>
/// <remarks>Source, order and error: as <see cref="PartialSums"/>. Traffic: the sums, written once; x and the codebook are
/// small. Segments behind a row have sums of the last one, which nothing reads.</remarks>
internal struct PartialSumWork : IItemWork
{
    public PartialSumArguments Product;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int tile = (int)(i / Product.TileLength);
        int place = (int)(i - (long)tile * Product.TileLength);
        int lane = place % PartialSumArguments.TileLanes;
        int code = Product.Format.Clamp(place / PartialSumArguments.TileLanes);
        int segment = IntrinsicMath.Min(Product.Segment(tile) + lane, Product.Format.RunCodes - 1);
        float sum = 0f;
        for (int j = 0; j < Product.Length; j++)
        {
            sum += Product.Codebook[(long)code * Product.Length + j] * Product.X[(long)segment * Product.Length + j];
        }

        Product.Tables[i] = sum;
    }
}

/// <summary>The product of rows of vector codes with a vector by partial sums: a lookup and an addition for each code.</summary>
/// <remarks>
/// Source: the distance tables of product quantization (Jegou et al. 2011), for products of matrices LUT-GEMM
/// (arXiv:2206.09557) and AQLM (arXiv:2401.06118): T[segment, code] = sum_i C[code, i] x[segment d + i], and a row is the
/// sum of T at its codes. Here tables come in tiles of sixteen segments, which fit a first-level cache or shared memory
/// for as many rows as a group has. Shapes: packed [rows, RunWords] words, x [columns], sums [parts, rows, n].
/// Storage: F32. Traffic: the packed words once, or from a cache for each code of a word; the tables once a group.
/// Needs: <c>Rows</c> groups of 32 x warps, 32 KiB of shared memory, two barriers a step and five at the end;
/// <c>RowSixteens</c> groups of one item, 8 KiB. Order: within a segment from its first weight on; each lane's segments
/// step by step; lanes in a tree (on the host's threads one after the other); then parts and blocks, the row's scale, bias,
/// C0. The same for any launch.
/// Domain: any sizes; bits that are no code are code k - 1. NaN and infinity of x reach all rows, those of a code the rows
/// that have it. Error: gamma(columns + 3) |s| sum |x c|, derived in the reference.
/// </remarks>
internal static class PartialSums
{
    /// <summary>Rows of a group of one item.</summary>
    internal const int GroupRows = 128;

    /// <summary>Rows of a warp.</summary>
    internal const int WarpRows = 16;

    /// <summary>Steps of a part, and parts of a block.</summary>
    internal const int PartSteps = 8;
    internal const int BlockParts = PartialSumArguments.Steps / PartSteps;

    private const int TwoTiles = 2 * PartialSumArguments.TileLanes * 256;

    /// <summary>The tables on OpenCL CPU devices, a tile per group of one item.</summary>
    [DeviceKernel("quantization/partialsums.tablesixteens")]
    internal static void TableSixteens(PartialSumArguments t, int firstTile)
    {
        int tile = firstTile + Grid.IdxX;
        long to = (long)tile * t.TileLength;
        int segment = t.Segment(tile);
        for (int j = 0; j < t.Length; j++)
        {
            Sixteen x = Sixteen.Strided(t.X, segment, t.Format.RunCodes - 1, t.Length, j);
            for (int value = 0; value < t.Values; value++)
            {
                float c = t.Codebook[(long)t.Format.Clamp(value) * t.Length + j];
                long at = to + (long)value * Sixteen.Width;
                Sixteen sum = j == 0 ? default : Sixteen.Contiguous(t.Tables, at);
                sum.Add(c, x);
                sum.Store(t.Tables, at);
            }
        }
    }

    /// <summary>Sums of rows on OpenCL CPU devices.</summary>
    [DeviceKernel("quantization/partialsums.rowsixteens")]
    internal static void RowSixteens<TBits>(PartialSumArguments t, int firstRow)
        where TBits : struct, IFieldBits
    {
        ArrayView<float> sums = SharedMemory.Allocate<float>(GroupRows * Sixteen.Width);
        int begin = firstRow + Grid.IdxX * GroupRows;
        int rows = IntrinsicMath.Min(GroupRows, t.EndRow - begin);
        for (int row = 0; row < rows; row++)
        {
            default(Sixteen).Store(sums, (long)row * Sixteen.Width);
        }

        for (int block = 0; block < t.Blocks; block++)
        {
            int left = t.Left(block);
            int lanes = t.Format.LanesOf(left);
            for (int step = 0; step < PartialSumArguments.Steps; step++)
            {
                int count = PartialSumArguments.Count(left, lanes, step);
                long tile = (long)(block * PartialSumArguments.Steps + step) * PartialSumArguments.StepTiles;
                for (int lane = 0; lane < count; lane += Sixteen.Width)
                {
                    ArrayView<float> table = t.Tables.SubView(tile * t.TileLength, t.TileLength);
                    if (lane + Sixteen.Width <= count)
                    {
                        AddTile<TBits>(t, table, sums, t.Word(begin, block) + lane, rows, lanes, step);
                    }
                    else
                    {
                        AddLanes(t, table, sums, t.Word(begin, block) + lane, rows, lanes, step, count - lane);
                    }

                    tile++;
                }
            }
        }

        for (int row = 0; row < rows; row++)
        {
            t.Store(0, begin + row, Sixteen.Contiguous(sums, (long)row * Sixteen.Width).Sum());
        }
    }

    /// <summary>Sums of rows on GPUs: sixteen rows a warp, the tables of a step in shared memory.</summary>
    [DeviceKernel("quantization/partialsums.rows")]
    internal static void Rows<TBits>(PartialSumArguments t, int rowGroups, int firstRow, int firstGroup)
        where TBits : struct, IFieldBits
    {
        ArrayView<float> table = SharedMemory.Allocate<float>(TwoTiles);
        int group = firstGroup + Grid.IdxX;
        int part = group / rowGroups;
        int block = part / BlockParts;
        int firstStep = (part - block * BlockParts) * PartSteps;
        int lane = Group.IdxX;
        int own = Group.IdxY * PackedFormat.Lanes + lane;
        int threads = PackedFormat.Lanes * Group.DimY;
        int row = firstRow + ((group - part * rowGroups) * Group.DimY + Group.IdxY) * WarpRows;
        int left = t.Left(block);
        int lanes = t.Format.LanesOf(left);
        int place = lane / PartialSumArguments.TileLanes * t.TileLength + lane % PartialSumArguments.TileLanes;
        Sixteen sum = default;
        for (int step = firstStep; step < firstStep + PartSteps; step++)
        {
            long from = (long)(block * PartialSumArguments.Steps + step) * PartialSumArguments.StepTiles * t.TileLength;
            for (int i = own; i < PartialSumArguments.StepTiles * t.TileLength; i += threads)
            {
                table[i] = t.Tables[from + i];
            }

            Group.Barrier();
            if (lane < PartialSumArguments.Count(left, lanes, step))
            {
                AddRows<TBits>(t, table, place, block, row, lanes, step, lane, ref sum);
            }

            Group.Barrier();
        }

        StoreRows(t, table, sum, part, row, own, lane);
    }

    private static void AddTile<TBits>(
        PartialSumArguments t, ArrayView<float> table, ArrayView<float> sums, long word, int rows, int lanes, int step)
        where TBits : struct, IFieldBits
    {
        for (int row = 0; row < rows; row++)
        {
            long at = (long)row * Sixteen.Width;
            Sixteen found = SixteenWords.Fields<TBits>(t.Words, word + (long)row * t.Format.RunWords, lanes, step)
                .LookLanes(table);
            (Sixteen.Contiguous(sums, at) + found).Store(sums, at);
        }
    }

    private static void AddLanes(
        PartialSumArguments t, ArrayView<float> table, ArrayView<float> sums, long word, int rows, int lanes, int step,
        int count)
    {
        for (int row = 0; row < rows; row++)
        {
            for (int lane = 0; lane < count; lane++)
            {
                int code = t.Format.Code(t.Words, word + (long)row * t.Format.RunWords + lane, lanes, step);
                sums[row * Sixteen.Width + lane] += table[code * Sixteen.Width + lane];
            }
        }
    }

    private static void AddRows<TBits>(
        PartialSumArguments t, ArrayView<float> table, int place, int block, int row, int lanes, int step, int lane,
        ref Sixteen sum)
        where TBits : struct, IFieldBits
    {
        // Rows behind the last are the last: their sums are not stored.
        sum.V0 += Look<TBits>(t, table, place, block, row + 0, lanes, step, lane);
        sum.V1 += Look<TBits>(t, table, place, block, row + 1, lanes, step, lane);
        sum.V2 += Look<TBits>(t, table, place, block, row + 2, lanes, step, lane);
        sum.V3 += Look<TBits>(t, table, place, block, row + 3, lanes, step, lane);
        sum.V4 += Look<TBits>(t, table, place, block, row + 4, lanes, step, lane);
        sum.V5 += Look<TBits>(t, table, place, block, row + 5, lanes, step, lane);
        sum.V6 += Look<TBits>(t, table, place, block, row + 6, lanes, step, lane);
        sum.V7 += Look<TBits>(t, table, place, block, row + 7, lanes, step, lane);
        sum.V8 += Look<TBits>(t, table, place, block, row + 8, lanes, step, lane);
        sum.V9 += Look<TBits>(t, table, place, block, row + 9, lanes, step, lane);
        sum.V10 += Look<TBits>(t, table, place, block, row + 10, lanes, step, lane);
        sum.V11 += Look<TBits>(t, table, place, block, row + 11, lanes, step, lane);
        sum.V12 += Look<TBits>(t, table, place, block, row + 12, lanes, step, lane);
        sum.V13 += Look<TBits>(t, table, place, block, row + 13, lanes, step, lane);
        sum.V14 += Look<TBits>(t, table, place, block, row + 14, lanes, step, lane);
        sum.V15 += Look<TBits>(t, table, place, block, row + 15, lanes, step, lane);
    }

    private static float Look<TBits>(
        PartialSumArguments t, ArrayView<float> table, int place, int block, int row, int lanes, int step, int lane)
        where TBits : struct, IFieldBits
    {
        long word = t.Word(IntrinsicMath.Min(row, t.EndRow - 1), block) + lane;
        return table[place + PackedFormat.Field(t.Words, word, lanes, step, TBits.Bits) * PartialSumArguments.TileLanes];
    }

    /// <summary>Adds the lanes of each row of a warp, in the shared memory of the tables.</summary>
    private static void StoreRows(
        PartialSumArguments t, ArrayView<float> shared, Sixteen sum, int part, int row, int own, int lane)
    {
        int at = own / PackedFormat.Lanes * WarpRows * PackedFormat.Lanes + lane;
        sum.StoreStrided(shared, 0, WarpRows, PackedFormat.Lanes, at);
        for (int half = PackedFormat.Lanes / 2; half > 0; half >>= 1)
        {
            Group.Barrier();
            if (lane < half)
            {
                for (int r = 0; r < WarpRows; r++)
                {
                    shared[at + r * PackedFormat.Lanes] += shared[at + r * PackedFormat.Lanes + half];
                }
            }
        }

        Group.Barrier();
        if (lane < WarpRows && row + lane < t.EndRow)
        {
            t.Store(part, row + lane, shared[at - lane + lane * PackedFormat.Lanes]);
        }
    }
}
