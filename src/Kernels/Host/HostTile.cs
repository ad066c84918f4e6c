using System.Numerics;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Kernels.Host;

/// <summary>A square of as many rows of floats as a SIMD register has lanes.</summary>
internal static unsafe class HostTile
{
    /// <summary>Floats of a tile.</summary>
    internal const int Room = 64;

    /// <summary>Whether there is a way that is faster than float by float.</summary>
    internal static bool IsSupported => Avx.IsSupported && Vector<float>.Count == Vector256<float>.Count;

    /// <summary>Makes columns of the rows.</summary>
    internal static void Transpose(float* tile)
    {
        Vector256<float> row0 = Vector256.Load(tile), row1 = Vector256.Load(tile + 8);
        Vector256<float> row2 = Vector256.Load(tile + 16), row3 = Vector256.Load(tile + 24);
        Vector256<float> row4 = Vector256.Load(tile + 32), row5 = Vector256.Load(tile + 40);
        Vector256<float> row6 = Vector256.Load(tile + 48), row7 = Vector256.Load(tile + 56);
        // Two rows by two columns, four by four, eight by eight.
        Vector256<float> low01 = Avx.UnpackLow(row0, row1), high01 = Avx.UnpackHigh(row0, row1);
        Vector256<float> low23 = Avx.UnpackLow(row2, row3), high23 = Avx.UnpackHigh(row2, row3);
        Vector256<float> low45 = Avx.UnpackLow(row4, row5), high45 = Avx.UnpackHigh(row4, row5);
        Vector256<float> low67 = Avx.UnpackLow(row6, row7), high67 = Avx.UnpackHigh(row6, row7);
        const byte Firsts = 0x44, Seconds = 0xEE, Lows = 0x20, Highs = 0x31;
        Vector256<float> upper0 = Avx.Shuffle(low01, low23, Firsts), lower0 = Avx.Shuffle(low45, low67, Firsts);
        Vector256<float> upper1 = Avx.Shuffle(low01, low23, Seconds), lower1 = Avx.Shuffle(low45, low67, Seconds);
        Vector256<float> upper2 = Avx.Shuffle(high01, high23, Firsts), lower2 = Avx.Shuffle(high45, high67, Firsts);
        Vector256<float> upper3 = Avx.Shuffle(high01, high23, Seconds), lower3 = Avx.Shuffle(high45, high67, Seconds);
        Avx.Permute2x128(upper0, lower0, Lows).Store(tile);
        Avx.Permute2x128(upper1, lower1, Lows).Store(tile + 8);
        Avx.Permute2x128(upper2, lower2, Lows).Store(tile + 16);
        Avx.Permute2x128(upper3, lower3, Lows).Store(tile + 24);
        Avx.Permute2x128(upper0, lower0, Highs).Store(tile + 32);
        Avx.Permute2x128(upper1, lower1, Highs).Store(tile + 40);
        Avx.Permute2x128(upper2, lower2, Highs).Store(tile + 48);
        Avx.Permute2x128(upper3, lower3, Highs).Store(tile + 56);
    }
}
