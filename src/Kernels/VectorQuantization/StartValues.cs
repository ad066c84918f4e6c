using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Common;
using Kernels.Optimizers;

namespace Kernels.VectorQuantization;

/// <summary>What tensors of a codebook start with.</summary>
internal static class StartValues
{
    private const int Piece = 1 << 20;

    /// <summary>Uniform in (-limit, limit), by the seed, the tensor and the place in it alone.</summary>
    /// <param name="values">The elements, written.</param>
    /// <param name="first">The place of the first, a multiple of 4.</param>
    /// <param name="limit">The limit.</param>
    /// <param name="tensor">Which tensor it is.</param>
    /// <param name="seed">The key of the Philox generator.</param>
    internal static void Uniform(Span<float> values, long first, float limit, uint tensor, ulong seed)
    {
        for (int i = 0; i < values.Length; i += 4)
        {
            long quad = (first + i) / 4;
            QuadBits words = Philox.Draw(
                new QuadBits { X = (uint)quad, Y = (uint)(quad >> 32), Z = tensor }, (uint)seed, (uint)(seed >> 32));
            for (int j = 0; j < 4 && i + j < values.Length; j++)
            {
                // 24 bits: the middles of 2^24 equal parts, so that both signs are alike.
                values[i + j] = ((((words.Lane(j) >> 8) * 2f) + 1f) * (1f / (1 << 24)) - 1f) * limit;
            }
        }
    }

    /// <summary>The same in device memory.</summary>
    internal static void Uniform(AcceleratorStream stream, ArrayView<float> view, float limit, ulong seed)
    {
        var piece = new float[Math.Min(Piece, view.Length)];
        for (long first = 0; first < view.Length; first += Piece)
        {
            Span<float> part = piece.AsSpan(0, (int)Math.Min(Piece, view.Length - first));
            Uniform(part, first, limit, 0, seed);
            TensorCopy.Upload(stream, part, view.SubView(first, part.Length));
        }
    }

    /// <summary>Ones in device memory.</summary>
    internal static void Ones(AcceleratorStream stream, ArrayView<float> view)
    {
        var piece = new float[Math.Min(Piece, view.Length)];
        Array.Fill(piece, 1f);
        for (long first = 0; first < view.Length; first += Piece)
        {
            int length = (int)Math.Min(Piece, view.Length - first);
            TensorCopy.Upload(stream, piece.AsSpan(0, length), view.SubView(first, length));
        }
    }
}
