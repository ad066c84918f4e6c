using Kernels.DeviceCode.VectorQuantization;

namespace Kernels.Launching;

/// <summary>How a search for the nearest codes walks.</summary>
internal enum NearestWalk
{
    /// <summary>SIMD on the host, no launch.</summary>
    Host,

    /// <summary>Sixteen rows an item, for OpenCL CPU devices: <see cref="NearestRows"/>.</summary>
    Rows,

    /// <summary>Tiles in shared memory: <see cref="NearestTile"/>.</summary>
    Tile,
}

/// <summary>The layout of a search. A pure function of the device's facts and the sizes.</summary>
/// <param name="RowGroups">Groups, or units on the host, that share a split of a head.</param>
/// <param name="GroupSize">Items of a group; on the host, blocks of rows of a unit.</param>
/// <param name="Splits">Parts of the codes that are searched apart.</param>
/// <param name="SplitCodes">Codes of a part.</param>
/// <param name="Chunk">Codes that stay in the first-level cache; not used by tiles.</param>
internal readonly record struct NearestPlan(int RowGroups, int GroupSize, int Splits, int SplitCodes, int Chunk)
{
    /// <summary>Rows side by side in an item, or in SIMD registers of the host.</summary>
    internal const int Width = 16;

    // Half of the smallest first-level cache, in floats: the other half is for the rows.
    private const int ChunkFloats = 4096;

    // A part must be worth the merging of its results.
    private const int LeastSplit = 256;

    // Blocks of rows of the host's unit, as many as fit the second-level cache beside a chunk.
    private const int HostRoom = 65_536;

    /// <summary>The walk for this device.</summary>
    internal static NearestWalk WalkFor(DeviceFacts facts, int dimension) => facts.Class switch
    {
        DeviceClass.Host => NearestWalk.Host,
        DeviceClass.OpenClCpu when facts.SharedBytes >= NearestRows.SharedBytes && dimension <= NearestRows.Room =>
            NearestWalk.Rows,
        _ => NearestWalk.Tile,
    };

    /// <summary>The layout for rows of so many heads; all sizes are positive, and 0 splits are for the plan to choose.</summary>
    internal static NearestPlan For(
        DeviceFacts facts, NearestWalk walk, int rows, int codes, int dimension, int heads, int splits)
    {
        int group = RowsOfGroup(walk, dimension) / Width;
        long wanted = walk == NearestWalk.Tile ? 8L * facts.Cores : 4L * facts.Cores;
        if (walk == NearestWalk.Rows)
        {
            // Few rows: smaller groups, of few sizes, since PoCL compiles a kernel anew for every one.
            while (group > 1 && Pieces(rows, (long)group * Width) * heads < 2L * facts.Cores)
            {
                group /= 2;
            }
        }

        long rowGroups = Pieces(rows, (long)group * Width);
        long parts = splits > 0 ? splits : Math.Min(Pieces(wanted, rowGroups * heads), Pieces(codes, LeastSplit));
        long each = Pieces(Pieces(codes, Math.Min(parts, codes)), 4) * 4;
        int chunk = Math.Clamp(ChunkFloats / dimension / 4 * 4, 4, 1024);
        int size = walk == NearestWalk.Tile ? NearestTile.GroupSize : group;
        return new NearestPlan(checked((int)rowGroups), size, (int)Pieces(codes, each), checked((int)each), chunk);
    }

    /// <summary>Partial results that any call needs with at most so many rows.</summary>
    internal static long Partials(
        DeviceFacts facts, NearestWalk walk, int rows, int codes, int dimension, int heads, int splits)
    {
        if (splits > 0)
        {
            return (long)Math.Min(splits, codes) * rows * heads;
        }

        // With s splits of r groups of rows, s r heads is below what is wanted and one more for each group.
        long most = 8L * facts.Cores + Pieces(rows, Width) * heads;
        return Math.Min(most * RowsOfGroup(walk, dimension), Pieces(codes, LeastSplit) * rows * heads) + (long)rows * heads;
    }

    private static int RowsOfGroup(NearestWalk walk, int dimension) => walk switch
    {
        NearestWalk.Tile => NearestTile.Side,
        NearestWalk.Rows => Math.Clamp(NearestRows.Room / dimension, 1, NearestRows.MaxItems) * Width,
        _ => Math.Clamp(HostRoom / Width / dimension, 1, 8) * Width,
    };

    private static long Pieces(long count, long size) => (count + size - 1) / size;
}
