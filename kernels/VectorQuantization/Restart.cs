using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.VectorQuantization;

/// <summary>A code belongs to its head if it is dead, and else to none.</summary>
internal struct DeadCode : ISegmentKeys
{
    /// <summary>[heads, codes].</summary>
    public ArrayView<float> Sizes;
    public float Threshold;
    public int Codes;
    public int Heads;

    public readonly int Key(int entry) => Utilities.Select(Sizes[entry] < Threshold, entry / Codes, Heads);
}

/// <summary>A row of a head belongs to the head if it counts, and else to none.</summary>
internal struct CountedRow : ISegmentKeys
{
    /// <summary>[rows, heads]; not read unless <see cref="HasIndex"/>.</summary>
    public ArrayView<int> Index;
    public int Codes;
    public int Heads;

    /// <summary>0 or 1.</summary>
    public int HasIndex;

    public readonly int Key(int entry)
    {
        int index = 0;
        if (HasIndex != 0)
        {
            index = Index[entry];
        }

        return Utilities.Select((index >= 0) & (index < Codes), entry % Heads, Heads);
    }
}

/// <summary>Dead codes and rows that count, each sorted by head.</summary>
/// <remarks>
/// Source: lucidrains/vector-quantize-pytorch; the rows by a permutation instead of a draw. The r-th dead code of a head
/// takes the row at place p(r) among those that count, where p permutes the places: a Feistel network of four rounds on
/// an even number of bits (Luby, Rackoff 1988), walked until it is a place (Black, Rogaway 2002). With more dead codes
/// than rows each draws a row by itself.
/// Shapes: rows [n, heads, d], codes and sums [heads, codes, d], sizes [heads, codes].
/// Storage: rows and codes F32, F16, BF16; sizes and sums binary32.
/// Traffic: the sizes and the indices; then as many rows as codes are dead, each read once and written twice.
/// Order: ranks are by index; all depends on seed, step, head and ranks alone.
/// Domain: a head without a row that counts stays; a size that is NaN is not dead.
/// </remarks>
internal struct RestartArguments
{
    /// <summary>The dead codes of each head, and where those of a head begin.</summary>
    public ArrayView<int> DeadOrder;
    public ArrayView<int> DeadBegin;

    /// <summary>The rows of each head that count, and where those of a head begin.</summary>
    public ArrayView<int> RowOrder;
    public ArrayView<int> RowBegin;

    /// <summary>[heads * codes]: the row, and its head, that a dead code takes; -1 for none.</summary>
    public ArrayView<int> Picks;

    /// <summary>[heads, codes].</summary>
    public ArrayView<float> Sizes;
    public int Codes;
    public int Heads;
    public int Dimension;
    public float Reset;
    public uint Seed0;
    public uint Seed1;
    public uint Step;

    internal readonly uint Word(uint x, uint round, int head) => Philox.Draw(
        new QuadBits { X = x, Y = round, Z = Step, W = (uint)head }, Seed0, Seed1).X;
}

/// <summary>The row of each dead code and its new size, one dead code per item.</summary>
internal struct RestartPickWork : IItemWork
{
    public RestartArguments Arguments;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        if (i >= Arguments.DeadBegin[Arguments.Heads])
        {
            return;
        }

        int code = Arguments.DeadOrder[i];
        int head = code / Arguments.Codes;
        int first = Arguments.RowBegin[head];
        uint rows = (uint)(Arguments.RowBegin[head + 1] - first);
        uint rank = (uint)(i - Arguments.DeadBegin[head]);
        int dead = Arguments.DeadBegin[head + 1] - Arguments.DeadBegin[head];
        if (rows == 0)
        {
            Arguments.Picks[i] = -1;
            return;
        }

        uint place = dead <= (int)rows ? Permuted(rank, rows, head) : Drawn(rank, rows, head);
        Arguments.Picks[i] = Arguments.RowOrder[first + (int)place];
        Arguments.Sizes[code] = Arguments.Reset;
    }

    private readonly uint Drawn(uint rank, uint rows, int head) =>
        (uint)((ulong)Arguments.Word(rank, 4, head) * rows >> 32);

    private readonly uint Permuted(uint rank, uint rows, int head)
    {
        int half = 1;
        while (1ul << (2 * half) < rows)
        {
            half++;
        }

        uint mask = (1u << half) - 1;
        uint place = rank;
        do
        {
            uint left = place >> half;
            uint right = place & mask;
            for (uint round = 0; round < 4; round++)
            {
                uint mixed = left ^ (Arguments.Word(right, round, head) & mask);
                left = right;
                right = mixed;
            }

            place = (left << half) | right;
        }
        while (place >= rows);
        return place;
    }
}

/// <summary>The rows become the codes, one dead code and a chunk of the dimensions per item.</summary>
internal struct RestartCopyWork<TRow, TCode, TWidth> : IItemWork
    where TRow : struct, IStorage
    where TCode : struct, IStorage
    where TWidth : struct, IItemWidth
{
    public RestartArguments Arguments;
    public TRow Rows;
    public TCode Codes;

    /// <summary>[heads, codes, d].</summary>
    public ArrayView<float> Sums;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int chunks = SegmentCuts.Chunks<TWidth>(Arguments.Dimension);
        long dead = i / chunks;
        int dimension = (int)(i - dead * chunks) * TWidth.Width;
        if (dead >= Arguments.DeadBegin[Arguments.Heads])
        {
            return;
        }

        int row = Arguments.Picks[dead];
        if (row < 0)
        {
            return;
        }

        long from = (long)row * Arguments.Dimension;
        long to = (long)Arguments.DeadOrder[dead] * Arguments.Dimension;
        if (TWidth.Width > 1 & dimension + TWidth.Width <= Arguments.Dimension)
        {
            Copy<SixteenFloats>(from + dimension, to + dimension);
            return;
        }

        int last = IntrinsicMath.Min(dimension + TWidth.Width, Arguments.Dimension);
        for (; dimension < last; dimension++)
        {
            Copy<OneFloat>(from + dimension, to + dimension);
        }
    }

    private readonly void Copy<TFloats>(long from, long to)
        where TFloats : struct, IFloats<TFloats>
    {
        TFloats row = TFloats.Load(Rows, from);
        row.Store(Codes, to);
        row.Zip(TFloats.Of(Arguments.Reset), default(Multiplication)).Store(new F32(Sums), to);
    }
}
