using Kernels.DeviceCode.VectorQuantization;

namespace Kernels.Launching;

/// <summary>How rows are sorted by segment and summed.</summary>
internal enum SegmentWalk
{
    /// <summary>A counting sort, and SIMD on the host.</summary>
    Host,

    /// <summary>A counting sort by a few parts, and sixteen dimensions an item, for OpenCL CPU devices.</summary>
    Parts,

    /// <summary>A radix sort, and one dimension an item: <see cref="SegmentSort"/>.</summary>
    Radix,
}

/// <summary>The layout of a sort by segment. A pure function of the device's facts and the sizes.</summary>
/// <param name="Parts">Parts of the entries that are counted apart.</param>
/// <param name="Chunks">Parts of the segments whose places are found apart.</param>
/// <param name="Tiles">Tiles of entries of the radix sort.</param>
/// <param name="Passes">Digits of the radix sort.</param>
internal readonly record struct SegmentPlan(int Parts, int Chunks, int Tiles, int Passes)
{
    // Some microseconds of counting.
    private const int LeastPart = 2048;

    private const int LeastChunk = 4096;

    /// <summary>The walk for this device.</summary>
    internal static SegmentWalk WalkFor(DeviceFacts facts) => facts.Class switch
    {
        DeviceClass.Host => SegmentWalk.Host,
        DeviceClass.Gpu when facts.MaxGroup >= SegmentSort.Tile => SegmentWalk.Radix,
        _ => SegmentWalk.Parts,
    };

    /// <summary>The layout; grows with the number of entries.</summary>
    internal static SegmentPlan For(DeviceFacts facts, int entries, int segments)
    {
        // The counts of all parts are no more numbers than rows and segments together.
        int parts = Math.Min(facts.Cores, 1 + entries / Math.Max(segments, LeastPart));
        int chunks = Math.Min(4 * facts.Cores, 1 + segments / LeastChunk);
        int tiles = (int)(((long)entries + SegmentSort.Tile - 1) / SegmentSort.Tile);
        int passes = 1;
        while ((long)segments >> (passes * SegmentSort.DigitBits) > 0)
        {
            passes++;
        }

        return new SegmentPlan(parts, chunks, tiles, passes);
    }

    /// <summary>Windows of so many entries.</summary>
    internal static long Windows(int entries, int length) => ((long)entries + length - 1) / length;
}
