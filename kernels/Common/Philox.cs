using System.Runtime.CompilerServices;

namespace Kernels.DeviceCode.Common;

/// <summary>Philox4x32-10: four random words that depend on the key and the counter alone.</summary>
/// <remarks>
/// Source: Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3".
/// A kernel uses the index of what it draws for as the counter, so that the numbers do not depend on the launch.
/// </remarks>
internal static class Philox
{
    private const uint Multiplier0 = 0xD2511F53;
    private const uint Multiplier1 = 0xCD9E8D57;
    private const uint Weyl0 = 0x9E3779B9;
    private const uint Weyl1 = 0xBB67AE85;

    /// <summary>The four words of one counter.</summary>
    /// <param name="c">128-bit counter.</param>
    /// <param name="key0">Low word of the key.</param>
    /// <param name="key1">High word of the key.</param>
    internal static QuadBits Draw(QuadBits c, uint key0, uint key1)
    {
        // Ten rounds by hand: loops are not unrolled on the device, and an inner loop would stop vectorisation.
        c = Round(c, key0, key1);
        c = Round(c, key0 += Weyl0, key1 += Weyl1);
        c = Round(c, key0 += Weyl0, key1 += Weyl1);
        c = Round(c, key0 += Weyl0, key1 += Weyl1);
        c = Round(c, key0 += Weyl0, key1 += Weyl1);
        c = Round(c, key0 += Weyl0, key1 += Weyl1);
        c = Round(c, key0 += Weyl0, key1 += Weyl1);
        c = Round(c, key0 += Weyl0, key1 += Weyl1);
        c = Round(c, key0 += Weyl0, key1 += Weyl1);
        return Round(c, key0 + Weyl0, key1 + Weyl1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static QuadBits Round(QuadBits c, uint key0, uint key1)
    {
        ulong product0 = (ulong)c.X * Multiplier0;
        ulong product1 = (ulong)c.Z * Multiplier1;
        return new QuadBits
        {
            X = (uint)(product1 >> 32) ^ c.Y ^ key0,
            Y = (uint)product1,
            Z = (uint)(product0 >> 32) ^ c.W ^ key1,
            W = (uint)product0,
        };
    }
}
