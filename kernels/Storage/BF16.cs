using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Storage;

/// <summary>bfloat16: the upper half of a binary32, rounded to nearest, ties to even; NaN stays a quiet NaN.</summary>
internal readonly struct BF16(ArrayView<ushort> view) : IStorage
{
    private readonly ArrayView<ushort> _view = view;

    public readonly uint Read(long i) => Sixteen.Read(_view, i);

    public readonly void Write(long i, uint bits) => _view[i] = (ushort)bits;

    public readonly QuadBits ReadPacket(long k) => Sixteen.ReadPacket(_view, k);

    public readonly void WritePacket(long k, QuadBits bits) => Sixteen.WritePacket(_view, k, bits);

    public readonly float Decode(uint bits) => Interop.IntAsFloat(bits << 16);

    public readonly uint Encode(float value, uint random) => Nearest(value);

    public readonly QuadBits Random(long k) => default;

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
/// <remarks>The random word of an element depends on the seed, the step and the element's index alone.</remarks>
internal readonly struct StochasticBF16(ArrayView<ushort> view, uint seed0, uint seed1, uint step, long offset) : IStorage
{
    private readonly ArrayView<ushort> _view = view;
    private readonly uint _seed0 = seed0;
    private readonly uint _seed1 = seed1;
    private readonly uint _step = step;
    private readonly long _offset = offset; // packets before the view

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
        ulong counter = (ulong)(k + _offset);
        return Philox.Draw(
            new QuadBits { X = (uint)counter, Y = (uint)(counter >> 32), Z = _step, W = 0 }, _seed0, _seed1);
    }
}
