using System.Numerics;
using System.Runtime.CompilerServices;
using Kernels.DeviceCode.Common;

namespace Kernels.Host;

/// <summary>One SIMD register of floats: the mathematics of the device items, several at once.</summary>
internal readonly struct HostLane(Vector<float> value) : ILane<HostLane>
{
    internal Vector<float> Value { get; } = value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane operator +(HostLane left, HostLane right) => new(left.Value + right.Value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane operator +(HostLane left, float right) => new(left.Value + new Vector<float>(right));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane operator -(HostLane left, HostLane right) => new(left.Value - right.Value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane operator -(HostLane left, float right) => new(left.Value - new Vector<float>(right));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane operator *(HostLane left, HostLane right) => new(left.Value * right.Value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane operator *(HostLane left, float right) => new(left.Value * right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane operator *(float left, HostLane right) => new(left * right.Value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane operator /(HostLane left, HostLane right) => new(left.Value / right.Value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane operator /(float left, HostLane right) => new(new Vector<float>(left) / right.Value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane Of(float value) => new(new Vector<float>(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane Sqrt(HostLane value) => new(Vector.SquareRoot(value.Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane Abs(HostLane value) => new(Vector.Abs(value.Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane PowerOfTwo(HostLane k) =>
        new(Vector.AsVectorSingle((Vector.ConvertToInt32(k.Value) + new Vector<int>(127)) << 23));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane PowerOfTwoShifted(HostLane shifted) => new(Vector.AsVectorSingle(
        (Vector.AsVectorUInt32(shifted.Value) << 23) + new Vector<uint>(0x3F800000u)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane IfGreater(HostLane left, HostLane right, HostLane yes, HostLane no) =>
        new(Vector.ConditionalSelect(Vector.GreaterThan(left.Value, right.Value), yes.Value, no.Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane IfLess(HostLane left, HostLane right, HostLane yes, HostLane no) =>
        new(Vector.ConditionalSelect(Vector.LessThan(left.Value, right.Value), yes.Value, no.Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HostLane If(bool condition, HostLane yes, HostLane no) => condition ? yes : no;
}
