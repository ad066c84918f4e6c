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
}
