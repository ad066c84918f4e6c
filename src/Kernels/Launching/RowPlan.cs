using Kernels.DeviceCode.Linear;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.VectorQuantization;

namespace Kernels.Launching;

/// <summary>How a pass over rows walks.</summary>
internal enum RowWalk
{
    /// <summary>SIMD on the host, no launch.</summary>
    Host,

    /// <summary>A row an item, for OpenCL CPU devices.</summary>
    Rows,

    /// <summary>Some lanes a row, for GPUs.</summary>
    Lanes,
}

/// <summary>The layout of a pass over rows. A pure function of the device's facts and the sizes.</summary>
/// <param name="Groups">Groups.</param>
/// <param name="GroupSize">Items of a group, a power of two.</param>
/// <param name="Lanes">How items share rows; of rows a lane each.</param>
internal readonly record struct RowPlan(int Groups, int GroupSize, RowLanes Lanes)
{
    internal static RowWalk WalkFor(DeviceFacts facts) => facts.Class switch
    {
        DeviceClass.Host => RowWalk.Host,
        DeviceClass.OpenClCpu => RowWalk.Rows,
        _ => RowWalk.Lanes,
    };

    /// <summary>The layout for so many rows, which are not none.</summary>
    internal static RowPlan For(DeviceFacts facts, RowWalk walk, long rows, int dimension, bool packets)
    {
        int size = 1;
        int shift = 0;
        int units = packets ? dimension / 4 : dimension;
        int most = Math.Min(facts.MaxGroup, GroupTree.MaxGroup);
        if (walk == RowWalk.Rows)
        {
            // Some microseconds of work for a core, and few sizes: PoCL compiles a kernel anew for each.
            most = Math.Min(most, dimension <= 32 ? 256 : dimension <= 512 ? 32 : 2);
        }

        while (size * 2 <= most)
        {
            size *= 2;
        }

        if (walk == RowWalk.Lanes)
        {
            while (1 << shift < Math.Min(Math.Min(units, RowLanes.Most), size))
            {
                shift++;
            }
        }

        long ofGroup = size >> shift;
        return new RowPlan(
            checked((int)((rows + ofGroup - 1) / ofGroup)), size,
            new RowLanes { Count = 1 << shift, Shift = shift, Units = units });
    }

    /// <summary>The most additions that a term of a sum over all rows goes through: in its row or group, then 64 to 1.</summary>
    internal static int LossDepth(long rows, int dimension)
    {
        int depth = dimension + 16;
        for (long count = rows; count > 1; count = (count + StridedSum.Fold - 1) / StridedSum.Fold)
        {
            depth += (int)Math.Min(count, StridedSum.Fold) - 1;
        }

        return depth;
    }
}
