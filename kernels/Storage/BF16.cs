using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Storage;

/// <summary>bfloat16: the upper half of a binary32, rounded to nearest, ties to even; NaN stays a quiet NaN.</summary>
internal readonly struct BF16(ArrayView<ushort> view) : IStorage
{
    private readonly ArrayView<ushort> _view = view;

    public static bool IsStochastic => false;

    public readonly uint Read(long i) => Sixteen.Read(_view, i);

    public readonly void Write(long i, uint bits) => _view[i] = (ushort)bits;

    public readonly QuadBits ReadPacket(long k) => Sixteen.ReadPacket(_view, k);

    public readonly void WritePacket(long k, QuadBits bits) => Sixteen.WritePacket(_view, k, bits);

    public readonly float Decode(uint bits) => Interop.IntAsFloat(bits << 16);

    public readonly uint Encode(float value, uint random) => Nearest(value);

    public readonly QuadBits Random(long k) => default;

    public readonly long Position(long i) => i;

    public readonly QuadBits Noise(long eight) => default;

    internal static uint Nearest(float value)
    {
        uint bits = Interop.FloatAsInt(value);
        uint nearest = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
        uint quiet = (bits >> 16) | 0x40u;
        return Utilities.Select((bits & 0x7FFFFFFFu) > 0x7F800000u, quiet, nearest);
    }
}

/// <summary>
/// bfloat16 with stochastic rounding: 16 random bits are added below the kept mantissa and the rest is cut, so that
/// the expected value is the value. Infinity and NaN are kept; a finite value may round to infinity only above the
/// largest bfloat16.
/// </summary>
/// <remarks>
/// The random bits of an element depend on the seed, the step and the element's position alone. A rounding takes 16 bits,
/// all that there are below the kept ones, so that one block of Philox4x32-10, whose 128 bits are independent and
/// uniform as far as the tests of its authors see, serves eight elements: position / 8 is the counter, and position % 8
/// the half word.
/// </remarks>
internal readonly struct StochasticBF16(ArrayView<ushort> view, uint seed0, uint seed1, uint step, long offset) : IStorage
{
    private readonly ArrayView<ushort> _view = view;
    private readonly uint _seed0 = seed0;
    private readonly uint _seed1 = seed1;
    private readonly uint _step = step;
    private readonly long _offset = offset; // packets before the view

    public static bool IsStochastic => true;

    public readonly uint Read(long i) => Sixteen.Read(_view, i);

    public readonly void Write(long i, uint bits) => _view[i] = (ushort)bits;

    public readonly QuadBits ReadPacket(long k) => Sixteen.ReadPacket(_view, k);

    public readonly void WritePacket(long k, QuadBits bits) => Sixteen.WritePacket(_view, k, bits);

    public readonly float Decode(uint bits) => Interop.IntAsFloat(bits << 16);

    public readonly uint Encode(float value, uint random)
    {
        uint bits = Interop.FloatAsInt(value);
        uint rounded = (bits + (random & 0xFFFFu)) >> 16;
        return Utilities.Select((bits & 0x7F800000u) == 0x7F800000u, BF16.Nearest(value), rounded);
    }

    public readonly QuadBits Random(long k)
    {
        long packet = k + _offset;
        QuadBits noise = Noise(packet >> 1);
        bool isFirst = (packet & 1) == 0;
        uint low = Utilities.Select(isFirst, noise.X, noise.Z);
        uint high = Utilities.Select(isFirst, noise.Y, noise.W);
        return new QuadBits { X = low & 0xFFFFu, Y = low >> 16, Z = high & 0xFFFFu, W = high >> 16 };
    }

    public readonly long Position(long i) => i + 4 * _offset;

    public readonly QuadBits Noise(long eight) => Philox.Draw(
        new QuadBits { X = (uint)eight, Y = (uint)(eight >> 32), Z = _step, W = 0 }, _seed0, _seed1);
}
