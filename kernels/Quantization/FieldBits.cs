using ILGPU;

namespace Kernels.DeviceCode.Quantization;

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

/// <summary>The words of a lane of a planar block of fields: 32 codes.</summary>
/// <remarks>Nothing here may be indexed by what the compiler does not know: it would live in memory.</remarks>
internal struct LaneWords
{
    private uint _row0;
    private uint _row1;
    private uint _row2;
    private uint _row3;
    private uint _row4;
    private uint _row5;
    private uint _row6;
    private uint _row7;

    /// <summary>Reads them: the first at <paramref name="at"/>, each next one as many words on as there are lanes.</summary>
    internal static LaneWords Read<TBits>(ArrayView<uint> words, long at, int lanes)
        where TBits : struct, IFieldBits
    {
        LaneWords w = default;
        w._row0 = words[at];
        if (TBits.Bits > 1)
        {
            w._row1 = words[at + lanes];
        }

        if (TBits.Bits > 2)
        {
            w._row2 = words[at + 2 * lanes];
        }

        if (TBits.Bits > 3)
        {
            w._row3 = words[at + 3 * lanes];
        }

        if (TBits.Bits > 4)
        {
            w._row4 = words[at + 4 * lanes];
        }

        if (TBits.Bits > 5)
        {
            w._row5 = words[at + 5 * lanes];
        }

        if (TBits.Bits > 6)
        {
            w._row6 = words[at + 6 * lanes];
        }

        if (TBits.Bits > 7)
        {
            w._row7 = words[at + 7 * lanes];
        }

        return w;
    }

    /// <summary>The code of a step, 0 to 31: parts of 4, 2 and 1 bits, the largest at the low end; 8 bits are one.</summary>
    internal readonly int Code<TBits>(int step)
        where TBits : struct, IFieldBits
    {
        if (TBits.Bits == 8)
        {
            return (int)(Row(step >> 2) >> ((8 * step) & 31)) & 255;
        }

        int code = 0;
        if ((TBits.Bits & 4) != 0)
        {
            code = (int)(Row(step >> 3) >> ((4 * step) & 31)) & 15;
        }

        if ((TBits.Bits & 2) != 0)
        {
            code |= ((int)(Row((TBits.Bits & 4) + (step >> 4)) >> ((2 * step) & 31)) & 3) << (TBits.Bits & 4);
        }

        if ((TBits.Bits & 1) != 0)
        {
            code |= ((int)(Row(TBits.Bits & 6) >> step) & 1) << (TBits.Bits & 6);
        }

        return code;
    }

    private readonly uint Row(int row) => row switch
    {
        0 => _row0,
        1 => _row1,
        2 => _row2,
        3 => _row3,
        4 => _row4,
        5 => _row5,
        6 => _row6,
        _ => _row7,
    };
}
