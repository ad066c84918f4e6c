using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Storage;

namespace Kernels.Optimizers;

/// <summary>Copies between host floats and device tensors of any storage, narrowing and widening on the host.</summary>
internal static class TensorCopy
{
    private const int Piece = 1 << 20;

    internal static void Upload(AcceleratorStream stream, ReadOnlySpan<float> source, TensorView destination)
    {
        if (destination.Storage == Storage.F32)
        {
            if (!source.IsEmpty)
            {
                destination.As<float>().CopyFromCPU(stream, source);
            }

            return;
        }

        var raw = new ushort[Math.Min(source.Length, Piece)];
        for (int first = 0; first < source.Length; first += Piece)
        {
            int count = Math.Min(Piece, source.Length - first);
            for (int i = 0; i < count; i++)
            {
                raw[i] = (ushort)(destination.Storage == Storage.F16
                    ? default(F16).Encode(source[first + i], 0)
                    : BF16.Nearest(source[first + i]));
            }

            destination.Slice(first, count).As<ushort>().CopyFromCPU(stream, raw.AsSpan(0, count));
        }
    }

    /// <summary>Decodes 8-bit codes on the host.</summary>
    internal static void Download(
        AcceleratorStream stream, ArrayView<byte> codes, TensorView scales, EightBitMap map, Span<float> destination)
    {
        var scale = new float[scales.Length];
        Download(stream, scales, scale);
        var raw = new byte[Math.Min(destination.Length, Piece)];
        for (int first = 0; first < destination.Length; first += Piece)
        {
            int count = Math.Min(Piece, destination.Length - first);
            codes.SubView(first, count).CopyToCPU(stream, raw.AsSpan(0, count));
            for (int i = 0; i < count; i++)
            {
                Lane code = Lane.Of(raw[i]);
                Lane number = map == EightBitMap.WithSign
                    ? DynamicMap.DecodeSigned(code)
                    : DynamicMap.DecodeUnsigned(code);
                destination[first + i] = number.Value * scale[(first + i) / Update.BlockLength];
            }
        }
    }

    internal static void Download(AcceleratorStream stream, TensorView source, Span<float> destination)
    {
        if (source.Storage == Storage.F32)
        {
            if (!destination.IsEmpty)
            {
                source.As<float>().CopyToCPU(stream, destination);
            }

            return;
        }

        var raw = new ushort[Math.Min(destination.Length, Piece)];
        for (int first = 0; first < destination.Length; first += Piece)
        {
            int count = Math.Min(Piece, destination.Length - first);
            source.Slice(first, count).As<ushort>().CopyToCPU(stream, raw.AsSpan(0, count));
            for (int i = 0; i < count; i++)
            {
                destination[first + i] = source.Storage == Storage.F16
                    ? default(F16).Decode(raw[i])
                    : default(BF16).Decode(raw[i]);
            }
        }
    }
}
