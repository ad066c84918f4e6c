using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;
using Kernels.DeviceCode.VectorQuantization;
using Sixteen = Kernels.DeviceCode.Linear.Sixteen;

namespace Kernels.DeviceCode.Quantization;

/// <summary>The largest magnitude of each share of a matrix, one chunk of weights per item.</summary>
/// <remarks>
/// Source: Dettmers et al. 2021, arXiv:2110.02861, section 2.1; 2023, arXiv:2305.14314, equation 1.
/// Shapes: w [rows, columns], largest [shares].
/// Storage: w F32, F16, BF16. A magnitude is kept as its bits, which as integers are in the same order.
/// Traffic: the weights once, and an integer atomic for each share of a chunk. Order: none, a maximum has none.
/// Domain: any; what is not finite does not count.
/// </remarks>
internal struct AbsMaxWork<TWeight> : IItemWork
    where TWeight : struct, IStorage
{
    public TWeight Weights;

    /// <summary>[shares], cleared before.</summary>
    public ArrayView<int> Largest;
    public ScopeTable Scope;
    public int Columns;
    public int Count;

    /// <summary>Weights of a chunk.</summary>
    public int Chunk;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int first = (int)i * Chunk;
        int end = (int)IntrinsicMath.Min((long)first + Chunk, (long)Count);
        while (first < end)
        {
            int row = first / Columns;
            int next = (int)IntrinsicMath.Min((long)end, Scope.End(row, first, Columns));
            Atomic.Max(ref Largest[Scope.Of(row, first)], Of(first, next));
            first = next;
        }
    }

    private readonly int Of(int first, int end)
    {
        int largest = 0;
        int i = first;
        if (end - first >= Sixteen.Width)
        {
            var sixteen = SixteenIndices.Of(0);
            for (; i <= end - Sixteen.Width; i += Sixteen.Width)
            {
                sixteen.TakeLargerMagnitude(Sixteen.Decoded(Weights, i));
            }

            largest = sixteen.Largest();
        }

        for (; i < end; i++)
        {
            largest = IntrinsicMath.Max(largest, SixteenIndices.Magnitude(Weights.Decode(Weights.Read(i))));
        }

        return largest;
    }
}

/// <summary>The scale of a share, one share per item: at least 2^-126, if it is not 0.</summary>
internal struct AbsMaxScaleWork<TScale> : IItemWork
    where TScale : struct, IStorage
{
    private const int LeastNormal = 0x00800000;

    public ArrayView<int> Largest;
    public TScale Scales;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int largest = Largest[i];
        largest = Utilities.Select(largest > 0, IntrinsicMath.Max(largest, LeastNormal), 0);
        Scales.Write(i, Scales.Encode(Interop.IntAsFloat((uint)largest), 0));
    }
}
