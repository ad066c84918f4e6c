using ILGPU;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;

namespace Kernels.DeviceCode.Quantization;

/// <summary>Codes into planar words, a lane of a block per item.</summary>
/// <remarks>
/// Source: the planar order of the library. Shapes: codes [rows, RunCodes] bytes, packed [rows, RunWords] words. Traffic:
/// the codes once from memory, the words once. Order: none. Domain: a code of k or more is k - 1.
/// </remarks>
internal struct PackLaneWork : IItemWork
{
    public ArrayView<byte> Index;
    public ArrayView<uint> Words;
    public PackedFormat Format;

    /// <summary>Lanes of a row.</summary>
    public int RowLanes;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int row = (int)(i / RowLanes);
        int inRow = (int)(i - (long)row * RowLanes);
        int block = inRow >> 5;
        int lane = inRow & 31;
        int left = Format.RunCodes - block * Format.BlockCodes;
        int lanes = Format.LanesOf(left);
        int count = Format.StepsOf(left, lanes, lane);
        long word = (long)row * Format.RunWords + (long)block * Format.BlockWords + lane;
        int place = row * Format.RunCodes + block * Format.BlockCodes + lane;
        if (Format.FieldBits == 0)
        {
            Words[word] = Digits(place, lanes, count);
            return;
        }

        int done = 0;
        for (int width = 8; width > 0; width >>= 1)
        {
            if ((Format.FieldBits & width) == 0)
            {
                continue;
            }

            int each = 32 / width;
            for (int part = 0; part < width; part++)
            {
                uint bits = 0;
                for (int j = 0; j < each; j++)
                {
                    int step = part * each + j;
                    if (step < count)
                    {
                        bits |= ((Code(place + step * lanes) >> done) & ((1u << width) - 1)) << (j * width);
                    }
                }

                Words[word + (done + part) * (long)lanes] = bits;
            }

            done += width;
        }
    }

    private readonly uint Digits(int place, int lanes, int count)
    {
        uint number = 0;
        int units = 4 / Format.UnitBytes;
        for (int u = 0; u < units; u++)
        {
            uint unit = 0;
            for (int digit = Format.UnitDigits - 1; digit >= 0; digit--)
            {
                int step = u * Format.UnitDigits + digit;
                unit *= (uint)Format.Codes;
                if (step < count)
                {
                    unit += Code(place + step * lanes);
                }
            }

            number |= unit << (8 * u);
        }

        return number;
    }

    private readonly uint Code(int place) => (uint)Format.Clamp(Index[place] & 0xFF);
}

/// <summary>Codes into linear bytes: eight fields, or a unit of digits, per item.</summary>
/// <remarks>As <see cref="PackLaneWork"/>; packed [bytes].</remarks>
internal struct PackLinearWork : IItemWork
{
    public ArrayView<byte> Index;
    public ArrayView<byte> Bytes;
    public PackedFormat Format;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        if (Format.FieldBits > 0)
        {
            int first = (int)i * 8;
            int count = IntrinsicMath.Min(8, Format.RunCodes - first);
            ulong bits = 0;
            for (int j = 0; j < count; j++)
            {
                bits |= (ulong)Code(first + j) << (j * Format.FieldBits);
            }

            int bytes = (count * Format.FieldBits + 7) >> 3;
            for (int j = 0; j < bytes; j++)
            {
                Bytes[i * Format.FieldBits + j] = (byte)(bits >> (8 * j));
            }

            return;
        }

        int place = (int)i * Format.UnitDigits;
        int digits = IntrinsicMath.Min(Format.UnitDigits, Format.RunCodes - place);
        uint unit = 0;
        for (int digit = digits - 1; digit >= 0; digit--)
        {
            unit = unit * (uint)Format.Codes + Code(place + digit);
        }

        for (int j = 0; j < Format.UnitBytes; j++)
        {
            Bytes[i * Format.UnitBytes + j] = (byte)(unit >> (8 * j));
        }
    }

    private readonly uint Code(int place) => (uint)Format.Clamp(Index[place] & 0xFF);
}
