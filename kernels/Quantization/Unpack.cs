using ILGPU;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;

namespace Kernels.DeviceCode.Quantization;

/// <summary>Whole planar blocks of fields, a lane of a block per item: 32 codes.</summary>
/// <remarks>
/// Source: the planar order of the library, in which the lanes of a warp read neighbouring words and write neighbours.
/// Shapes: packed [rows, RunWords] words, codes [rows, RunCodes]; the launch is 32 items for each block of each row.
/// Traffic: the packed words once, what the target writes once; a codebook lies in the first-level cache.
/// Needs: groups of a multiple of 32. Order: none, each code is by itself. Domain: bits that are no code are code k - 1.
/// </remarks>
internal static class Unpack
{
    [DeviceKernel("quantization/unpack.blocks")]
    internal static void Blocks<TBits, TTarget>(
        ArrayView<uint> words, PackedFormat format, TTarget target, int blocks, int firstBlock)
        where TBits : struct, IFieldBits
        where TTarget : struct, IDecodeTarget
    {
        int block = firstBlock + Grid.IdxX * (Group.DimX >> 5) + (Group.IdxX >> 5);
        int lane = Group.IdxX & 31;
        int row = block / blocks;
        int inRow = block - row * blocks;
        target.Enter(row);
        LaneWords w = LaneWords.Read<TBits>(
            words, (long)row * format.RunWords + inRow * (TBits.Bits * 32) + lane, 32);
        int place = row * format.RunCodes + inRow * 1024 + lane;
        Eight<TBits, TTarget>(w, format, target, place, 0);
        Eight<TBits, TTarget>(w, format, target, place, 8);
        Eight<TBits, TTarget>(w, format, target, place, 16);
        Eight<TBits, TTarget>(w, format, target, place, 24);
    }

    private static void Eight<TBits, TTarget>(LaneWords w, PackedFormat format, TTarget target, int place, int step)
        where TBits : struct, IFieldBits
        where TTarget : struct, IDecodeTarget
    {
        target.Store(place + step * 32, format.Clamp(w.Code<TBits>(step)));
        target.Store(place + step * 32 + 32, format.Clamp(w.Code<TBits>(step + 1)));
        target.Store(place + step * 32 + 64, format.Clamp(w.Code<TBits>(step + 2)));
        target.Store(place + step * 32 + 96, format.Clamp(w.Code<TBits>(step + 3)));
        target.Store(place + step * 32 + 128, format.Clamp(w.Code<TBits>(step + 4)));
        target.Store(place + step * 32 + 160, format.Clamp(w.Code<TBits>(step + 5)));
        target.Store(place + step * 32 + 192, format.Clamp(w.Code<TBits>(step + 6)));
        target.Store(place + step * 32 + 224, format.Clamp(w.Code<TBits>(step + 7)));
    }
}

/// <summary>Planar words, a lane of a block per item: what is not whole blocks of fields.</summary>
/// <remarks>As <see cref="Unpack"/>, with a block that may have fewer than 32 lanes, and codes that may be digits.</remarks>
internal struct UnpackLaneWork<TTarget> : IItemWork
    where TTarget : struct, IDecodeTarget
{
    public ArrayView<uint> Words;
    public PackedFormat Format;
    public TTarget Target;

    /// <summary>The first block of each row that is done here.</summary>
    public int FirstBlock;

    /// <summary>Lanes of a row that are done here.</summary>
    public int RowLanes;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int row = (int)(i / RowLanes);
        int inRow = (int)(i - (long)row * RowLanes);
        int block = FirstBlock + (inRow >> 5);
        int lane = inRow & 31;
        int steps = Format.Steps;
        int first = block * PackedFormat.Lanes * steps;
        int left = Format.RunCodes - first;
        int lanes = Format.LanesOf(left);
        long word = (long)row * Format.RunWords + (long)block * PackedFormat.Lanes * Format.LaneWords + lane;
        TTarget target = Target;
        target.Enter(row);
        int place = row * Format.RunCodes + first + lane;
        int count = IntrinsicMath.Min(steps, (left - lane + lanes - 1) / lanes);
        if (Format.FieldBits > 0)
        {
            for (int step = 0; step < count; step++)
            {
                target.Store(place + step * lanes, Format.Clamp(Field(word, lanes, step)));
            }

            return;
        }

        int digits = Format.UnitDigits;
        uint number = Words[word];
        int unitBits = 8 * Format.UnitBytes;
        int done = 0;
        while (done < count)
        {
            // A word is cut into two halves: the reciprocal serves numbers below 2^32 / k.
            uint unit = unitBits == 32 ? number : (number >> (done / digits * 8)) & 255u;
            uint high = unit / Format.HalfPower;
            unit -= high * Format.HalfPower;
            for (int digit = 0; digit < digits; digit++, done++)
            {
                if (digit == digits / 2)
                {
                    unit = high;
                }

                int code = Format.TakeDigit(ref unit);
                if (done < count)
                {
                    target.Store(place + done * lanes, Format.Clamp(code));
                }
            }
        }
    }

    private readonly int Field(long word, int lanes, int step)
    {
        int code = 0;
        int row = 0;
        for (int width = 8; width > 0; width >>= 1)
        {
            if ((Format.FieldBits & width) != 0)
            {
                uint bits = Words[word + (row + (step * width >> 5)) * (long)lanes];
                code |= ((int)(bits >> ((step * width) & 31)) & ((1 << width) - 1)) << row;
                row += width;
            }
        }

        return code;
    }
}

/// <summary>Linear bytes: eight fields, or a unit of digits, per item.</summary>
/// <remarks>As <see cref="Unpack"/>; packed [bytes]. An item reads whole bytes: eight fields begin with one.</remarks>
internal struct UnpackLinearWork<TTarget> : IItemWork
    where TTarget : struct, IDecodeTarget
{
    public ArrayView<byte> Bytes;
    public PackedFormat Format;
    public TTarget Target;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        TTarget target = Target;
        if (Format.FieldBits > 0)
        {
            int first = (int)i * 8;
            int count = IntrinsicMath.Min(8, Format.RunCodes - first);
            int bytes = (count * Format.FieldBits + 7) >> 3;
            ulong bits = 0;
            for (int j = 0; j < bytes; j++)
            {
                bits |= (ulong)(Bytes[i * Format.FieldBits + j] & 0xFFu) << (8 * j);
            }

            for (int j = 0; j < count; j++)
            {
                int code = (int)(bits >> (j * Format.FieldBits)) & ((1 << Format.FieldBits) - 1);
                target.Store(first + j, Format.Clamp(code));
            }

            return;
        }

        uint unit = 0;
        for (int j = 0; j < Format.UnitBytes; j++)
        {
            unit |= (Bytes[i * Format.UnitBytes + j] & 0xFFu) << (8 * j);
        }

        uint high = unit / Format.HalfPower;
        unit -= high * Format.HalfPower;
        int place = (int)i * Format.UnitDigits;
        int digits = IntrinsicMath.Min(Format.UnitDigits, Format.RunCodes - place);
        for (int digit = 0; digit < digits; digit++)
        {
            if (digit == Format.UnitDigits / 2)
            {
                unit = high;
            }

            target.Store(place + digit, Format.Clamp(Format.TakeDigit(ref unit)));
        }
    }
}
