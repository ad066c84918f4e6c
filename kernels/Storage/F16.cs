using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Storage;

/// <summary>
/// binary16 by integer arithmetic, so that it needs no half-precision feature of the device: to nearest, ties to
/// even, subnormals kept, overflow to infinity, NaN stays a quiet NaN.
/// </summary>
internal readonly struct F16(ArrayView<ushort> view) : IStorage
{
    private readonly ArrayView<ushort> _view = view;

    public static bool IsStochastic => false;

    public readonly uint Read(long i) => Sixteen.Read(_view, i);

    public readonly void Write(long i, uint bits) => _view[i] = (ushort)bits;

    public readonly QuadBits ReadPacket(long k) => Sixteen.ReadPacket(_view, k);

    public readonly void WritePacket(long k, QuadBits bits) => Sixteen.WritePacket(_view, k, bits);

    public readonly float Decode(uint bits)
    {
        uint sign = (bits & 0x8000u) << 16;
        uint magnitude = bits & 0x7FFFu;
        // Normal: move the fields and rebias the exponent by 127 - 15. Infinity and NaN: rebias to the top.
        uint rebias = Utilities.Select(magnitude >= 0x7C00u, 0x70000000u, 0x38000000u);
        uint normal = (magnitude << 13) + rebias;
        // Subnormal: the fraction counts 2^-24, and so does the last place of 0.5; the difference is exact.
        uint subnormal = Interop.FloatAsInt(Interop.IntAsFloat(magnitude + 0x3F000000u) - 0.5f);
        return Interop.IntAsFloat(Utilities.Select(magnitude < 0x400u, subnormal, normal) | sign);
    }

    public readonly uint Encode(float value, uint random)
    {
        uint bits = Interop.FloatAsInt(value);
        uint sign = (bits >> 16) & 0x8000u;
        uint magnitude = bits & 0x7FFFFFFFu;
        uint normal = (magnitude + 0xFFFu + ((magnitude >> 13) & 1u) - 0x38000000u) >> 13;
        // Below 2^-14 the spacing is 2^-24, the last place of 0.5: adding 0.5 rounds to it.
        uint subnormal = Interop.FloatAsInt(Interop.IntAsFloat(magnitude) + 0.5f) - 0x3F000000u;
        uint finite = Utilities.Select(magnitude < 0x38800000u, subnormal, normal);
        uint nonFinite = Utilities.Select(magnitude > 0x7F800000u, 0x7E00u | ((magnitude >> 13) & 0x3FFu), 0x7C00u);
        return sign | Utilities.Select(magnitude >= 0x477FF000u, nonFinite, finite);
    }

    public readonly QuadBits Random(long k) => default;

    public readonly long Position(long i) => i;

    public readonly QuadBits Noise(long eight) => default;
}
