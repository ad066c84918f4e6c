using Kernels.DeviceCode.Reductions;

namespace Kernels.Launching;

/// <summary>One launch of blocks of lanes: <c>Groups * GroupSize</c> lanes from block <c>First</c> on.</summary>
/// <param name="First">First block.</param>
/// <param name="Groups">Groups.</param>
/// <param name="GroupSize">Items per group; divides the lanes of a block.</param>
internal readonly record struct BlockLaunch(long First, int Groups, int GroupSize);

/// <summary>How sums of squares are laid out: pure functions of lengths and of a device's facts.</summary>
internal static class ReductionPlan
{
    /// <summary>Tiles of a tensor, the last one perhaps not full.</summary>
    internal static long Tiles(long length) => (length + SumOfSquares.TileLength - 1) / SumOfSquares.TileLength;

    /// <summary>Partial sums after a fold.</summary>
    internal static long Folded(long count) => (count + SumOfSquares.Fold - 1) / SumOfSquares.Fold;

    /// <summary>The most additions that one square goes through, for one tensor.</summary>
    internal static int Depth(long length)
    {
        if (length <= 1)
        {
            return 0;
        }

        // Eights in a lane, then the eights of a lane; eights of a tile's lanes, and those.
        int depth = 7 + (SumOfSquares.Rows / 8 - 1) + 7 + (SumOfSquares.TileLanes / 8 - 1);
        long count = Tiles(length);
        for (; count > SumOfSquares.Fold; count = Folded(count))
        {
            depth += SumOfSquares.Fold - 1;
        }

        return depth + (int)count - 1;
    }

    /// <summary>The next launch for blocks from <paramref name="first"/> up to <paramref name="end"/>.</summary>
    internal static BlockLaunch Blocks(DeviceFacts facts, int lanes, long first, long end)
    {
        int size = lanes;
        while (size > facts.MaxGroup)
        {
            size /= 2;
        }

        int perBlock = lanes / size;
        long blocks = Math.Min(end - first, facts.MaxGrid / perBlock);
        return new BlockLaunch(first, (int)blocks * perBlock, size);
    }
}
