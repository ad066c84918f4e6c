using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Linear;

/// <summary>What softmax and its gradient need of sixteen floats.</summary>
internal partial struct Sixteen
{
    /// <summary>Each difference.</summary>
    internal readonly Sixteen Minus(Sixteen b) => new()
    {
        V0 = V0 - b.V0,
        V1 = V1 - b.V1,
        V2 = V2 - b.V2,
        V3 = V3 - b.V3,
        V4 = V4 - b.V4,
        V5 = V5 - b.V5,
        V6 = V6 - b.V6,
        V7 = V7 - b.V7,
        V8 = V8 - b.V8,
        V9 = V9 - b.V9,
        V10 = V10 - b.V10,
        V11 = V11 - b.V11,
        V12 = V12 - b.V12,
        V13 = V13 - b.V13,
        V14 = V14 - b.V14,
        V15 = V15 - b.V15,
    };

    /// <summary>Each product.</summary>
    internal readonly Sixteen Times(Sixteen b) => new()
    {
        V0 = V0 * b.V0,
        V1 = V1 * b.V1,
        V2 = V2 * b.V2,
        V3 = V3 * b.V3,
        V4 = V4 * b.V4,
        V5 = V5 * b.V5,
        V6 = V6 * b.V6,
        V7 = V7 * b.V7,
        V8 = V8 * b.V8,
        V9 = V9 * b.V9,
        V10 = V10 * b.V10,
        V11 = V11 * b.V11,
        V12 = V12 * b.V12,
        V13 = V13 * b.V13,
        V14 = V14 * b.V14,
        V15 = V15 * b.V15,
    };

    /// <summary>One over each.</summary>
    internal readonly Sixteen Inverse() => new()
    {
        V0 = 1f / V0,
        V1 = 1f / V1,
        V2 = 1f / V2,
        V3 = 1f / V3,
        V4 = 1f / V4,
        V5 = 1f / V5,
        V6 = 1f / V6,
        V7 = 1f / V7,
        V8 = 1f / V8,
        V9 = 1f / V9,
        V10 = 1f / V10,
        V11 = 1f / V11,
        V12 = 1f / V12,
        V13 = 1f / V13,
        V14 = 1f / V14,
        V15 = 1f / V15,
    };

    /// <summary>exp(this - shift), each at most 1 but for rounding.</summary>
    internal readonly Sixteen Exp(Sixteen shift) => new()
    {
        V0 = ExpOf(V0 - shift.V0),
        V1 = ExpOf(V1 - shift.V1),
        V2 = ExpOf(V2 - shift.V2),
        V3 = ExpOf(V3 - shift.V3),
        V4 = ExpOf(V4 - shift.V4),
        V5 = ExpOf(V5 - shift.V5),
        V6 = ExpOf(V6 - shift.V6),
        V7 = ExpOf(V7 - shift.V7),
        V8 = ExpOf(V8 - shift.V8),
        V9 = ExpOf(V9 - shift.V9),
        V10 = ExpOf(V10 - shift.V10),
        V11 = ExpOf(V11 - shift.V11),
        V12 = ExpOf(V12 - shift.V12),
        V13 = ExpOf(V13 - shift.V13),
        V14 = ExpOf(V14 - shift.V14),
        V15 = ExpOf(V15 - shift.V15),
    };

    /// <summary>this += a b, each by itself.</summary>
    internal void AddProducts(Sixteen a, Sixteen b)
    {
        V0 = OpenClCpu.MultiplyAdd(a.V0, b.V0, V0);
        V1 = OpenClCpu.MultiplyAdd(a.V1, b.V1, V1);
        V2 = OpenClCpu.MultiplyAdd(a.V2, b.V2, V2);
        V3 = OpenClCpu.MultiplyAdd(a.V3, b.V3, V3);
        V4 = OpenClCpu.MultiplyAdd(a.V4, b.V4, V4);
        V5 = OpenClCpu.MultiplyAdd(a.V5, b.V5, V5);
        V6 = OpenClCpu.MultiplyAdd(a.V6, b.V6, V6);
        V7 = OpenClCpu.MultiplyAdd(a.V7, b.V7, V7);
        V8 = OpenClCpu.MultiplyAdd(a.V8, b.V8, V8);
        V9 = OpenClCpu.MultiplyAdd(a.V9, b.V9, V9);
        V10 = OpenClCpu.MultiplyAdd(a.V10, b.V10, V10);
        V11 = OpenClCpu.MultiplyAdd(a.V11, b.V11, V11);
        V12 = OpenClCpu.MultiplyAdd(a.V12, b.V12, V12);
        V13 = OpenClCpu.MultiplyAdd(a.V13, b.V13, V13);
        V14 = OpenClCpu.MultiplyAdd(a.V14, b.V14, V14);
        V15 = OpenClCpu.MultiplyAdd(a.V15, b.V15, V15);
    }

    /// <summary>Each magnitude.</summary>
    internal readonly Sixteen Magnitude() => new()
    {
        V0 = IntrinsicMath.Abs(V0),
        V1 = IntrinsicMath.Abs(V1),
        V2 = IntrinsicMath.Abs(V2),
        V3 = IntrinsicMath.Abs(V3),
        V4 = IntrinsicMath.Abs(V4),
        V5 = IntrinsicMath.Abs(V5),
        V6 = IntrinsicMath.Abs(V6),
        V7 = IntrinsicMath.Abs(V7),
        V8 = IntrinsicMath.Abs(V8),
        V9 = IntrinsicMath.Abs(V9),
        V10 = IntrinsicMath.Abs(V10),
        V11 = IntrinsicMath.Abs(V11),
        V12 = IntrinsicMath.Abs(V12),
        V13 = IntrinsicMath.Abs(V13),
        V14 = IntrinsicMath.Abs(V14),
        V15 = IntrinsicMath.Abs(V15),
    };

    /// <summary>The first <paramref name="count"/>, and 0 for the others.</summary>
    internal readonly Sixteen First(int count) => new()
    {
        V0 = Utilities.Select(0 < count, V0, 0f),
        V1 = Utilities.Select(1 < count, V1, 0f),
        V2 = Utilities.Select(2 < count, V2, 0f),
        V3 = Utilities.Select(3 < count, V3, 0f),
        V4 = Utilities.Select(4 < count, V4, 0f),
        V5 = Utilities.Select(5 < count, V5, 0f),
        V6 = Utilities.Select(6 < count, V6, 0f),
        V7 = Utilities.Select(7 < count, V7, 0f),
        V8 = Utilities.Select(8 < count, V8, 0f),
        V9 = Utilities.Select(9 < count, V9, 0f),
        V10 = Utilities.Select(10 < count, V10, 0f),
        V11 = Utilities.Select(11 < count, V11, 0f),
        V12 = Utilities.Select(12 < count, V12, 0f),
        V13 = Utilities.Select(13 < count, V13, 0f),
        V14 = Utilities.Select(14 < count, V14, 0f),
        V15 = Utilities.Select(15 < count, V15, 0f),
    };

    /// <summary>The sum of all, by halves.</summary>
    internal readonly float Sum() =>
        (((V0 + V8) + (V4 + V12)) + ((V2 + V10) + (V6 + V14))) + (((V1 + V9) + (V5 + V13)) + ((V3 + V11) + (V7 + V15)));

    /// <summary>The sum of all, by halves, of lanes that a loop added up.</summary>
    /// <param name="room">Shared memory of a group of one item.</param>
    /// <param name="place">
    /// Where the lanes are stored on the way: the compiler makes registers of what is stored side by side, and only pairs of
    /// what is added in an order that it may not change.
    /// </param>
    /// <param name="zero">0, but not for a compiler to know: else it would not store them.</param>
    internal readonly float Sum(ArrayView<Sixteen> room, int place, int zero)
    {
        room[place] = this;
        return room[place + zero].Sum();
    }

    /// <summary>0, but not for a compiler to know, of a place that is not negative and below 2^62.</summary>
    /// <remarks>
    /// A loop that writes sixteens steps by sixteen and this zero: of a step that it knew the compiler would take several at
    /// once, and gather from each.
    /// </remarks>
    internal static int Zero(long place) => (int)(place >> 62);

    /// <summary>The largest; NaN is passed over, unless it is the first.</summary>
    /// <param name="room">As for a sum.</param>
    /// <param name="place">As for a sum.</param>
    /// <param name="zero">As for a sum.</param>
    internal readonly float Largest(ArrayView<Sixteen> room, int place, int zero)
    {
        room[place] = this;
        return room[place + zero].Largest();
    }

    private readonly float Largest()
    {
        float left = Larger(Larger(Larger(V0, V1), Larger(V2, V3)), Larger(Larger(V4, V5), Larger(V6, V7)));
        float right = Larger(Larger(Larger(V8, V9), Larger(V10, V11)), Larger(Larger(V12, V13), Larger(V14, V15)));
        return Larger(left, right);
    }

    private static float Larger(float first, float second) => GroupTree.Larger(first, second);

    private static float ExpOf(float x) => Exponential.OfNegative(Lane.Of(x)).Value;

    /// <summary>Each over a divisor.</summary>
    internal readonly Sixteen Over(float divisor) => new()
    {
        V0 = V0 / divisor,
        V1 = V1 / divisor,
        V2 = V2 / divisor,
        V3 = V3 / divisor,
        V4 = V4 / divisor,
        V5 = V5 / divisor,
        V6 = V6 / divisor,
        V7 = V7 / divisor,
        V8 = V8 / divisor,
        V9 = V9 / divisor,
        V10 = V10 / divisor,
        V11 = V11 / divisor,
        V12 = V12 / divisor,
        V13 = V13 / divisor,
        V14 = V14 / divisor,
        V15 = V15 / divisor,
    };

    /// <summary>x - centre, where low &lt; x &lt;= high; 0 elsewhere, and for NaN.</summary>
    internal readonly Sixteen DistancesIn(float low, float high, float centre) => new()
    {
        V0 = Utilities.Select((V0 > low) & (V0 <= high), V0 - centre, 0f),
        V1 = Utilities.Select((V1 > low) & (V1 <= high), V1 - centre, 0f),
        V2 = Utilities.Select((V2 > low) & (V2 <= high), V2 - centre, 0f),
        V3 = Utilities.Select((V3 > low) & (V3 <= high), V3 - centre, 0f),
        V4 = Utilities.Select((V4 > low) & (V4 <= high), V4 - centre, 0f),
        V5 = Utilities.Select((V5 > low) & (V5 <= high), V5 - centre, 0f),
        V6 = Utilities.Select((V6 > low) & (V6 <= high), V6 - centre, 0f),
        V7 = Utilities.Select((V7 > low) & (V7 <= high), V7 - centre, 0f),
        V8 = Utilities.Select((V8 > low) & (V8 <= high), V8 - centre, 0f),
        V9 = Utilities.Select((V9 > low) & (V9 <= high), V9 - centre, 0f),
        V10 = Utilities.Select((V10 > low) & (V10 <= high), V10 - centre, 0f),
        V11 = Utilities.Select((V11 > low) & (V11 <= high), V11 - centre, 0f),
        V12 = Utilities.Select((V12 > low) & (V12 <= high), V12 - centre, 0f),
        V13 = Utilities.Select((V13 > low) & (V13 <= high), V13 - centre, 0f),
        V14 = Utilities.Select((V14 > low) & (V14 <= high), V14 - centre, 0f),
        V15 = Utilities.Select((V15 > low) & (V15 <= high), V15 - centre, 0f),
    };

    /// <summary>1 where low &lt; x &lt;= high; 0 elsewhere, and for NaN.</summary>
    internal readonly Sixteen OnesIn(float low, float high) => new()
    {
        V0 = Utilities.Select((V0 > low) & (V0 <= high), 1f, 0f),
        V1 = Utilities.Select((V1 > low) & (V1 <= high), 1f, 0f),
        V2 = Utilities.Select((V2 > low) & (V2 <= high), 1f, 0f),
        V3 = Utilities.Select((V3 > low) & (V3 <= high), 1f, 0f),
        V4 = Utilities.Select((V4 > low) & (V4 <= high), 1f, 0f),
        V5 = Utilities.Select((V5 > low) & (V5 <= high), 1f, 0f),
        V6 = Utilities.Select((V6 > low) & (V6 <= high), 1f, 0f),
        V7 = Utilities.Select((V7 > low) & (V7 <= high), 1f, 0f),
        V8 = Utilities.Select((V8 > low) & (V8 <= high), 1f, 0f),
        V9 = Utilities.Select((V9 > low) & (V9 <= high), 1f, 0f),
        V10 = Utilities.Select((V10 > low) & (V10 <= high), 1f, 0f),
        V11 = Utilities.Select((V11 > low) & (V11 <= high), 1f, 0f),
        V12 = Utilities.Select((V12 > low) & (V12 <= high), 1f, 0f),
        V13 = Utilities.Select((V13 > low) & (V13 <= high), 1f, 0f),
        V14 = Utilities.Select((V14 > low) & (V14 <= high), 1f, 0f),
        V15 = Utilities.Select((V15 > low) & (V15 <= high), 1f, 0f),
    };

    /// <summary>Each where it is above 0; 0 elsewhere, and for NaN.</summary>
    internal readonly Sixteen Positive() => new()
    {
        V0 = Utilities.Select(V0 > 0f, V0, 0f),
        V1 = Utilities.Select(V1 > 0f, V1, 0f),
        V2 = Utilities.Select(V2 > 0f, V2, 0f),
        V3 = Utilities.Select(V3 > 0f, V3, 0f),
        V4 = Utilities.Select(V4 > 0f, V4, 0f),
        V5 = Utilities.Select(V5 > 0f, V5, 0f),
        V6 = Utilities.Select(V6 > 0f, V6, 0f),
        V7 = Utilities.Select(V7 > 0f, V7, 0f),
        V8 = Utilities.Select(V8 > 0f, V8, 0f),
        V9 = Utilities.Select(V9 > 0f, V9, 0f),
        V10 = Utilities.Select(V10 > 0f, V10, 0f),
        V11 = Utilities.Select(V11 > 0f, V11, 0f),
        V12 = Utilities.Select(V12 > 0f, V12, 0f),
        V13 = Utilities.Select(V13 > 0f, V13, 0f),
        V14 = Utilities.Select(V14 > 0f, V14, 0f),
        V15 = Utilities.Select(V15 > 0f, V15, 0f),
    };
}
