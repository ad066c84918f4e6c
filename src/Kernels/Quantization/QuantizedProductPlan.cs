namespace Kernels.Quantization;

/// <summary>Which way a product with a packed matrix goes. A pure function of the sizes.</summary>
internal static class QuantizedProductPlan
{
    // PoCL 6, 2 cores, 4096 x 4096, 64 vectors: 1 MiB 54 ms, 4 MiB 47, 16 MiB 41: a product of many rows packs x less often.
    private const int SlabBytes = 1 << 24;

    /// <summary>Vectors up to which weights are looked up.</summary>
    /// <remarks>PoCL 6, 2 cores, 4096 x 4096: 3 to 8 ms a vector, by slabs 31 to 44 ms for four vectors or for 64.</remarks>
    internal const int MostLooked = 8;

    /// <summary>Rows that are dequantized at once; they fill tiles.</summary>
    internal static int SlabRows(int rows, int columns) => Math.Min(rows, Math.Max(128, SlabBytes / 4 / columns / 64 * 64));
}
