using System.Numerics;
using System.Runtime.CompilerServices;
using Kernels.DeviceCode.Common;

namespace Kernels.Host;

/// <summary>One SIMD register of floats: the mathematics of the device items, several at once.</summary>
// Every member is inlined by hand, and the value is a field: what the compiler inlines by itself depends on its budget
// for a method and on what it has seen run (8-bit Adam takes half the time with it).
[method: MethodImpl(MethodImplOptions.AggressiveInlining)]
internal struct HostLane(Vector<float> value) : ILane<HostLane>, ILinearLane<HostLane>
{
    internal Vector<float> Value = value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane operator +(HostLane left, HostLane right) => new() { Value = left.Value + right.Value };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane operator +(HostLane left, float right) => new() { Value = left.Value + new Vector<float>(right) };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane operator -(HostLane left, HostLane right) => new() { Value = left.Value - right.Value };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane operator -(HostLane left, float right) => new() { Value = left.Value - new Vector<float>(right) };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane operator *(HostLane left, HostLane right) => new() { Value = left.Value * right.Value };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane operator *(HostLane left, float right) => new() { Value = left.Value * right };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane operator *(float left, HostLane right) => new() { Value = left * right.Value };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane operator /(HostLane left, HostLane right) => new() { Value = left.Value / right.Value };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane operator /(float left, HostLane right) => new() { Value = new Vector<float>(left) / right.Value };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane MultiplyAdd(HostLane left, float right, HostLane addend) =>
        new() { Value = Vector.MultiplyAddEstimate(left.Value, new Vector<float>(right), addend.Value) };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane Of(float value) => new() { Value = new Vector<float>(value) };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane Sqrt(HostLane value) => new() { Value = Vector.SquareRoot(value.Value) };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane Abs(HostLane value) => new() { Value = Vector.Abs(value.Value) };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane PowerOfTwo(HostLane k) =>
        new(Vector.AsVectorSingle((Vector.ConvertToInt32(k.Value) + new Vector<int>(127)) << 23));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane PowerOfTwoBiased(HostLane biased) =>
        new(Vector.AsVectorSingle(Vector.AsVectorUInt32(biased.Value) << 23));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane PowerAtOrBelow(HostLane value) =>
        new(Vector.AsVectorSingle(Vector.AsVectorUInt32(value.Value) & new Vector<uint>(0xFF800000u)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane Lesser(HostLane left, HostLane right) => new(Vector.AsVectorSingle(
        Vector.Min(Vector.AsVectorInt32(left.Value), Vector.AsVectorInt32(right.Value))));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane WithSign(HostLane magnitude, HostLane sign) => new(Vector.AsVectorSingle(
        Vector.AsVectorUInt32(magnitude.Value)
        | (Vector.AsVectorUInt32(sign.Value) & new Vector<uint>(0x80000000u))));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane IfExponentBit(HostLane value, int bit, HostLane yes, HostLane no) =>
        new(Vector.ConditionalSelect(
            Vector.AsVectorInt32(value.Value) << (8 - bit) >> 31, yes.Value, no.Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane IfGreater(HostLane left, HostLane right, HostLane yes, HostLane no) =>
        new(Vector.ConditionalSelect(Vector.GreaterThan(left.Value, right.Value), yes.Value, no.Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane IfLess(HostLane left, HostLane right, HostLane yes, HostLane no) =>
        new(Vector.ConditionalSelect(Vector.LessThan(left.Value, right.Value), yes.Value, no.Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane If(bool condition, HostLane yes, HostLane no) => condition ? yes : no;
}
