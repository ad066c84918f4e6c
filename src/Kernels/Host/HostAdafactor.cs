using System.Numerics;
using System.Runtime.CompilerServices;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;
using Kernels.Launching;

namespace Kernels.Host;

/// <summary>Adafactor's first pass on the host: the squares of gradients and parameters; a vector's moments.</summary>
internal unsafe struct HostAdafactorSquares<TMoments> : IHostPass
    where TMoments : struct, ISecondMoments
{
    internal HostTensors Tensors;
    internal float* Moments;
    internal AdafactorScalars Scalars;

    public readonly HostPiece Open(long row, long column, long first, int count, float* room)
    {
        float* rest = room + Pieces.Length;
        return new HostPiece
        {
            P = HostPieces.Pad(Tensors.Parameters(first, count, room), count, room),
            G = HostPieces.Pad(Tensors.Gradients(first, count, rest), count, rest),
            A = TMoments.IsFactored ? null : HostPieces.Pad(Moments + first, count, rest + Pieces.Length),
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

    public readonly void Close(in HostPiece at, long first, int count)
    {
        if (!TMoments.IsFactored)
        {
            HostPieces.Unpad(at.A, Moments + first, count);
        }
    }
}

/// <summary>What the second and the third pass of Adafactor read on the host.</summary>
internal unsafe struct HostAdafactorUpdate<TMoments>
    where TMoments : struct, ISecondMoments
{
    internal HostTensors Tensors;

    /// <summary>Of the rows of a matrix, or of the elements of a vector.</summary>
    internal float* Moments;
    internal float* Columns;
    internal float* Numbers;
    internal AdafactorScalars Scalars;

    internal readonly HostPiece Open(long row, long column, long first, int count, float* room)
    {
        float* rest = room + Pieces.Length;
        float* moments = TMoments.IsFactored ? Columns + column : Moments + first;
        return new HostPiece
        {
            G = HostPieces.Pad(Tensors.Gradients(first, count, room), count, room),
            A = HostPieces.Pad(moments, count, rest),
            Scale = TMoments.IsFactored ? Moments[row] * Numbers[0] : 0f,
        };
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal readonly HostLane Direction(in HostPiece at, int k)
    {
        HostLane second = new(Vector.Load(at.A + k));
        if (TMoments.IsFactored)
        {
            second = at.Scale * second;
        }

        return Scalars.Direction(new HostLane(Vector.Load(at.G + k) * Tensors.Factor), second);
    }
}

/// <summary>Adafactor's second pass on the host: the squares of the update.</summary>
internal unsafe struct HostAdafactorUpdateSquares<TMoments> : IHostPass
    where TMoments : struct, ISecondMoments
{
    internal HostAdafactorUpdate<TMoments> Update;

    public readonly HostPiece Open(long row, long column, long first, int count, float* room) =>
        Update.Open(row, column, first, count, room);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Element(in HostPiece at, int k, ref HostLane x, ref HostLane y)
    {
        HostLane u = Update.Direction(at, k);
        y += u * u;
    }

    public readonly void Close(in HostPiece at, long first, int count)
    {
    }
}

/// <summary>Adafactor's third pass on the host.</summary>
internal unsafe struct HostAdafactorApply<TMoments> : IHostPass
    where TMoments : struct, ISecondMoments
{
    internal HostAdafactorUpdate<TMoments> Update;

    public readonly HostPiece Open(long row, long column, long first, int count, float* room)
    {
        float* p = room + 3 * Pieces.Length;
        HostPiece at = Update.Open(row, column, first, count, room);
        at.P = HostPieces.Pad(Update.Tensors.Parameters(first, count, p), count, p);
        return at;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Element(in HostPiece at, int k, ref HostLane x, ref HostLane y)
    {
        HostLane p = new HostLane(Vector.Load(at.P + k)) * Update.Scalars.Shrink;
        (p - Update.Numbers[2] * Update.Direction(at, k)).Value.Store(at.P + k);
    }

    public readonly void Close(in HostPiece at, long first, int count) => Update.Tensors.Write(at.P, first, count);
}

/// <summary>The squares of columns in groups of 64 rows on the host: one unit is up to 4096 columns of a group.</summary>
internal unsafe struct HostAdafactorColumns : IHostWork
{
    private const int GroupRows = AdafactorColumnGroups<F32, F32>.GroupRows;
    private const int Span = 4096;

    internal HostTensors Tensors;
    internal PieceLayout Layout; // of the matrix
    internal float* Squares;     // [groups, columns]

    internal readonly long Units => (Layout.Rows + GroupRows - 1) / GroupRows * Spans;

    private readonly long Spans => (Layout.Columns + Span - 1) / Span;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run(long begin, long end)
    {
        float* room = stackalloc float[Pieces.Length];
        for (long unit = begin; unit < end; unit++)
        {
            long group = unit / Spans;
            long column = unit % Spans * Span;
            long endColumn = Math.Min(Layout.Columns, column + Span);
            long endRow = Math.Min(Layout.Rows, (group + 1) * GroupRows);
            float* sums = Squares + group * Layout.Columns;
            new Span<float>(sums + column, (int)(endColumn - column)).Clear();
            for (long row = group * GroupRows; row < endRow; row++)
            {
                for (long c = column; c < endColumn; c += Pieces.Length)
                {
                    int count = (int)Math.Min(Pieces.Length, endColumn - c);
                    AddSquares(Tensors.Gradients(row * Layout.Columns + c, count, room), sums + c, count, Tensors.Factor);
                }
            }
        }
    }

    private static void AddSquares(float* g, float* sums, int count, float factor)
    {
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
