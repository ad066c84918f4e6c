using System.Diagnostics.CodeAnalysis;
using Kernels.Launching;

namespace Kernels.Quantization;

/// <summary>Which way a product with a packed matrix goes. A pure function of the sizes.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal static class QuantizedProductPlan
{
    // PoCL 6, 2 cores, 4096 x 4096, 64 vectors: 1 MiB 54 ms, 4 MiB 47, 16 MiB 41: a product of many rows packs x less often.
    private const int SlabBytes = 1 << 24;

    // PoCL 6, 2 cores, 4096 x 4096: 3 to 8 ms a vector, by slabs 31 to 44 ms for four vectors or for 64.
    private const int MostLooked = 8;

    // PoCL 6, 2 cores, 4096 columns, slabs over sums. One vector of 4096 rows: codes of 8, 4, 2 weights 22, 16, 8.2; of 1024,
    // 256, 64 rows with codes of 4 weights 11, 6.5, 1.9. Sixteen vectors: 1.7, 1.2, 0.48; 0.79, 0.42, 0.15. Sums cost the same
    // for each vector, and the tables of 256 codes as much as the lookups of some hundred rows. On the host one vector and
    // sixteen: 0.03, 0.04, 0.07 and 0.41, 0.78, 1.1; of fewer rows 0.04, 0.10, 0.17 and 0.81, 0.95, 2.9.
    private const int MostSummed = 8;
    private const int RowsOfValue = 4;

    // On the host codes in less than a byte take five times the time of those in one: 9 ms a vector, and slabs 50 ms in all.
    private const int MostFieldsSummedOnHost = 5;

    /// <summary>The most vectors that go a way other than by slabs; 0 if none do.</summary>
    /// <param name="layout">The matrix.</param>
    /// <param name="device">Where.</param>
    /// <param name="wanted">A way that all go if they can; the best one if null.</param>
    /// <param name="way">That way.</param>
    internal static int MostVectors(
        CodebookLayout layout, DeviceClass device, QuantizedProductWay? wanted, out QuantizedProductWay way)
    {
        bool canLook = RowDequantizer.Suits(layout);
        bool canSum = PartialSums.Suits(layout);
        way = canLook ? QuantizedProductWay.Looked : canSum ? QuantizedProductWay.PartialSums : QuantizedProductWay.Slabs;
        if (wanted is not null)
        {
            return wanted == way && way != QuantizedProductWay.Slabs ? int.MaxValue : 0;
        }

        return way switch
        {
            QuantizedProductWay.Looked => MostLooked,
            QuantizedProductWay.PartialSums => (int)Math.Clamp(
                (long)MostSummed * layout.Rows / Math.Max(1, layout.Codebooks.Boundaries.Length - 1)
                    / (RowsOfValue << layout.Format.FieldBits),
                1, device == DeviceClass.Host && layout.Format.FieldBits < 8 ? MostFieldsSummedOnHost : MostSummed),
            _ => 0,
        };
    }

    /// <summary>Rows that are dequantized at once; they fill tiles.</summary>
    internal static int SlabRows(int rows, int columns) => Math.Min(rows, Math.Max(128, SlabBytes / 4 / columns / 64 * 64));
}
