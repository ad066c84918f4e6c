using System.Numerics;

namespace Kernels.References.Quantization;

/// <summary>Packed codes: k values in fields of bits or as digits, in linear or planar order. All of it is
/// exact.</summary>
/// <remarks>
/// <para>
/// Bytes are a stream of bits, bit i of it in byte i / 8 at place i mod 8; a 32-bit word is four bytes, least
/// significant first. What no code uses is 0.
/// </para>
/// <para>
/// Fields, b = ceil(log2 k), linear: code i has the bits i b to i b + b - 1; a code may straddle bytes and words. n
/// codes take ceil(n b / 8) bytes.
/// </para>
/// <para>
/// Radix, linear: unit u holds the codes u D to u D + D - 1 as digits of base k, the first the least significant. A
/// unit is a 32-bit word with D the largest number with k^D at most 2^32, or a byte where four bytes hold as many: five
/// digits of base 3 a byte, thirteen of base 5 a word. The last unit has zeros for the digits it lacks. Radix takes
/// fewer bits than fields for k = 3, 5, 6, 7, 9 to 11, 17 to 23, 33 to 40 and 65 to 84, and never fewer for another k.
/// </para>
/// <para>
/// Planar: a block has 32 lanes, and a lane has S codes; the code at place i of a block is step i / 32 of lane i mod
/// 32. So at every step the lanes of a warp (or of SIMD registers, whose number of lanes divides 32) have neighbouring
/// codes, read neighbouring words, shift all by the same count, and meet neighbouring activations; four neighbouring
/// words, for wide loads, are four neighbouring codes at every step. The last block has as many codes as are left, t,
/// and ceil(t / S) lanes in place of 32, so that a short row costs no more than the steps left over in its last lane.
/// </para>
/// <para>
/// Fields, planar: S = 32, and a lane has b words, which for an odd b no field may straddle, or lanes would shift
/// differently. A code is cut into parts of 4, 2 and 1 bits, those of the binary digits of b, the largest part at its
/// low end (3 = 2 + 1, 7 = 4 + 2 + 1; 8 is one part). Part after part, a part of w bits has w rows of a word for each
/// lane, and its field of step s is in row s w / 32, at bit (s w) mod 32. n codes take 4 b ceil(n / 32) bytes: no bit
/// is lost to an odd b. Radix, planar: a lane is one word, of one unit or of four, and S is the number of its digits.
/// </para>
/// </remarks>
public sealed class PackReference
{
    /// <summary>Lanes of a whole planar block.</summary>
    public const int Lanes = 32;

    private readonly long[] _powers;

    /// <summary>The format.</summary>
    /// <param name="k">The number of values of a code, 2 to 256.</param>
    /// <param name="packing">Fields or digits.</param>
    /// <param name="order">Linear or planar.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such format.</exception>
    public PackReference(int k, CodePacking packing, CodeOrder order = CodeOrder.Linear)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 2);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(k, 256);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)packing, (uint)CodePacking.Radix, nameof(packing));
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)order, (uint)CodeOrder.Planar, nameof(order));
        Codes = k;
        Packing = packing;
        Order = order;
        FieldBits = BitOperations.Log2((uint)k - 1) + 1;
        int inByte = Digits(k, 8);
        int inWord = Digits(k, 32);
        UnitBytes = inWord > 4 * inByte ? 4 : 1;
        UnitDigits = UnitBytes == 4 ? inWord : inByte;
        _powers = new long[UnitDigits];
        _powers[0] = 1;
        for (int digit = 1; digit < UnitDigits; digit++)
        {
            _powers[digit] = _powers[digit - 1] * k;
        }
    }

    /// <summary>The number k of values of a code.</summary>
    public int Codes { get; }

    /// <summary>Fields or digits.</summary>
    public CodePacking Packing { get; }

    /// <summary>Linear or planar.</summary>
    public CodeOrder Order { get; }

    /// <summary>Bits of a field, 1 to 8.</summary>
    public int FieldBits { get; }

    /// <summary>Bytes of a unit of digits, 1 or 4.</summary>
    public int UnitBytes { get; }

    /// <summary>Digits of a unit.</summary>
    public int UnitDigits { get; }

    /// <summary>The number S of codes of a lane in planar order.</summary>
    public int Steps => Packing == CodePacking.Fields ? 32 : UnitDigits * (4 / UnitBytes);

    /// <summary>The packing that takes fewer bits for many codes.</summary>
    /// <param name="k">The number of values of a code, 2 to 256.</param>
    /// <returns>Radix if it takes fewer; fields, which are easier to read, if not.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There are too few values, or too many.</exception>
    public static CodePacking Densest(int k)
    {
        var radix = new PackReference(k, CodePacking.Radix);
        return 8 * radix.UnitBytes < radix.FieldBits * radix.UnitDigits ? CodePacking.Radix : CodePacking.Fields;
    }

    /// <summary>The exact number of bytes.</summary>
    /// <param name="length">The number of codes.</param>
    /// <returns>The number of bytes that <see cref="Pack"/> returns for so many.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The length is negative.</exception>
    /// <exception cref="OverflowException">There are 2^63 bytes or more.</exception>
    public long ByteCount(long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        return (Packing, Order) switch
        {
            (CodePacking.Fields, CodeOrder.Linear) => (length / 8 * FieldBits) + (((length % 8 * FieldBits) + 7) / 8),
            (CodePacking.Fields, _) => checked(Over(length, 32) * 4 * FieldBits),
            (_, CodeOrder.Linear) => Over(length, UnitDigits) * UnitBytes,
            _ => Over(length, Steps) * 4,
        };
    }

    /// <summary>Packs.</summary>
    /// <param name="codes">The codes, 0 to k - 1.</param>
    /// <returns>The bytes.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A code is negative, or not below k.</exception>
    public byte[] Pack(ReadOnlySpan<int> codes)
    {
        var packed = new byte[ByteCount(codes.Length)];
        for (int i = 0; i < codes.Length; i++)
        {
            if (codes[i] < 0 || codes[i] >= Codes)
            {
                throw new ArgumentOutOfRangeException(
                    nameof(codes), codes[i], $"Code {i} must be at least 0 and below {Codes}.");
            }

            if (Packing == CodePacking.Fields)
            {
                foreach ((long place, int shift, int width) in Parts(i, codes.Length))
                {
                    Write(packed, place, (codes[i] >> shift) & ((1 << width) - 1));
                }
            }
            else
            {
                (int unit, int digit) = Unit(i, codes.Length);
                Set(packed, unit, Get(packed, unit) + (codes[i] * _powers[digit]));
            }
        }

        return packed;
    }

    /// <summary>Unpacks.</summary>
    /// <param name="packed">The bytes.</param>
    /// <param name="length">The number of codes.</param>
    /// <returns>The codes.</returns>
    /// <exception cref="ArgumentException">The bytes are too many or too few, hold a code that is not below k, or bits
    /// that are not 0 where no code is.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The length is negative.</exception>
    public int[] Unpack(ReadOnlySpan<byte> packed, int length)
    {
        int[] codes = Read(packed, length);
        int wrong = Array.FindIndex(codes, code => code >= Codes);
        if (wrong >= 0)
        {
            throw new ArgumentException($"Code {wrong} is {codes[wrong]}, not below {Codes}.", nameof(packed));
        }

        return Pack(codes).AsSpan().SequenceEqual(packed)
            ? codes
            : throw new ArgumentException("What no code uses must be 0.", nameof(packed));
    }

    /// <summary>Unpacks any bytes: a field that is no code is k - 1, a unit of k^D or more has the digits that its rest
    /// has, and bits of no code do not matter.</summary>
    internal int[] UnpackAny(ReadOnlySpan<byte> packed, int length) =>
        Array.ConvertAll(Read(packed, length), code => Math.Min(code, Codes - 1));

    private int[] Read(ReadOnlySpan<byte> packed, int length)
    {
        if (packed.Length != ByteCount(length))
        {
            throw new ArgumentException(
                $"Expected {ByteCount(length)} bytes for {length} codes, got {packed.Length}.", nameof(packed));
        }

        var codes = new int[length];
        for (int i = 0; i < length; i++)
        {
            if (Packing == CodePacking.Fields)
            {
                foreach ((long place, int shift, int width) in Parts(i, length))
                {
                    codes[i] |= Read(packed, place, width) << shift;
                }
            }
            else
            {
                (int unit, int digit) = Unit(i, length);
                codes[i] = (int)(Get(packed, unit) / _powers[digit] % Codes);
            }
        }

        return codes;
    }

    private static int Digits(int k, int bits)
    {
        int digits = 0;
        for (long power = k; power <= 1L << bits; power *= k)
        {
            digits++;
        }

        return digits;
    }

    private static long Over(long length, int by) => (length / by) + (length % by == 0 ? 0 : 1);

    private static void Write(Span<byte> packed, long place, int value)
    {
        for (; value != 0; value >>= 1, place++)
        {
            packed[(int)(place / 8)] |= (byte)((value & 1) << (int)(place % 8));
        }
    }

    private static int Read(ReadOnlySpan<byte> packed, long place, int width)
    {
        int value = 0;
        for (int bit = 0; bit < width; bit++)
        {
            value |= ((packed[(int)((place + bit) / 8)] >> (int)((place + bit) % 8)) & 1) << bit;
        }

        return value;
    }

    /// <summary>The places of the parts of a code in the stream of bits, and where in the code they belong.</summary>
    private IEnumerable<(long Place, int Shift, int Width)> Parts(int i, int length)
    {
        if (Order == CodeOrder.Linear)
        {
            yield return ((long)i * FieldBits, 0, FieldBits);
            yield break;
        }

        (long block, int lanes, int lane, int step) = Planar(i, length);
        int row = 0;
        for (int width = 8; width > 0; width /= 2)
        {
            if ((FieldBits & width) != 0)
            {
                long word = (block * Lanes * FieldBits) + ((row + (step * width / 32)) * lanes) + lane;
                yield return ((word * 32) + (step * width % 32), row, width);
                row += width;
            }
        }
    }

    /// <summary>The unit of a code, and which of its digits it is.</summary>
    private (int Unit, int Digit) Unit(int i, int length)
    {
        if (Order == CodeOrder.Linear)
        {
            return (i / UnitDigits, i % UnitDigits);
        }

        (long block, _, int lane, int step) = Planar(i, length);
        long word = (block * Lanes) + lane;
        return ((int)(word * (4 / UnitBytes)) + (step / UnitDigits), step % UnitDigits);
    }

    private (long Block, int Lanes, int Lane, int Step) Planar(int i, int length)
    {
        int size = Lanes * Steps;
        int block = i / size;
        int lanes = (int)Over(Math.Min(size, length - (block * size)), Steps);
        return (block, lanes, i % size % lanes, i % size / lanes);
    }

    private long Get(ReadOnlySpan<byte> packed, int unit)
    {
        long value = 0;
        for (int i = 0; i < UnitBytes; i++)
        {
            value |= (long)packed[(unit * UnitBytes) + i] << (8 * i);
        }

        return value;
    }

    private void Set(Span<byte> packed, int unit, long value)
    {
        for (int i = 0; i < UnitBytes; i++)
        {
            packed[(unit * UnitBytes) + i] = (byte)(value >> (8 * i));
        }
    }
}
