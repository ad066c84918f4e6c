using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Linear;

namespace Kernels.DeviceCode.VectorQuantization;

/// <summary>Sixteen indices as scalars, beside a <see cref="Sixteen"/>; nothing here may be indexed or looped over.</summary>
internal struct SixteenIndices
{
    public int V0;
    public int V1;
    public int V2;
    public int V3;
    public int V4;
    public int V5;
    public int V6;
    public int V7;
    public int V8;
    public int V9;
    public int V10;
    public int V11;
    public int V12;
    public int V13;
    public int V14;
    public int V15;

    /// <summary>Sixteen times the same.</summary>
    internal static SixteenIndices Of(int value) => new()
    {
        V0 = value,
        V1 = value,
        V2 = value,
        V3 = value,
        V4 = value,
        V5 = value,
        V6 = value,
        V7 = value,
        V8 = value,
        V9 = value,
        V10 = value,
        V11 = value,
        V12 = value,
        V13 = value,
        V14 = value,
        V15 = value,
    };

    /// <summary>left &gt; right ? index : what it was, each by itself.</summary>
    internal void TakeIfGreater(Sixteen left, Sixteen right, int index)
    {
        V0 = Utilities.Select(left.V0 > right.V0, index, V0);
        V1 = Utilities.Select(left.V1 > right.V1, index, V1);
        V2 = Utilities.Select(left.V2 > right.V2, index, V2);
        V3 = Utilities.Select(left.V3 > right.V3, index, V3);
        V4 = Utilities.Select(left.V4 > right.V4, index, V4);
        V5 = Utilities.Select(left.V5 > right.V5, index, V5);
        V6 = Utilities.Select(left.V6 > right.V6, index, V6);
        V7 = Utilities.Select(left.V7 > right.V7, index, V7);
        V8 = Utilities.Select(left.V8 > right.V8, index, V8);
        V9 = Utilities.Select(left.V9 > right.V9, index, V9);
        V10 = Utilities.Select(left.V10 > right.V10, index, V10);
        V11 = Utilities.Select(left.V11 > right.V11, index, V11);
        V12 = Utilities.Select(left.V12 > right.V12, index, V12);
        V13 = Utilities.Select(left.V13 > right.V13, index, V13);
        V14 = Utilities.Select(left.V14 > right.V14, index, V14);
        V15 = Utilities.Select(left.V15 > right.V15, index, V15);
    }

    /// <summary>Adds 1 where a number is above the limit; NaN is not.</summary>
    internal void CountAbove(Sixteen numbers, float limit)
    {
        V0 += Utilities.Select(numbers.V0 > limit, 1, 0);
        V1 += Utilities.Select(numbers.V1 > limit, 1, 0);
        V2 += Utilities.Select(numbers.V2 > limit, 1, 0);
        V3 += Utilities.Select(numbers.V3 > limit, 1, 0);
        V4 += Utilities.Select(numbers.V4 > limit, 1, 0);
        V5 += Utilities.Select(numbers.V5 > limit, 1, 0);
        V6 += Utilities.Select(numbers.V6 > limit, 1, 0);
        V7 += Utilities.Select(numbers.V7 > limit, 1, 0);
        V8 += Utilities.Select(numbers.V8 > limit, 1, 0);
        V9 += Utilities.Select(numbers.V9 > limit, 1, 0);
        V10 += Utilities.Select(numbers.V10 > limit, 1, 0);
        V11 += Utilities.Select(numbers.V11 > limit, 1, 0);
        V12 += Utilities.Select(numbers.V12 > limit, 1, 0);
        V13 += Utilities.Select(numbers.V13 > limit, 1, 0);
        V14 += Utilities.Select(numbers.V14 > limit, 1, 0);
        V15 += Utilities.Select(numbers.V15 > limit, 1, 0);
    }

    /// <summary>Adds the step where a number is above the limit that many places on, less one; NaN is not.</summary>
    internal void StepAbove(Sixteen numbers, ArrayView<float> limits, int before, int step)
    {
        V0 += Utilities.Select(numbers.V0 > limits[before + V0], step, 0);
        V1 += Utilities.Select(numbers.V1 > limits[before + V1], step, 0);
        V2 += Utilities.Select(numbers.V2 > limits[before + V2], step, 0);
        V3 += Utilities.Select(numbers.V3 > limits[before + V3], step, 0);
        V4 += Utilities.Select(numbers.V4 > limits[before + V4], step, 0);
        V5 += Utilities.Select(numbers.V5 > limits[before + V5], step, 0);
        V6 += Utilities.Select(numbers.V6 > limits[before + V6], step, 0);
        V7 += Utilities.Select(numbers.V7 > limits[before + V7], step, 0);
        V8 += Utilities.Select(numbers.V8 > limits[before + V8], step, 0);
        V9 += Utilities.Select(numbers.V9 > limits[before + V9], step, 0);
        V10 += Utilities.Select(numbers.V10 > limits[before + V10], step, 0);
        V11 += Utilities.Select(numbers.V11 > limits[before + V11], step, 0);
        V12 += Utilities.Select(numbers.V12 > limits[before + V12], step, 0);
        V13 += Utilities.Select(numbers.V13 > limits[before + V13], step, 0);
        V14 += Utilities.Select(numbers.V14 > limits[before + V14], step, 0);
        V15 += Utilities.Select(numbers.V15 > limits[before + V15], step, 0);
    }

    /// <summary>Stores all as bytes.</summary>
    internal readonly void Store(ArrayView<byte> bytes, long at)
    {
        bytes[at + 0] = (byte)V0;
        bytes[at + 1] = (byte)V1;
        bytes[at + 2] = (byte)V2;
        bytes[at + 3] = (byte)V3;
        bytes[at + 4] = (byte)V4;
        bytes[at + 5] = (byte)V5;
        bytes[at + 6] = (byte)V6;
        bytes[at + 7] = (byte)V7;
        bytes[at + 8] = (byte)V8;
        bytes[at + 9] = (byte)V9;
        bytes[at + 10] = (byte)V10;
        bytes[at + 11] = (byte)V11;
        bytes[at + 12] = (byte)V12;
        bytes[at + 13] = (byte)V13;
        bytes[at + 14] = (byte)V14;
        bytes[at + 15] = (byte)V15;
    }

    /// <summary>The bits of a magnitude; 0 for what is not finite.</summary>
    internal static int Magnitude(float number)
    {
        int bits = (int)(Interop.FloatAsInt(number) & 0x7FFFFFFFu);
        return Utilities.Select(bits < 0x7F800000, bits, 0);
    }

    /// <summary>The larger of each and the bits of a magnitude.</summary>
    internal void TakeLargerMagnitude(Sixteen numbers)
    {
        V0 = IntrinsicMath.Max(V0, Magnitude(numbers.V0));
        V1 = IntrinsicMath.Max(V1, Magnitude(numbers.V1));
        V2 = IntrinsicMath.Max(V2, Magnitude(numbers.V2));
        V3 = IntrinsicMath.Max(V3, Magnitude(numbers.V3));
        V4 = IntrinsicMath.Max(V4, Magnitude(numbers.V4));
        V5 = IntrinsicMath.Max(V5, Magnitude(numbers.V5));
        V6 = IntrinsicMath.Max(V6, Magnitude(numbers.V6));
        V7 = IntrinsicMath.Max(V7, Magnitude(numbers.V7));
        V8 = IntrinsicMath.Max(V8, Magnitude(numbers.V8));
        V9 = IntrinsicMath.Max(V9, Magnitude(numbers.V9));
        V10 = IntrinsicMath.Max(V10, Magnitude(numbers.V10));
        V11 = IntrinsicMath.Max(V11, Magnitude(numbers.V11));
        V12 = IntrinsicMath.Max(V12, Magnitude(numbers.V12));
        V13 = IntrinsicMath.Max(V13, Magnitude(numbers.V13));
        V14 = IntrinsicMath.Max(V14, Magnitude(numbers.V14));
        V15 = IntrinsicMath.Max(V15, Magnitude(numbers.V15));
    }

    /// <summary>The largest of all.</summary>
    internal readonly int Largest()
    {
        int a = IntrinsicMath.Max(IntrinsicMath.Max(V0, V1), IntrinsicMath.Max(V2, V3));
        int b = IntrinsicMath.Max(IntrinsicMath.Max(V4, V5), IntrinsicMath.Max(V6, V7));
        int c = IntrinsicMath.Max(IntrinsicMath.Max(V8, V9), IntrinsicMath.Max(V10, V11));
        int d = IntrinsicMath.Max(IntrinsicMath.Max(V12, V13), IntrinsicMath.Max(V14, V15));
        return IntrinsicMath.Max(IntrinsicMath.Max(a, b), IntrinsicMath.Max(c, d));
    }
}
