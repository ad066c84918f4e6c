using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.Linear;

/// <summary>Sixteen floats as scalars: the compilers of OpenCL CPU devices make SIMD registers of them.</summary>
/// <remarks>Nothing here may be indexed or looped over: an array would live in memory.</remarks>
internal partial struct Sixteen : ILinearLane<Sixteen>
{
    /// <summary>Sixteen.</summary>
    internal const int Width = 16;

    public float V0;
    public float V1;
    public float V2;
    public float V3;
    public float V4;
    public float V5;
    public float V6;
    public float V7;
    public float V8;
    public float V9;
    public float V10;
    public float V11;
    public float V12;
    public float V13;
    public float V14;
    public float V15;

    public static Sixteen operator +(Sixteen left, Sixteen right) => new()
    {
        V0 = left.V0 + right.V0,
        V1 = left.V1 + right.V1,
        V2 = left.V2 + right.V2,
        V3 = left.V3 + right.V3,
        V4 = left.V4 + right.V4,
        V5 = left.V5 + right.V5,
        V6 = left.V6 + right.V6,
        V7 = left.V7 + right.V7,
        V8 = left.V8 + right.V8,
        V9 = left.V9 + right.V9,
        V10 = left.V10 + right.V10,
        V11 = left.V11 + right.V11,
        V12 = left.V12 + right.V12,
        V13 = left.V13 + right.V13,
        V14 = left.V14 + right.V14,
        V15 = left.V15 + right.V15,
    };

    public static Sixteen operator -(Sixteen left, Sixteen right) => left.Minus(right);

    public static Sixteen operator *(Sixteen left, float right) => left.Times(right);

    /// <summary>Sixteen successive elements.</summary>
    internal static Sixteen Contiguous(ArrayView<float> view, long at) => new()
    {
        V0 = view[at + 0],
        V1 = view[at + 1],
        V2 = view[at + 2],
        V3 = view[at + 3],
        V4 = view[at + 4],
        V5 = view[at + 5],
        V6 = view[at + 6],
        V7 = view[at + 7],
        V8 = view[at + 8],
        V9 = view[at + 9],
        V10 = view[at + 10],
        V11 = view[at + 11],
        V12 = view[at + 12],
        V13 = view[at + 13],
        V14 = view[at + 14],
        V15 = view[at + 15],
    };

    /// <summary>Elements offset + line * stride of sixteen successive lines; the last line again beyond it.</summary>
    internal static Sixteen Strided(ArrayView<float> view, int line, int last, long stride, long offset) => new()
    {
        V0 = view[IntrinsicMath.Min(line + 0, last) * stride + offset],
        V1 = view[IntrinsicMath.Min(line + 1, last) * stride + offset],
        V2 = view[IntrinsicMath.Min(line + 2, last) * stride + offset],
        V3 = view[IntrinsicMath.Min(line + 3, last) * stride + offset],
        V4 = view[IntrinsicMath.Min(line + 4, last) * stride + offset],
        V5 = view[IntrinsicMath.Min(line + 5, last) * stride + offset],
        V6 = view[IntrinsicMath.Min(line + 6, last) * stride + offset],
        V7 = view[IntrinsicMath.Min(line + 7, last) * stride + offset],
        V8 = view[IntrinsicMath.Min(line + 8, last) * stride + offset],
        V9 = view[IntrinsicMath.Min(line + 9, last) * stride + offset],
        V10 = view[IntrinsicMath.Min(line + 10, last) * stride + offset],
        V11 = view[IntrinsicMath.Min(line + 11, last) * stride + offset],
        V12 = view[IntrinsicMath.Min(line + 12, last) * stride + offset],
        V13 = view[IntrinsicMath.Min(line + 13, last) * stride + offset],
        V14 = view[IntrinsicMath.Min(line + 14, last) * stride + offset],
        V15 = view[IntrinsicMath.Min(line + 15, last) * stride + offset],
    };

    /// <summary>Sixteen successive elements of any storage.</summary>
    internal static Sixteen Decoded<TStorage>(TStorage view, long at)
        where TStorage : struct, IStorage => new()
        {
            V0 = view.Decode(view.Read(at + 0)),
            V1 = view.Decode(view.Read(at + 1)),
            V2 = view.Decode(view.Read(at + 2)),
            V3 = view.Decode(view.Read(at + 3)),
            V4 = view.Decode(view.Read(at + 4)),
            V5 = view.Decode(view.Read(at + 5)),
            V6 = view.Decode(view.Read(at + 6)),
            V7 = view.Decode(view.Read(at + 7)),
            V8 = view.Decode(view.Read(at + 8)),
            V9 = view.Decode(view.Read(at + 9)),
            V10 = view.Decode(view.Read(at + 10)),
            V11 = view.Decode(view.Read(at + 11)),
            V12 = view.Decode(view.Read(at + 12)),
            V13 = view.Decode(view.Read(at + 13)),
            V14 = view.Decode(view.Read(at + 14)),
            V15 = view.Decode(view.Read(at + 15)),
        };

    /// <summary>Sixteen elements of any storage, so far apart.</summary>
    internal static Sixteen DecodedStrided<TStorage>(TStorage view, long at, int stride)
        where TStorage : struct, IStorage => new()
        {
            V0 = view.Decode(view.Read(at + 0 * stride)),
            V1 = view.Decode(view.Read(at + 1 * stride)),
            V2 = view.Decode(view.Read(at + 2 * stride)),
            V3 = view.Decode(view.Read(at + 3 * stride)),
            V4 = view.Decode(view.Read(at + 4 * stride)),
            V5 = view.Decode(view.Read(at + 5 * stride)),
            V6 = view.Decode(view.Read(at + 6 * stride)),
            V7 = view.Decode(view.Read(at + 7 * stride)),
            V8 = view.Decode(view.Read(at + 8 * stride)),
            V9 = view.Decode(view.Read(at + 9 * stride)),
            V10 = view.Decode(view.Read(at + 10 * stride)),
            V11 = view.Decode(view.Read(at + 11 * stride)),
            V12 = view.Decode(view.Read(at + 12 * stride)),
            V13 = view.Decode(view.Read(at + 13 * stride)),
            V14 = view.Decode(view.Read(at + 14 * stride)),
            V15 = view.Decode(view.Read(at + 15 * stride)),
        };

    /// <summary>Sixteen times the same.</summary>
    internal static Sixteen Of(float value) => new()
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

    public static Sixteen MultiplyAdd(Sixteen left, float right, Sixteen addend) => new()
    {
        V0 = OpenClCpu.MultiplyAdd(left.V0, right, addend.V0),
        V1 = OpenClCpu.MultiplyAdd(left.V1, right, addend.V1),
        V2 = OpenClCpu.MultiplyAdd(left.V2, right, addend.V2),
        V3 = OpenClCpu.MultiplyAdd(left.V3, right, addend.V3),
        V4 = OpenClCpu.MultiplyAdd(left.V4, right, addend.V4),
        V5 = OpenClCpu.MultiplyAdd(left.V5, right, addend.V5),
        V6 = OpenClCpu.MultiplyAdd(left.V6, right, addend.V6),
        V7 = OpenClCpu.MultiplyAdd(left.V7, right, addend.V7),
        V8 = OpenClCpu.MultiplyAdd(left.V8, right, addend.V8),
        V9 = OpenClCpu.MultiplyAdd(left.V9, right, addend.V9),
        V10 = OpenClCpu.MultiplyAdd(left.V10, right, addend.V10),
        V11 = OpenClCpu.MultiplyAdd(left.V11, right, addend.V11),
        V12 = OpenClCpu.MultiplyAdd(left.V12, right, addend.V12),
        V13 = OpenClCpu.MultiplyAdd(left.V13, right, addend.V13),
        V14 = OpenClCpu.MultiplyAdd(left.V14, right, addend.V14),
        V15 = OpenClCpu.MultiplyAdd(left.V15, right, addend.V15),
    };

    /// <summary>Each times a factor.</summary>
    internal readonly Sixteen Times(float factor) => new()
    {
        V0 = V0 * factor,
        V1 = V1 * factor,
        V2 = V2 * factor,
        V3 = V3 * factor,
        V4 = V4 * factor,
        V5 = V5 * factor,
        V6 = V6 * factor,
        V7 = V7 * factor,
        V8 = V8 * factor,
        V9 = V9 * factor,
        V10 = V10 * factor,
        V11 = V11 * factor,
        V12 = V12 * factor,
        V13 = V13 * factor,
        V14 = V14 * factor,
        V15 = V15 * factor,
    };

    /// <summary>Whether any is greater than that of the other; NaN is not.</summary>
    internal readonly bool IsAnyGreater(Sixteen b) =>
        (V0 > b.V0) | (V1 > b.V1) | (V2 > b.V2) | (V3 > b.V3)
        | (V4 > b.V4) | (V5 > b.V5) | (V6 > b.V6) | (V7 > b.V7)
        | (V8 > b.V8) | (V9 > b.V9) | (V10 > b.V10) | (V11 > b.V11)
        | (V12 > b.V12) | (V13 > b.V13) | (V14 > b.V14) | (V15 > b.V15);

    /// <summary>left &gt; right ? yes : no, each by itself; false for NaN.</summary>
    internal static Sixteen IfGreater(Sixteen left, Sixteen right, Sixteen yes, Sixteen no) => new()
    {
        V0 = Utilities.Select(left.V0 > right.V0, yes.V0, no.V0),
        V1 = Utilities.Select(left.V1 > right.V1, yes.V1, no.V1),
        V2 = Utilities.Select(left.V2 > right.V2, yes.V2, no.V2),
        V3 = Utilities.Select(left.V3 > right.V3, yes.V3, no.V3),
        V4 = Utilities.Select(left.V4 > right.V4, yes.V4, no.V4),
        V5 = Utilities.Select(left.V5 > right.V5, yes.V5, no.V5),
        V6 = Utilities.Select(left.V6 > right.V6, yes.V6, no.V6),
        V7 = Utilities.Select(left.V7 > right.V7, yes.V7, no.V7),
        V8 = Utilities.Select(left.V8 > right.V8, yes.V8, no.V8),
        V9 = Utilities.Select(left.V9 > right.V9, yes.V9, no.V9),
        V10 = Utilities.Select(left.V10 > right.V10, yes.V10, no.V10),
        V11 = Utilities.Select(left.V11 > right.V11, yes.V11, no.V11),
        V12 = Utilities.Select(left.V12 > right.V12, yes.V12, no.V12),
        V13 = Utilities.Select(left.V13 > right.V13, yes.V13, no.V13),
        V14 = Utilities.Select(left.V14 > right.V14, yes.V14, no.V14),
        V15 = Utilities.Select(left.V15 > right.V15, yes.V15, no.V15),
    };

    /// <summary>this += a * b.</summary>
    internal void Add(float a, Sixteen b)
    {
        V0 = OpenClCpu.MultiplyAdd(a, b.V0, V0);
        V1 = OpenClCpu.MultiplyAdd(a, b.V1, V1);
        V2 = OpenClCpu.MultiplyAdd(a, b.V2, V2);
        V3 = OpenClCpu.MultiplyAdd(a, b.V3, V3);
        V4 = OpenClCpu.MultiplyAdd(a, b.V4, V4);
        V5 = OpenClCpu.MultiplyAdd(a, b.V5, V5);
        V6 = OpenClCpu.MultiplyAdd(a, b.V6, V6);
        V7 = OpenClCpu.MultiplyAdd(a, b.V7, V7);
        V8 = OpenClCpu.MultiplyAdd(a, b.V8, V8);
        V9 = OpenClCpu.MultiplyAdd(a, b.V9, V9);
        V10 = OpenClCpu.MultiplyAdd(a, b.V10, V10);
        V11 = OpenClCpu.MultiplyAdd(a, b.V11, V11);
        V12 = OpenClCpu.MultiplyAdd(a, b.V12, V12);
        V13 = OpenClCpu.MultiplyAdd(a, b.V13, V13);
        V14 = OpenClCpu.MultiplyAdd(a, b.V14, V14);
        V15 = OpenClCpu.MultiplyAdd(a, b.V15, V15);
    }

    /// <summary>The activation of each.</summary>
    internal readonly Sixteen Apply<TActivation>()
        where TActivation : struct, IActivation => new()
        {
            V0 = TActivation.Apply(Lane.Of(V0)).Value,
            V1 = TActivation.Apply(Lane.Of(V1)).Value,
            V2 = TActivation.Apply(Lane.Of(V2)).Value,
            V3 = TActivation.Apply(Lane.Of(V3)).Value,
            V4 = TActivation.Apply(Lane.Of(V4)).Value,
            V5 = TActivation.Apply(Lane.Of(V5)).Value,
            V6 = TActivation.Apply(Lane.Of(V6)).Value,
            V7 = TActivation.Apply(Lane.Of(V7)).Value,
            V8 = TActivation.Apply(Lane.Of(V8)).Value,
            V9 = TActivation.Apply(Lane.Of(V9)).Value,
            V10 = TActivation.Apply(Lane.Of(V10)).Value,
            V11 = TActivation.Apply(Lane.Of(V11)).Value,
            V12 = TActivation.Apply(Lane.Of(V12)).Value,
            V13 = TActivation.Apply(Lane.Of(V13)).Value,
            V14 = TActivation.Apply(Lane.Of(V14)).Value,
            V15 = TActivation.Apply(Lane.Of(V15)).Value,
        };

    /// <summary>Stores all sixteen.</summary>
    internal readonly void Store(ArrayView<float> view, long at)
    {
        view[at + 0] = V0;
        view[at + 1] = V1;
        view[at + 2] = V2;
        view[at + 3] = V3;
        view[at + 4] = V4;
        view[at + 5] = V5;
        view[at + 6] = V6;
        view[at + 7] = V7;
        view[at + 8] = V8;
        view[at + 9] = V9;
        view[at + 10] = V10;
        view[at + 11] = V11;
        view[at + 12] = V12;
        view[at + 13] = V13;
        view[at + 14] = V14;
        view[at + 15] = V15;
    }

    /// <summary>Stores the first <paramref name="count"/>.</summary>
    internal readonly void StoreFirst(ArrayView<float> view, long at, int count)
    {
        StoreIf(0 < count, view, at + 0, V0);
        StoreIf(1 < count, view, at + 1, V1);
        StoreIf(2 < count, view, at + 2, V2);
        StoreIf(3 < count, view, at + 3, V3);
        StoreIf(4 < count, view, at + 4, V4);
        StoreIf(5 < count, view, at + 5, V5);
        StoreIf(6 < count, view, at + 6, V6);
        StoreIf(7 < count, view, at + 7, V7);
        StoreIf(8 < count, view, at + 8, V8);
        StoreIf(9 < count, view, at + 9, V9);
        StoreIf(10 < count, view, at + 10, V10);
        StoreIf(11 < count, view, at + 11, V11);
        StoreIf(12 < count, view, at + 12, V12);
        StoreIf(13 < count, view, at + 13, V13);
        StoreIf(14 < count, view, at + 14, V14);
        StoreIf(15 < count, view, at + 15, V15);
    }

    /// <summary>Stores the first <paramref name="count"/> as elements offset + line * stride of successive lines.</summary>
    internal readonly void StoreStrided(ArrayView<float> view, long line, int count, long stride, long offset)
    {
        StoreIf(0 < count, view, (line + 0) * stride + offset, V0);
        StoreIf(1 < count, view, (line + 1) * stride + offset, V1);
        StoreIf(2 < count, view, (line + 2) * stride + offset, V2);
        StoreIf(3 < count, view, (line + 3) * stride + offset, V3);
        StoreIf(4 < count, view, (line + 4) * stride + offset, V4);
        StoreIf(5 < count, view, (line + 5) * stride + offset, V5);
        StoreIf(6 < count, view, (line + 6) * stride + offset, V6);
        StoreIf(7 < count, view, (line + 7) * stride + offset, V7);
        StoreIf(8 < count, view, (line + 8) * stride + offset, V8);
        StoreIf(9 < count, view, (line + 9) * stride + offset, V9);
        StoreIf(10 < count, view, (line + 10) * stride + offset, V10);
        StoreIf(11 < count, view, (line + 11) * stride + offset, V11);
        StoreIf(12 < count, view, (line + 12) * stride + offset, V12);
        StoreIf(13 < count, view, (line + 13) * stride + offset, V13);
        StoreIf(14 < count, view, (line + 14) * stride + offset, V14);
        StoreIf(15 < count, view, (line + 15) * stride + offset, V15);
    }

    private static void StoreIf(bool condition, ArrayView<float> view, long at, float value)
    {
        if (condition)
        {
            view[at] = value;
        }
    }
}
