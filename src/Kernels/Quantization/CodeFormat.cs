using System.Numerics;
using Kernels.Validation;

namespace Kernels.Quantization;

/// <summary>How codes of k values lie in bytes.</summary>
/// <remarks>
/// <para>
/// Bytes are a stream of bits, bit i of it in byte i / 8 at place i mod 8; a 32-bit word is four bytes, least
/// significant first. What no code uses is 0.
/// </para>
/// <para>
/// Fields, b = ceil(log2 k), linear: code i has the bits i b to i b + b - 1, and n codes take ceil(n b / 8) bytes. Radix,
/// linear: unit u holds the codes u D to u D + D - 1 as digits of base k, the first the least significant. A unit is a
/// 32-bit word with D the largest number with k^D at most 2^32, or a byte where four bytes hold as many: five digits of
/// base 3 a byte, thirteen of base 5 a word.
/// </para>
/// <para>
/// Planar: a block has 32 lanes, and a lane has S codes; the code at place i of a block is step i / 32 of lane i mod 32.
/// The last block has as many codes as are left, t, and ceil(t / S) lanes in place of 32. Fields: S = 32, and a lane has
/// b words. A code is cut into parts of 4, 2 and 1 bits, those of the binary digits of b (8 is one part), the largest at
/// its low end. Part after part, a part of w bits has w rows of a word for each lane, and its field of step s is in row
/// s w / 32, at bit (s w) mod 32. Radix: a lane is one word, of one unit or of four, and S is the number of its digits.
/// </para>
/// </remarks>
public sealed record CodeFormat
{
    /// <summary>Lanes of a whole planar block.</summary>
    internal const int Lanes = 32;

    /// <summary>A format.</summary>
    /// <param name="codes">The number k of values of a code, 2 to 256.</param>
    /// <param name="packing">Fields or digits.</param>
    /// <param name="order">Linear or planar.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such format.</exception>
    public CodeFormat(int codes, Packing packing = Packing.Fields, PackingOrder order = PackingOrder.Planar)
    {
        Require.InRange(codes, 2, 257);
        Require.Defined(packing);
        Require.Defined(order);
        Codes = codes;
        Packing = packing;
        Order = order;
        FieldBits = BitOperations.Log2((uint)codes - 1) + 1;
        int inByte = Digits(codes, 8);
        int inWord = Digits(codes, 32);
        UnitBytes = inWord > 4 * inByte ? 4 : 1;
        UnitDigits = UnitBytes == 4 ? inWord : inByte;
    }

    /// <summary>The number k of values of a code.</summary>
    public int Codes { get; }

    /// <summary>Fields or digits.</summary>
    public Packing Packing { get; }

    /// <summary>Linear or planar.</summary>
    public PackingOrder Order { get; }

    /// <summary>Bits of a field, 1 to 8.</summary>
    public int FieldBits { get; }

    /// <summary>Bytes of a unit of digits, 1 or 4.</summary>
    public int UnitBytes { get; }

    /// <summary>Digits of a unit.</summary>
    public int UnitDigits { get; }

    /// <summary>Bits that a code takes where there are many.</summary>
    public double BitsPerCode => Packing == Packing.Fields ? FieldBits : 8.0 * UnitBytes / UnitDigits;

    /// <summary>The number S of codes of a lane in planar order.</summary>
    internal int Steps => Packing == Packing.Fields ? 32 : UnitDigits * (4 / UnitBytes);

    /// <summary>The format that takes fewest bits for many codes: digits if they take fewer; fields, which are easier to
    /// read, if not.</summary>
    /// <param name="codes">The number k of values of a code, 2 to 256.</param>
    /// <param name="order">Linear or planar.</param>
    /// <returns>The format.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such format.</exception>
    public static CodeFormat Densest(int codes, PackingOrder order = PackingOrder.Planar)
    {
        var fields = new CodeFormat(codes, Packing.Fields, order);
        var radix = new CodeFormat(codes, Packing.Radix, order);
        return radix.BitsPerCode < fields.BitsPerCode ? radix : fields;
    }

    /// <summary>The exact number of bytes of a run of codes.</summary>
    /// <param name="length">The number of codes.</param>
    /// <returns>The number of bytes.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The length is negative.</exception>
    /// <exception cref="OverflowException">There are 2^63 bytes or more.</exception>
    public long ByteCount(long length)
    {
        Require.AtLeast(length, 0);
        return (Packing, Order) switch
        {
            (Packing.Fields, PackingOrder.Linear) => (length / 8 * FieldBits) + (((length % 8 * FieldBits) + 7) / 8),
            (Packing.Fields, _) => checked(Over(length, 32) * 4 * FieldBits),
            (_, PackingOrder.Linear) => Over(length, UnitDigits) * UnitBytes,
            _ => Over(length, Steps) * 4,
        };
    }

    private static long Over(long length, int by) => (length / by) + (length % by == 0 ? 0 : 1);

    private static int Digits(int codes, int bits)
    {
        int digits = 0;
        for (long power = codes; power <= 1L << bits; power *= codes)
        {
            digits++;
        }

        return digits;
    }
}
