using ILGPU;

namespace Kernels.Tests.Cuda;

/// <summary>Fields that do not lie one after the other.</summary>
public readonly record struct Mixed(byte First, short Second, ArrayView<float> View, Inner Inner, byte Last);

/// <summary>A structure in it.</summary>
public readonly record struct Inner(byte Before, double Number, int After);

/// <summary>Kernels that the library has no use for itself.</summary>
internal static class TestKernels
{
    internal static Mixed Mix(ArrayView<float> view) => new(11, -1234, view, new Inner(13, 0.1, -7), 17);

    /// <summary>Turns the array round, in one group with the array in shared memory.</summary>
    internal static void Reverse(ArrayView<float> x)
    {
        ArrayView<float> shared = SharedMemory.GetDynamic<float>();
        int length = x.IntLength;
        for (int i = Group.IdxX; i < length; i += Group.DimX)
        {
            shared[i] = x[i];
        }

        Group.Barrier();
        for (int i = Group.IdxX; i < length; i += Group.DimX)
        {
            x[i] = shared[length - 1 - i];
        }
    }

    /// <summary>Writes what it got; the groups and items write where they are.</summary>
    internal static void Spread(Mixed mixed, byte between, ArrayView<float> found)
    {
        int item = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (item == 0)
        {
            found[0] = mixed.First;
            found[1] = mixed.Second;
            found[2] = mixed.View[2];
            found[3] = mixed.View.IntLength;
            found[4] = mixed.Inner.Before;
            found[5] = (float)mixed.Inner.Number;
            found[6] = mixed.Inner.After;
            found[7] = mixed.Last;
            found[8] = between;
            found[9] = found.IntLength;
        }

        found[10 + item] = item;
    }

    internal static void Line(Index1D index, byte value, ArrayView<float> found) => found[index] = index + value;

    internal static void Plane(Index2D index, byte value, ArrayView<float> found) =>
        found[(index.Y * 5) + index.X] = index.X + (10 * index.Y) + value;
}
