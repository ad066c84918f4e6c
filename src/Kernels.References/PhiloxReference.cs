namespace Kernels.References;

/// <summary>The counter-based random number generator Philox4x32-10.</summary>
/// <remarks>Source: Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3.</remarks>
public static class PhiloxReference
{
    private const int Rounds = 10;

    /// <summary>The 16 random bits of one rounding: a block serves eight positions, a half word each.</summary>
    /// <param name="position">Index of what is rounded.</param>
    /// <param name="step">The number of the step.</param>
    /// <param name="seed">The key.</param>
    /// <returns>The bits.</returns>
    public static ushort RoundingBits(ulong position, uint step, ulong seed)
    {
        ulong counter = position / 8;
        uint[] words = Block([(uint)counter, (uint)(counter >> 32), step, 0], [(uint)seed, (uint)(seed >> 32)]);
        uint word = words[position % 8 / 2];
        return (ushort)(position % 2 == 0 ? word : word >> 16);
    }

    /// <summary>One block of random numbers.</summary>
    /// <param name="counter">The counter, [4], least significant word first.</param>
    /// <param name="key">The key, [2].</param>
    /// <returns>Four random words.</returns>
    /// <exception cref="ArgumentException">The counter has not four words or the key not two.</exception>
    public static uint[] Block(ReadOnlySpan<uint> counter, ReadOnlySpan<uint> key)
    {
        if (counter.Length != 4)
        {
            throw new ArgumentException($"Expected 4 words, got {counter.Length}.", nameof(counter));
        }

        if (key.Length != 2)
        {
            throw new ArgumentException($"Expected 2 words, got {key.Length}.", nameof(key));
        }

        uint[] x = counter.ToArray();
        uint key0 = key[0];
        uint key1 = key[1];
        for (int round = 0; round < Rounds; round++)
        {
            ulong product0 = 0xD2511F53UL * x[0];
            ulong product1 = 0xCD9E8D57UL * x[2];
            x =
            [
                (uint)(product1 >> 32) ^ x[1] ^ key0,
                (uint)product1,
                (uint)(product0 >> 32) ^ x[3] ^ key1,
                (uint)product0,
            ];
            // Weyl sequences by the golden ratio and by the root of 3 less 1.
            key0 = unchecked(key0 + 0x9E3779B9U);
            key1 = unchecked(key1 + 0xBB67AE85U);
        }

        return x;
    }
}
