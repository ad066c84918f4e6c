using ILGPU;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Storage;

/// <summary>Access to 16-bit elements, shared by the 16-bit storages.</summary>
internal static class Sixteen
{
    // The mask is needed: a 16-bit load may arrive sign-extended on a device.
    internal static uint Read(ArrayView<ushort> view, long i) => view[i] & 0xFFFFu;

    internal static QuadBits ReadPacket(ArrayView<ushort> view, long k)
    {
        PairBits raw = view.Cast<PairBits>()[k];
        return new QuadBits { X = raw.X & 0xFFFFu, Y = raw.X >> 16, Z = raw.Y & 0xFFFFu, W = raw.Y >> 16 };
    }

    internal static void WritePacket(ArrayView<ushort> view, long k, QuadBits bits) =>
        view.Cast<PairBits>()[k] = new PairBits { X = bits.X | (bits.Y << 16), Y = bits.Z | (bits.W << 16) };
}
