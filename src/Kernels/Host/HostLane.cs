using System.Numerics;
using Kernels.DeviceCode.Common;

namespace Kernels.Host;

/// <summary>One SIMD register of floats: the mathematics of the device items, several at once.</summary>
internal readonly struct HostLane(Vector<float> value) : ILane<HostLane>
{
    internal Vector<float> Value { get; } = value;

    public static HostLane operator +(HostLane left, HostLane right) => new(left.Value + right.Value);

    public static HostLane operator +(HostLane left, float right) => new(left.Value + new Vector<float>(right));

    public static HostLane operator -(HostLane left, HostLane right) => new(left.Value - right.Value);

    public static HostLane operator -(HostLane left, float right) => new(left.Value - new Vector<float>(right));

    public static HostLane operator *(HostLane left, HostLane right) => new(left.Value * right.Value);

    public static HostLane operator *(HostLane left, float right) => new(left.Value * right);

    public static HostLane operator *(float left, HostLane right) => new(left * right.Value);

    public static HostLane operator /(HostLane left, HostLane right) => new(left.Value / right.Value);

    public static HostLane operator /(float left, HostLane right) => new(new Vector<float>(left) / right.Value);

    public static HostLane Of(float value) => new(new Vector<float>(value));

    public static HostLane Sqrt(HostLane value) => new(Vector.SquareRoot(value.Value));

    public static HostLane Abs(HostLane value) => new(Vector.Abs(value.Value));

    public static HostLane PowerOfTwo(HostLane k) =>
        new(Vector.AsVectorSingle((Vector.ConvertToInt32(k.Value) + new Vector<int>(127)) << 23));

    public static HostLane IfGreater(HostLane left, HostLane right, HostLane yes, HostLane no) =>
        new(Vector.ConditionalSelect(Vector.GreaterThan(left.Value, right.Value), yes.Value, no.Value));

    public static HostLane IfLess(HostLane left, HostLane right, HostLane yes, HostLane no) =>
        new(Vector.ConditionalSelect(Vector.LessThan(left.Value, right.Value), yes.Value, no.Value));

    public static HostLane If(bool condition, HostLane yes, HostLane no) => condition ? yes : no;
}
