using System.Numerics;
using System.Runtime.CompilerServices;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Reductions;

namespace Kernels.Host;

/// <summary>
/// Adafactor's first pass on the host: the squares of gradients and parameters; the moments of vectors and of short rows.
/// </summary>
internal unsafe struct HostAdafactorSquares<TMoments> : IHostPass
    where TMoments : struct, ISecondMoments
{
    internal HostTensors Tensors;
    internal AdafactorPiece* Table;
    internal AdafactorSizes* Sizes;
    internal float* Rows;
    internal AdafactorScalars Scalars;

    public readonly HostPiece Open(long piece, float* room)
    {
        ref readonly AdafactorPiece entry = ref Table[piece];
        int count = entry.Count;
        float* rest = room + Pieces.Length;
        return new HostPiece
        {
            P = HostPieces.Pad(Tensors.Parameters(entry.First, count, room), count, room),
            G = HostPieces.Pad(Tensors.Gradients(entry.First, count, rest), count, rest),
            A = TMoments.IsFactored ? null : HostPieces.Pad(Rows + entry.Row, count, rest + Pieces.Length),
            Index = entry.Index,
        };
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Element(in HostPiece at, int k, ref HostLane x, ref HostLane y)
    {
        HostLane g = new(Vector.Load(at.G + k) * Tensors.Factor);
        HostLane p = new(Vector.Load(at.P + k));
        if (!TMoments.IsFactored)
        {
            Scalars.Second(new HostLane(Vector.Load(at.A + k)), g * g).Value.Store(at.A + k);
        }

        x += g * g;
        y += p * p;
    }

    public readonly void Close(in HostPiece at, long piece)
    {
        ref readonly AdafactorPiece entry = ref Table[piece];
        if (!TMoments.IsFactored)
        {
            HostPieces.Unpad(at.A, Rows + entry.Row, entry.Count);
        }
        else if (!TMoments.IsOfOneRow)
        {
            ShortRows(at.G, entry);
        }
    }

    private readonly void ShortRows(float* g, in AdafactorPiece entry)
    {
        float inverse = Sizes[entry.Tensor].InverseColumns;
        float* row = Rows + entry.Row;
        for (float* end = g + entry.Count; g < end; g += entry.Columns)
        {
            float sum = 0f;
            for (int c = 0; c < entry.Columns; c++)
            {
                float value = g[c] * Tensors.Factor;
                sum += value * value;
            }

            *row = Scalars.Second(Lane.Of(*row), Lane.Of(sum * inverse)).Value;
            row++;
        }
    }
}

/// <summary>What the second and the third pass of Adafactor read on the host.</summary>
internal unsafe struct HostAdafactorUpdate<TMoments>
    where TMoments : struct, ISecondMoments
{
    internal HostTensors Tensors;
    internal AdafactorPiece* Table;

    /// <summary>Of the rows of matrices, or of the elements of vectors.</summary>
    internal float* Rows;
    internal float* Columns;
    internal float* Scales; // of matrices
    internal float* Rates;  // of tensors
    internal AdafactorScalars Scalars;

    internal readonly HostPiece Open(long piece, float* room)
    {
        ref readonly AdafactorPiece entry = ref Table[piece];
        int count = entry.Count;
        float* rest = room + Pieces.Length;
        return new HostPiece
        {
            G = HostPieces.Pad(Tensors.Gradients(entry.First, count, room), count, room),
            A = TMoments.IsOfOneRow ? HostPieces.Pad(Columns + entry.Column, count, rest)
                : TMoments.IsFactored ? Seconds(entry, rest)
                : HostPieces.Pad(Rows + entry.Row, count, rest),
            Scale = TMoments.IsOfOneRow ? Rows[entry.Row] * Scales[entry.Matrix] : 0f,
            First = entry.First,
            Count = count,
            Index = entry.Index,
        };
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal readonly HostLane Direction(in HostPiece at, int k)
    {
        HostLane second = new(Vector.Load(at.A + k));
        if (TMoments.IsOfOneRow)
        {
            second = at.Scale * second;
        }

        return Scalars.Direction(new HostLane(Vector.Load(at.G + k) * Tensors.Factor), second);
    }

    /// <summary>The second moments of short rows, one for each element.</summary>
    private readonly float* Seconds(in AdafactorPiece entry, float* room)
    {
        float* row = Rows + entry.Row;
        for (int k = 0; k < entry.Count; k += entry.Columns)
        {
            int matrix = AdafactorPiece.Over(k, entry.OverMatrix);
            float shared = *row++ * Scales[entry.Matrix + matrix];
            float* column = Columns + entry.Column + matrix * entry.Columns;
            for (int c = 0; c < entry.Columns; c++)
            {
                room[k + c] = shared * column[c];
            }
        }

        new Span<float>(room + entry.Count, Pieces.Length - entry.Count).Clear();
        return room;
    }
}

/// <summary>Adafactor's second pass on the host: the squares of the update.</summary>
internal unsafe struct HostAdafactorUpdateSquares<TMoments> : IHostPass
    where TMoments : struct, ISecondMoments
{
    internal HostAdafactorUpdate<TMoments> Update;

    public readonly HostPiece Open(long piece, float* room) => Update.Open(piece, room);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Element(in HostPiece at, int k, ref HostLane x, ref HostLane y)
    {
        HostLane u = Update.Direction(at, k);
        y += u * u;
    }

    public readonly void Close(in HostPiece at, long piece)
    {
    }
}

/// <summary>Adafactor's third pass on the host.</summary>
internal unsafe struct HostAdafactorApply<TMoments> : IHostPass
    where TMoments : struct, ISecondMoments
{
    internal HostAdafactorUpdate<TMoments> Update;

    public readonly HostPiece Open(long piece, float* room)
    {
        float* p = room + 3 * Pieces.Length;
        HostPiece at = Update.Open(piece, room);
        at.P = HostPieces.Pad(Update.Tensors.Parameters(at.First, at.Count, p), at.Count, p);
        at.Rate = Update.Rates[Update.Table[piece].Tensor];
        return at;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Element(in HostPiece at, int k, ref HostLane x, ref HostLane y)
    {
        HostLane p = new HostLane(Vector.Load(at.P + k)) * Update.Scalars.Shrink;
        (p - at.Rate * Update.Direction(at, k)).Value.Store(at.P + k);
    }

    public readonly void Close(in HostPiece at, long piece) => Update.Tensors.Write(at.P, at.First, at.Count);
}

/// <summary>The squares of columns in groups of up to 64 rows on the host.</summary>
internal unsafe struct HostAdafactorColumns : IHostWork
{
    /// <summary>Most columns of a piece of long rows.</summary>
    internal const int Span = 4096;

    internal HostTensors Tensors;
    internal AdafactorColumnPiece* Table;
    internal float* Squares;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run(long begin, long end)
    {
        float* room = stackalloc float[Pieces.Length];
        for (long piece = begin; piece < end; piece++)
        {
            ref readonly AdafactorColumnPiece entry = ref Table[piece];
            float* sums = Squares + entry.To;
            new Span<float>(sums, entry.Count).Clear();
            if (entry.OverColumns == 0)
            {
                LongRows(entry, sums, room);
            }
            else
            {
                ShortRows(entry, sums, room);
            }
        }
    }

    private readonly void LongRows(in AdafactorColumnPiece entry, float* sums, float* room)
    {
        for (int row = 0; row < entry.Rows; row++)
        {
            for (int c = 0; c < entry.Count; c += Pieces.Length)
            {
                int count = Math.Min(Pieces.Length, entry.Count - c);
                AddSquares(Tensors.Gradients(entry.First + row * entry.Columns + c, count, room), sums + c, count);
            }
        }
    }

    // As many whole rows of a group as there is room for, one group after the other.
    private readonly void ShortRows(in AdafactorColumnPiece entry, float* sums, float* room)
    {
        int columns = (int)entry.Columns;
        int together = Pieces.Length / columns;
        long first = entry.First;
        for (float* endOfSums = sums + entry.Count; sums < endOfSums; sums += columns)
        {
            for (int row = 0; row < entry.Rows; row += together)
            {
                int count = Math.Min(together, entry.Rows - row) * columns;
                float* g = Tensors.Gradients(first + row * columns, count, room);
                for (float* end = g + count; g < end; g += columns)
                {
                    AddSquares(g, sums, columns);
                }
            }

            first += entry.Group;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly void AddSquares(float* g, float* sums, int count)
    {
        float factor = Tensors.Factor;
        int k = 0;
        for (; k + Vector<float>.Count <= count; k += Vector<float>.Count)
        {
            Vector<float> value = Vector.Load(g + k) * factor;
            (Vector.Load(sums + k) + value * value).Store(sums + k);
        }

        for (; k < count; k++)
        {
            float value = g[k] * factor;
            sums[k] += value * value;
        }
    }
}
