using ILGPU;

namespace Kernels.DeviceCode.Quantization;

/// <summary>What is done with the codes of a lane, one after the other.</summary>
internal interface ICodeSink
{
    /// <summary>Takes the code of a step; it may be k or more.</summary>
    void Take(int step, int code);
}

/// <summary>How the codes of a lane of a whole planar block are taken out of its words.</summary>
internal interface ILaneCodes
{
    /// <summary>Hands over all codes, in an order that depends on the format alone.</summary>
    static abstract void Visit<TSink>(ArrayView<uint> words, long at, PackedFormat format, ref TSink sink)
        where TSink : struct, ICodeSink;
}

/// <summary>Bits of a field, known to the compiler.</summary>
internal interface IFieldBits
{
    static abstract int Bits { get; }
}

internal readonly struct Bits1 : IFieldBits
{
    public static int Bits => 1;
}

internal readonly struct Bits2 : IFieldBits
{
    public static int Bits => 2;
}

internal readonly struct Bits3 : IFieldBits
{
    public static int Bits => 3;
}

internal readonly struct Bits4 : IFieldBits
{
    public static int Bits => 4;
}

internal readonly struct Bits5 : IFieldBits
{
    public static int Bits => 5;
}

internal readonly struct Bits6 : IFieldBits
{
    public static int Bits => 6;
}

internal readonly struct Bits7 : IFieldBits
{
    public static int Bits => 7;
}

internal readonly struct Bits8 : IFieldBits
{
    public static int Bits => 8;
}

/// <summary>Eight successive codes of a lane of a planar block of fields.</summary>
/// <remarks>A code is in parts of 4, 2 and 1 bits, the largest at the low end; 8 bits are one part.</remarks>
internal readonly struct EightCodes
{
    private readonly uint _four;
    private readonly uint _two; // of 8 bits: the fields of the last four steps
    private readonly uint _one;

    private EightCodes(uint four, uint two, uint one)
    {
        _four = four;
        _two = two;
        _one = one;
    }

    /// <summary>The steps 8 <paramref name="eight"/> on of the lane whose first word is at <paramref name="at"/>.</summary>
    internal static EightCodes Read<TBits>(ArrayView<uint> words, long at, int lanes, int eight)
        where TBits : struct, IFieldBits
    {
        if (TBits.Bits == 8)
        {
            long first = at + (long)(2 * eight) * lanes;
            return new EightCodes(words[first], words[first + lanes], 0);
        }

        uint four = 0;
        uint two = 0;
        uint one = 0;
        if ((TBits.Bits & 4) != 0)
        {
            four = words[at + (long)eight * lanes];
        }

        if ((TBits.Bits & 2) != 0)
        {
            two = words[at + (long)((TBits.Bits & 4) + (eight >> 1)) * lanes] >> (16 * (eight & 1));
        }

        if ((TBits.Bits & 1) != 0)
        {
            one = words[at + (long)(TBits.Bits & 6) * lanes] >> (8 * eight);
        }

        return new EightCodes(four, two, one);
    }

    /// <summary>The code of a step, 0 to 7, which the compiler should know.</summary>
    internal int Code<TBits>(int step)
        where TBits : struct, IFieldBits
    {
        if (TBits.Bits == 8)
        {
            return (int)((step < 4 ? _four : _two) >> (8 * (step & 3))) & 255;
        }

        int code = 0;
        if ((TBits.Bits & 4) != 0)
        {
            code = (int)(_four >> (4 * step)) & 15;
        }

        if ((TBits.Bits & 2) != 0)
        {
            code |= ((int)(_two >> (2 * step)) & 3) << (TBits.Bits & 4);
        }

        if ((TBits.Bits & 1) != 0)
        {
            code |= ((int)(_one >> step) & 1) << (TBits.Bits & 6);
        }

        return code;
    }
}

/// <summary>Fields: 32 codes of a lane.</summary>
internal readonly struct Fields<TBits> : ILaneCodes
    where TBits : struct, IFieldBits
{
    public static void Visit<TSink>(ArrayView<uint> words, long at, PackedFormat format, ref TSink sink)
        where TSink : struct, ICodeSink
    {
        for (int eight = 0; eight < 4; eight++)
        {
            EightCodes codes = EightCodes.Read<TBits>(words, at, PackedFormat.Lanes, eight);
            int step = 8 * eight;
            sink.Take(step, codes.Code<TBits>(0));
            sink.Take(step + 1, codes.Code<TBits>(1));
            sink.Take(step + 2, codes.Code<TBits>(2));
            sink.Take(step + 3, codes.Code<TBits>(3));
            sink.Take(step + 4, codes.Code<TBits>(4));
            sink.Take(step + 5, codes.Code<TBits>(5));
            sink.Take(step + 6, codes.Code<TBits>(6));
            sink.Take(step + 7, codes.Code<TBits>(7));
        }
    }
}

/// <summary>Digits: a word of a lane is one unit, or four of a byte.</summary>
internal readonly struct Digits : ILaneCodes
{
    public static void Visit<TSink>(ArrayView<uint> words, long at, PackedFormat format, ref TSink sink)
        where TSink : struct, ICodeSink
    {
        uint word = words[at];
        int digits = format.UnitDigits;
        int half = digits / 2;
        uint mask = format.UnitBytes == 4 ? 0xFFFFFFFFu : 0xFFu;
        int units = 4 / format.UnitBytes;
        for (int unit = 0; unit < units; unit++)
        {
            // In two halves, side by side: the reciprocal serves small numbers, and a digit waits for the last.
            uint low = (word >> (8 * unit)) & mask;
            uint high = low / format.HalfPower;
            low -= high * format.HalfPower;
            int step = unit * digits;
            for (int digit = 0; digit < half; digit++)
            {
                sink.Take(step + digit, format.TakeDigit(ref low));
                sink.Take(step + half + digit, format.TakeDigit(ref high));
            }

            if (2 * half < digits)
            {
                sink.Take(step + digits - 1, format.TakeDigit(ref high));
            }
        }
    }
}
