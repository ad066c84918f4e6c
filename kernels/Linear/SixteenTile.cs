using ILGPU;

namespace Kernels.DeviceCode.Linear;

/// <summary>Tiles of sixteen by sixteen floats beside each other, which go in by rows and come out by columns.</summary>
/// <remarks>
/// Two steps of four by four: a row's quarters are stored where the compiler moves four floats at once, and a column is
/// four reads of sixteen floats each, of which lanes are taken by masks. A plain read of every sixteenth float is a
/// gather, which takes twice as long.
/// </remarks>
internal struct SixteenTile
{
    /// <summary>Tiles: a row of theirs is 1 KiB on end, and all of them stay in the cache.</summary>
    internal const int Count = 16;

    /// <summary>Sixteens that the tiles take: themselves and the masks.</summary>
    internal const int Room = Count * Sixteen.Width + 3;

    private const int Masked = Count * Sixteen.Width;

    public ArrayView<float> View;

    // One, but not for a compiler to know: it would make one of reads that overlap.
    public int One;

    /// <summary>The tiles in so many sixteens of memory that is no other group's.</summary>
    internal static SixteenTile In(ArrayView<Sixteen> room, long first)
    {
        Sixteen mask = default;
        mask.V1 = 1f;
        mask.V5 = 1f;
        mask.V9 = 1f;
        mask.V13 = 1f;
        room[first + Masked] = mask;
        mask = default;
        mask.V2 = 1f;
        mask.V6 = 1f;
        mask.V10 = 1f;
        mask.V14 = 1f;
        room[first + Masked + 1] = mask;
        mask = default;
        mask.V3 = 1f;
        mask.V7 = 1f;
        mask.V11 = 1f;
        mask.V15 = 1f;
        room[first + Masked + 2] = mask;
        return new() { View = room.SubView(first, Room).Cast<float>(), One = 1 + Sixteen.Zero(first) };
    }

    /// <summary>Puts a row of a tile: element 4p + q of row 4a + b lies at [p][b][a][q].</summary>
    internal readonly void Put(int tile, int row, Sixteen x)
    {
        // In 64 bits: of 32 the compiler does not know that at + 1 is beside at.
        long at = 256L * tile + 16 * (row & 3) + 4 * (row >> 2);
        View[at + 0] = x.V0;
        View[at + 1] = x.V1;
        View[at + 2] = x.V2;
        View[at + 3] = x.V3;
        View[at + 64] = x.V4;
        View[at + 65] = x.V5;
        View[at + 66] = x.V6;
        View[at + 67] = x.V7;
        View[at + 128] = x.V8;
        View[at + 129] = x.V9;
        View[at + 130] = x.V10;
        View[at + 131] = x.V11;
        View[at + 192] = x.V12;
        View[at + 193] = x.V13;
        View[at + 194] = x.V14;
        View[at + 195] = x.V15;
    }

    /// <summary>The masks of <see cref="Column"/>, to be read once for several columns.</summary>
    internal readonly SixteenMasks Masks() => new()
    {
        First = Sixteen.Contiguous(View, 16L * Masked * One),
        Second = Sixteen.Contiguous(View, 16L * (Masked + 1) * One),
        Third = Sixteen.Contiguous(View, 16L * (Masked + 2) * One),
    };

    /// <summary>Column 4p + q of all tiles' columns: lane 4a + b is read at [p][b][a][q].</summary>
    internal readonly Sixteen Column(int p, int q, SixteenMasks masks)
    {
        Sixteen zero = default;
        long at = 64L * p + q;
        Sixteen x = Sixteen.Contiguous(View, at);
        x = Sixteen.IfGreater(masks.First, zero, Sixteen.Contiguous(View, at + 15L * One), x);
        x = Sixteen.IfGreater(masks.Second, zero, Sixteen.Contiguous(View, at + 30L * One), x);
        return Sixteen.IfGreater(masks.Third, zero, Sixteen.Contiguous(View, at + 45L * One), x);
    }
}

/// <summary>Lanes b of every four, for b = 1, 2, 3.</summary>
internal struct SixteenMasks
{
    public Sixteen First;
    public Sixteen Second;
    public Sixteen Third;
}
