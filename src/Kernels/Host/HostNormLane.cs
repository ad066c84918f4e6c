using System.Numerics;
using Kernels.DeviceCode.Reductions;

namespace Kernels.Host;

/// <summary>One SIMD register of floats, for sums of squares: the arithmetic of <see cref="NormLane"/>.</summary>
internal readonly struct HostNormLane(Vector<float> value) : INormLane<HostNormLane>
{
    internal Vector<float> Value { get; } = value;

    public static HostNormLane operator +(HostNormLane left, HostNormLane right) => new(left.Value + right.Value);

    public static HostNormLane operator *(HostNormLane left, HostNormLane right) => new(left.Value * right.Value);

    public static HostNormLane Sqrt(HostNormLane value) => new(Vector.SquareRoot(value.Value));

    public static HostNormLane Abs(HostNormLane value) => new(Vector.Abs(value.Value));

    public static HostNormLane Larger(HostNormLane left, HostNormLane right) =>
        FromBits(Vector.Max(Bits(left), Bits(right)));

    public static HostNormLane PowerOf(HostNormLane value)
    {
        Vector<uint> power = Bits(value) & new Vector<uint>(NormLane.Exponent);
        power = Vector.Max(power, new Vector<uint>(NormLane.Least));
        return FromBits(Vector.Min(power, new Vector<uint>(NormLane.Largest)));
    }

    public static HostNormLane InverseOf(HostNormLane power) =>
        FromBits(new Vector<uint>(NormLane.Inversion) - Bits(power));

    private static Vector<uint> Bits(HostNormLane lane) => Vector.AsVectorUInt32(lane.Value);

    private static HostNormLane FromBits(Vector<uint> bits) => new(Vector.AsVectorSingle(bits));
}
