using ILGPU;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Linear;

/// <summary>
/// Reductions over a group by a tree in shared memory: item i takes item i + n / 2, then i + n / 4, down to 1. The
/// order is that of the items, so the same for every launch; group sizes are powers of two up to <see cref="MaxGroup"/>.
/// </summary>
internal static class GroupTree
{
    /// <summary>Largest group.</summary>
    internal const int MaxGroup = 256;

    /// <summary>The sum over the group, for all items. Every item must call it.</summary>
    internal static float Sum(ArrayView<float> shared, float value)
    {
        int item = Group.IdxX;
        Group.Barrier();
        shared[item] = value;
        for (int half = Group.DimX >> 1; half > 0; half >>= 1)
        {
            Group.Barrier();
            if (item < half)
            {
                shared[item] = shared[item] + shared[item + half];
            }
        }

        Group.Barrier();
        return shared[0];
    }

    /// <summary>The largest value over the group, for all items; NaN is passed over. Every item must call it.</summary>
    internal static float Max(ArrayView<float> shared, float value)
    {
        int item = Group.IdxX;
        Group.Barrier();
        shared[item] = value;
        for (int half = Group.DimX >> 1; half > 0; half >>= 1)
        {
            Group.Barrier();
            if (item < half)
            {
                shared[item] = Larger(shared[item], shared[item + half]);
            }
        }

        Group.Barrier();
        return shared[0];
    }

    /// <summary>The larger of two, the first where the second is NaN.</summary>
    internal static float Larger(float first, float second) =>
        Lane.IfGreater(Lane.Of(second), Lane.Of(first), Lane.Of(second), Lane.Of(first)).Value;
}
