using ILGPU;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Storage;

/// <summary>binary32, as it is.</summary>
internal readonly struct F32(ArrayView<float> view) : IStorage
{
    private readonly ArrayView<float> _view = view;

    public static bool IsStochastic => false;

    public readonly uint Read(long i) => Interop.FloatAsInt(_view[i]);

    public readonly void Write(long i, uint bits) => _view[i] = Interop.IntAsFloat(bits);

    public readonly QuadBits ReadPacket(long k) => _view.Cast<QuadBits>()[k];

    public readonly void WritePacket(long k, QuadBits bits) => _view.Cast<QuadBits>()[k] = bits;

    public readonly float Decode(uint bits) => Interop.IntAsFloat(bits);

    public readonly uint Encode(float value, uint random) => Interop.FloatAsInt(value);

    public readonly QuadBits Random(long k) => default;

    public readonly long Position(long i) => i;

    public readonly QuadBits Noise(long eight) => default;
}
