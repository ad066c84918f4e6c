using ILGPU;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;

namespace Kernels.DeviceCode.Quantization;

/// <summary>Whole planar blocks, a lane of a block per item.</summary>
/// <remarks>
/// Source: the planar order of the library, in which the lanes of a warp read neighbouring words and write neighbours.
/// Shapes: packed [rows, RunWords] words, codes [rows, RunCodes]; the launch is 32 items for each block of each row.
/// Traffic: the packed words once, what the target writes once. Needs: groups of a multiple of 32. Order: none, each code
/// is by itself. Domain: bits that are no code are code k - 1.
/// </remarks>
internal static class Unpack
{
    [DeviceKernel("quantization/unpack.blocks")]
    internal static void Blocks<TCodes, TTarget>(
        ArrayView<uint> words, PackedFormat format, TTarget target, int rowBlocks, int firstBlock)
        where TCodes : struct, ILaneCodes
        where TTarget : struct, IDecodeTarget
    {
        int block = firstBlock + Grid.IdxX * (Group.DimX >> 5) + (Group.IdxX >> 5);
        int lane = Group.IdxX & 31;
        int row = block / rowBlocks;
        int inRow = block - row * rowBlocks;
        var sink = new TargetSink<TTarget>
        {
            Target = target,
            Place = row * format.RunCodes + inRow * format.BlockCodes + lane,
            Last = format.Codes - 1,
        };
        TCodes.Visit(words, (long)row * format.RunWords + (long)inRow * format.BlockWords + lane, format, ref sink);
    }

    private struct TargetSink<TTarget> : ICodeSink
        where TTarget : struct, IDecodeTarget
    {
        public TTarget Target;
        public int Place;
        public int Last;

        public readonly void Take(int step, int code) =>
            Target.Store(Place + step * PackedFormat.Lanes, IntrinsicMath.Min(code, Last));
    }
}

/// <summary>Planar words, a lane of a block per item: also of a block of fewer than 32 lanes.</summary>
/// <remarks>As <see cref="Unpack"/>.</remarks>
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
        int left = Format.RunCodes - block * Format.BlockCodes;
        int lanes = Format.LanesOf(left);
        int count = Format.StepsOf(left, lanes, lane);
        long word = (long)row * Format.RunWords + (long)block * Format.BlockWords + lane;
        int place = row * Format.RunCodes + block * Format.BlockCodes + lane;
        for (int step = 0; step < count; step++)
        {
            Target.Store(place + step * lanes, Format.Clamp(Format.Code(Words, word, lanes, step)));
        }
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
                Target.Store(first + j, Format.Clamp(code));
            }

            return;
        }

        uint unit = 0;
        for (int j = 0; j < Format.UnitBytes; j++)
        {
            unit |= (Bytes[i * Format.UnitBytes + j] & 0xFFu) << (8 * j);
        }

        uint high = unit / Format.HalfPower;
        uint number = unit - high * Format.HalfPower;
        int place = (int)i * Format.UnitDigits;
        int digits = IntrinsicMath.Min(Format.UnitDigits, Format.RunCodes - place);
        for (int digit = 0; digit < digits; digit++)
        {
            if (digit == Format.UnitDigits / 2)
            {
                number = high;
            }

            Target.Store(place + digit, Format.TakeDigit(ref number));
        }
    }
}
