using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.Optimizers;

/// <summary>A block of 8-bit state: its scale, the codes of its elements, and the largest magnitude of a group.</summary>
/// <remarks>
/// Source, domain and order: <see cref="EightBitAdam"/>. The largest of a group is found in two levels in shared memory:
/// of numbers that are not negative it does not depend on the order.
/// </remarks>
internal static class EightBitBlock
{
    private const float LeastNormal = 1.17549435e-38f;

    /// <summary>x, or 0 if it is not finite.</summary>
    internal static T Finite<T>(T x)
        where T : struct, ILane<T> => T.IfLess(T.Abs(x), T.Of(float.PositiveInfinity), x, T.Of(0f));

    /// <summary>x, or 0 if it is negative or not finite.</summary>
    internal static T NotNegative<T>(T x)
        where T : struct, ILane<T> => T.IfGreater(Finite(x), T.Of(0f), x, T.Of(0f));

    /// <summary>What a block's codes are multiplied by.</summary>
    /// <param name="largest">Largest magnitude of the block.</param>
    internal static float Scale(float largest) =>
        Utilities.Select(largest > 0f, Utilities.Select(largest < LeastNormal, LeastNormal, largest), 0f);

    /// <summary>1 / scale; of no effect for a block of zeros.</summary>
    /// <param name="largest">Largest magnitude of the block.</param>
    internal static float Inverse(float largest) => 1f / Utilities.Select(largest < LeastNormal, LeastNormal, largest);

    // The mask is needed: a byte may arrive sign-extended on a device, and packets leave others above it.
    internal static Lane Number(uint code) => Lane.Of((int)(code & 0xFFu));

    internal static uint CodeM(Lane m, float inverse) => (uint)(int)DynamicMap.EncodeSigned(m * inverse).Value;

    internal static uint CodeV(Lane v, float inverse) => (uint)(int)DynamicMap.EncodeUnsigned(v, v * inverse).Value;

    internal static float Magnitude(Lane x) => Lane.Abs(x).Value;

    internal static float Larger(float a, float b) => Utilities.Select(a > b, a, b);

    internal struct Largest
    {
        public float M;
        public float V;
    }

    /// <summary>The largest |m| and v of a group of 256, in two levels of 16; all items must come here.</summary>
    internal static Largest LargestOf256(float m, float v)
    {
        ArrayView<float> shared = SharedMemory.Allocate<float>(544);
        int item = Group.IdxX;
        shared[item] = Magnitude(Lane.Of(m));
        shared[256 + item] = v;
        Group.Barrier();
        if (item < 32)
        {
            // Items 0 .. 15 take m, 16 .. 31 take v.
            int row = (item & 15) + ((item >> 4) << 8);
            float rowLargest = Larger(
                LargestOf8(shared, row, 16), LargestOf8(shared, row + 128, 16));
            shared[512 + item] = rowLargest;
        }

        Group.Barrier();
        Largest largest = default;
        largest.M = Larger(LargestOf8(shared, 512, 1), LargestOf8(shared, 520, 1));
        largest.V = Larger(LargestOf8(shared, 528, 1), LargestOf8(shared, 536, 1));
        return largest;
    }

    /// <summary>The largest m and v of a group of 64, in two levels of 8; all items must come here.</summary>
    internal static Largest LargestOf64(float m, float v)
    {
        ArrayView<float> shared = SharedMemory.Allocate<float>(144);
        int item = Group.IdxX;
        shared[item] = m;
        shared[64 + item] = v;
        Group.Barrier();
        if (item < 16)
        {
            int row = (item & 7) + ((item >> 3) << 6);
            shared[128 + item] = LargestOf8(shared, row, 8);
        }

        Group.Barrier();
        Largest largest = default;
        largest.M = LargestOf8(shared, 128, 1);
        largest.V = LargestOf8(shared, 136, 1);
        return largest;
    }

    private static float LargestOf8(ArrayView<float> x, int first, int stride) => Larger(
        Larger(
            Larger(x[first], x[first + stride]),
            Larger(x[first + 2 * stride], x[first + 3 * stride])),
        Larger(
            Larger(x[first + 4 * stride], x[first + 5 * stride]),
            Larger(x[first + 6 * stride], x[first + 7 * stride])));
}
