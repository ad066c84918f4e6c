using ILGPU.Util;

namespace Kernels.DeviceCode.Common;

/// <summary>Four consecutive floats: one 128-bit access.</summary>
internal struct Quad
{
    public float X;
    public float Y;
    public float Z;
    public float W;
}

/// <summary>Four words: the raw bits of four stored values, or four random words.</summary>
internal struct QuadBits
{
    public uint X;
    public uint Y;
    public uint Z;
    public uint W;

    /// <summary>Word 0 to 3, without a branch.</summary>
    public readonly uint Lane(int lane) => Utilities.Select(
        lane < 2,
        Utilities.Select(lane == 0, X, Y),
        Utilities.Select(lane == 2, Z, W));
}

/// <summary>Two words: four 16-bit values in one 64-bit access.</summary>
internal struct PairBits
{
    public uint X;
    public uint Y;
}
