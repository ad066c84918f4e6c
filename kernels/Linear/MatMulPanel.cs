using ILGPU;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Linear;

/// <summary>The part of a product one launch of <see cref="MatMulPanel"/> does.</summary>
internal struct MatMulSlice
{
    /// <summary>Blocks of rows a group makes; the group has four items for each.</summary>
    public int Blocks;

    /// <summary>First k of this launch.</summary>
    public int First;

    /// <summary>Number of k of this launch, at most <see cref="MatMulPanel.Depth"/>.</summary>
    public int Depth;
}

/// <summary>The product on OpenCL CPU devices: an item makes 4 x 16 of C, and the compiler makes SIMD of the sixteen.</summary>
/// <remarks>
/// Shapes: as <see cref="MatMulTile"/>; a group makes 4 Blocks x 64 of C. The depth is cut into launches.
/// Traffic: op(B) is packed m / (4 Blocks) times; C is read and written once for 256 of depth.
/// Needs: 128 KiB of shared memory, 4 Blocks items a group, at most 256; two barriers.
/// Order: as <see cref="MatMulTile"/>: partial sums wait in C between launches, as they are.
/// Domain, Error: as <see cref="MatMulTile"/>.
/// The accumulators come from shared memory and go there, without any condition: from such plain runs of sixteen
/// stores the compiler finds its SIMD, and the conditions at the edges of C are kept out of its way.
/// </remarks>
internal static class MatMulPanel
{
    /// <summary>Most k of one launch: 16 columns of packed B are 16 KiB, half of the smallest first-level cache.</summary>
    internal const int Depth = 256;

    /// <summary>Columns of C a group makes.</summary>
    internal const int Columns = 64;

    /// <summary>Rows of C an item makes.</summary>
    internal const int BlockRows = 4;

    /// <summary>Most blocks of rows a group makes.</summary>
    internal const int MaxBlocks = 64;

    /// <summary>Items of a group for each block of rows.</summary>
    internal const int Strips = Columns / Sixteen.Width;

    /// <summary>Shared memory of a group, bytes.</summary>
    internal const int SharedBytes = 4 * Sixteen.Width * Strips * (Depth + MaxBlocks * BlockRows);

    [DeviceKernel("linear/matmul.panel")]
    internal static void Multiply<TA, TB, TActivation>(MatMulArguments t, MatMulSlice s)
        where TA : struct, ISide
        where TB : struct, ISide
        where TActivation : struct, IActivation
    {
        ArrayView<Sixteen> panel = SharedMemory.Allocate<Sixteen>(Strips * Depth);
        ArrayView<Sixteen> sums = SharedMemory.Allocate<Sixteen>(MaxBlocks * Strips * BlockRows);
        int panels = (t.N + Columns - 1) / Columns;
        int columnsBegin = Grid.IdxX % panels * Columns;
        for (int unit = Group.IdxX; unit < s.Depth * Strips; unit += Group.DimX)
        {
            int part = unit & (Strips - 1);
            int p = unit / Strips;
            panel[part * Depth + p] = Pack<TB>(t, columnsBegin + part * Sixteen.Width, s.First + p);
        }

        // Items that follow each other read the same strip of the panel.
        int strip = Group.IdxX / s.Blocks;
        int block = Group.IdxX - strip * s.Blocks;
        int row = (Grid.IdxX / panels * s.Blocks + block) * BlockRows;
        int column = columnsBegin + strip * Sixteen.Width;
        int own = Group.IdxX * BlockRows;
        bool partial = s.First > 0;
        sums[own] = Start(t, partial, row, column);
        sums[own + 1] = Start(t, partial, row + 1, column);
        sums[own + 2] = Start(t, partial, row + 2, column);
        sums[own + 3] = Start(t, partial, row + 3, column);
        Group.Barrier();

        Sixteen c0 = sums[own];
        Sixteen c1 = sums[own + 1];
        Sixteen c2 = sums[own + 2];
        Sixteen c3 = sums[own + 3];
        // Rows beyond the last are the last one again; their sums are dropped.
        long at0 = Line<TA>(t, s.First, row);
        long at1 = Line<TA>(t, s.First, row + 1);
        long at2 = Line<TA>(t, s.First, row + 2);
        long at3 = Line<TA>(t, s.First, row + 3);
        long step = TA.DepthContiguous ? 1 : t.M;
        // Never less than the depth; but a bound that is the same for all items would make PoCL run the items inside
        // of this loop, with the accumulators in memory: 2 instead of 70 GFLOP/s a core.
        int depth = IntrinsicMath.Min(s.Depth, Depth + Group.IdxX);
        for (int p = 0; p < depth; p++)
        {
            Sixteen b = panel[strip * Depth + p];
            long ahead = p * step;
            c0.Add(t.A[at0 + ahead], b);
            c1.Add(t.A[at1 + ahead], b);
            c2.Add(t.A[at2 + ahead], b);
            c3.Add(t.A[at3 + ahead], b);
        }

        sums[own] = c0;
        sums[own + 1] = c1;
        sums[own + 2] = c2;
        sums[own + 3] = c3;
        Group.Barrier();
        Store<TActivation>(t, row, column, sums[own]);
        Store<TActivation>(t, row + 1, column, sums[own + 1]);
        Store<TActivation>(t, row + 2, column, sums[own + 2]);
        Store<TActivation>(t, row + 3, column, sums[own + 3]);
    }

    private static long Line<TA>(MatMulArguments t, int p, int row)
        where TA : struct, ISide
    {
        long inside = IntrinsicMath.Min(row, t.M - 1);
        return TA.DepthContiguous ? inside * t.K + p : (long)p * t.M + inside;
    }

    /// <summary>Sixteen columns of op(B) at one depth.</summary>
    private static Sixteen Pack<TB>(MatMulArguments t, int column, int p)
        where TB : struct, ISide =>
        TB.DepthContiguous
            ? Sixteen.Strided(t.B, column, t.N - 1, t.K, p)
            : Load(t.B, (long)p * t.N, column, t.N);

    /// <summary>Sixteen of a row; the last again beyond the end.</summary>
    private static Sixteen Load(ArrayView<float> view, long row, int column, int length) =>
        column + Sixteen.Width <= length
            ? Sixteen.Contiguous(view, row + column)
            : Sixteen.Strided(view, column, length - 1, 1, row);

    /// <summary>What the products are added to: the partial sum, or C0 + bias.</summary>
    private static Sixteen Start(MatMulArguments t, bool partial, int row, int column)
    {
        long at = (long)IntrinsicMath.Min(row, t.M - 1) * t.N;
        if (partial)
        {
            return Load(t.C, at, column, t.N);
        }

        Sixteen start = default;
        if (t.Accumulate != 0)
        {
            start = Load(t.C, at, column, t.N);
        }

        if (t.HasBias != 0)
        {
            start.Add(1f, Load(t.Bias, 0, column, t.N));
        }

        return start;
    }

    private static void Store<TActivation>(MatMulArguments t, int row, int column, Sixteen c)
        where TActivation : struct, IActivation
    {
        long at = (long)row * t.N + column;
        if (row < t.M)
        {
            if (column + Sixteen.Width <= t.N)
            {
                c.Apply<TActivation>().Store(t.C, at);
            }
            else
            {
                c.Apply<TActivation>().StoreFirst(t.C, at, t.N - column);
            }
        }
    }
}
