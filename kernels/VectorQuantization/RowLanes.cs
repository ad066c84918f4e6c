using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.VectorQuantization;

/// <summary>A group of items over some rows: each row has a power of two of lanes.</summary>
internal struct RowLanes
{
    /// <summary>Most lanes of a row.</summary>
    internal const int Most = 32;

    /// <summary>Lanes of a row.</summary>
    public int Count;

    /// <summary>Count = 2^Shift.</summary>
    public int Shift;

    /// <summary>Elements of a row, or fours of them.</summary>
    public int Units;

    /// <summary>The item's row.</summary>
    public readonly long Row() => (long)Grid.IdxX * (Group.DimX >> Shift) + (Group.IdxX >> Shift);

    /// <summary>Which of its row's lanes an item is.</summary>
    public readonly int Lane() => Group.IdxX & (Count - 1);

    /// <summary>The sum over the lanes of a row, for all of them. Every item of the group must call it.</summary>
    public readonly float Sum(ArrayView<float> shared, float value)
    {
        int item = Group.IdxX;
        int lane = Lane();
        Group.Barrier();
        shared[item] = value;
        for (int half = Count >> 1; half > 0; half >>= 1)
        {
            Group.Barrier();
            if (lane < half)
            {
                shared[item] = shared[item] + shared[item + half];
            }
        }

        Group.Barrier();
        return shared[item - lane];
    }

    /// <summary>Stores four values, or zeros.</summary>
    internal static void Write<TStorage>(TStorage view, long k, Quad value, bool known)
        where TStorage : struct, IStorage => view.WritePacket(k, new QuadBits
        {
            X = view.Encode(Utilities.Select(known, value.X, 0f), 0),
            Y = view.Encode(Utilities.Select(known, value.Y, 0f), 0),
            Z = view.Encode(Utilities.Select(known, value.Z, 0f), 0),
            W = view.Encode(Utilities.Select(known, value.W, 0f), 0),
        });
}
