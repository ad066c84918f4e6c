using Kernels.DeviceCode.Linear;

namespace Kernels.Launching;

/// <summary>How a matrix product walks.</summary>
internal enum TileWalk
{
    /// <summary>SIMD on the host, no launch.</summary>
    Host,

    /// <summary>Packed panels for OpenCL CPU devices: <see cref="MatMulPanel"/>.</summary>
    Panel,

    /// <summary>Tiles in shared memory: <see cref="MatMulTile"/>.</summary>
    Tile,
}

/// <summary>The layout of a product [m, n] on a device. A pure function of the device's facts and the sizes.</summary>
/// <param name="Groups">Groups, or units of work on the host.</param>
/// <param name="GroupSize">Items of a group.</param>
/// <param name="Blocks">Blocks of rows of a group or unit; not used by tiles.</param>
internal readonly record struct TilePlan(int Groups, int GroupSize, int Blocks)
{
    // PoCL 6, 2 cores, 512^3: 128 rows a group 55-60 GFLOP/s a core, 256 rows 50-56, 512 rows 35-49.
    private const int PanelBlocks = 32;

    // Packing a panel costs a quarter of multiplying it with 96 rows, an eighth with 192.
    private const int HostBlocks = 32;

    /// <summary>The walk for this device.</summary>
    internal static TileWalk WalkFor(DeviceFacts facts) => facts.Class switch
    {
        DeviceClass.Host => TileWalk.Host,
        DeviceClass.OpenClCpu when facts.SharedBytes >= MatMulPanel.SharedBytes => TileWalk.Panel,
        _ => TileWalk.Tile,
    };

    /// <summary>The layout of C [m, n]; m and n are positive.</summary>
    internal static TilePlan For(DeviceFacts facts, TileWalk walk, int m, int n)
    {
        if (walk == TileWalk.Tile)
        {
            long tiles = Pieces(m, MatMulTile.Side) * Pieces(n, MatMulTile.Side);
            return new TilePlan(checked((int)tiles), MatMulTile.GroupSize, 0);
        }

        long panels = Pieces(n, MatMulPanel.Columns);
        long wanted = Pieces(2L * facts.Cores, panels); // two groups a core, where the rows suffice
        if (walk == TileWalk.Panel)
        {
            // PoCL compiles a kernel anew for every group size: few sizes, and none below eight items.
            long lines = Pieces(m, MatMulPanel.BlockRows);
            int size = lines > 8 && Pieces(lines, PanelBlocks) >= wanted ? PanelBlocks : lines > 2 ? 8 : 2;
            size = Math.Min(size, facts.MaxGroup / MatMulPanel.Strips);
            return new TilePlan(checked((int)(Pieces(lines, size) * panels)), size * MatMulPanel.Strips, size);
        }

        long blocks = Pieces(m, HostBlockRows);
        long units = Math.Max(Pieces(blocks, HostBlocks), Math.Min(wanted, Pieces(blocks, 8)));
        int each = (int)Pieces(blocks, units);
        return new TilePlan(checked((int)(Pieces(blocks, each) * panels)), 1, each);
    }

    /// <summary>Rows of a block of the host walk.</summary>
    internal const int HostBlockRows = 6;

    /// <summary>Items of a group that reduces a row: a power of two, one item for four elements within bounds.</summary>
    internal static int RowGroup(DeviceFacts facts, int length)
    {
        int size = 32;
        while (size < GroupTree.MaxGroup && size * 4 < length)
        {
            size *= 2;
        }

        while (size > facts.MaxGroup)
        {
            size /= 2;
        }

        return size;
    }

    private static long Pieces(long count, long size) => (count + size - 1) / size;
}
