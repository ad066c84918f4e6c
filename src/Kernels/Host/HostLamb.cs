using System.Numerics;
using System.Runtime.CompilerServices;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Reductions;

namespace Kernels.Host;

/// <summary>LAMB's first pass on the host: moments, and the squares of parameters and direction.</summary>
internal unsafe struct HostLambMoments : IHostPass
{
    internal HostTensors Tensors;
    internal float* M;
    internal float* V;
    internal LambScalars Scalars;
    internal long Length;

    public readonly HostPiece Open(long piece, float* room)
    {
        long first = piece * Pieces.Length;
        int count = (int)Math.Min(Pieces.Length, Length - first);
        float* rest = room + Pieces.Length;
        return new HostPiece
        {
            P = HostPieces.Pad(Tensors.Parameters(first, count, room), count, room),
            G = HostPieces.Pad(Tensors.Gradients(first, count, rest), count, rest),
            A = HostPieces.Pad(M + first, count, rest + Pieces.Length),
            B = HostPieces.Pad(V + first, count, rest + 2 * Pieces.Length),
            First = first,
            Count = count,
            Index = piece,
        };
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Element(in HostPiece at, int k, ref HostLane x, ref HostLane y)
    {
        Element<HostLane> e = default;
        e.P = new HostLane(Vector.Load(at.P + k));
        e.A = new HostLane(Vector.Load(at.A + k));
        e.B = new HostLane(Vector.Load(at.B + k));
        e = Scalars.Next(e, new HostLane(Vector.Load(at.G + k) * Tensors.Factor));
        e.A.Value.Store(at.A + k);
        e.B.Value.Store(at.B + k);
        HostLane u = Scalars.Direction(e);
        x += e.P * e.P;
        y += u * u;
    }

    public readonly void Close(in HostPiece at, long piece)
    {
        HostPieces.Unpad(at.A, M + at.First, at.Count);
        HostPieces.Unpad(at.B, V + at.First, at.Count);
    }
}

/// <summary>LAMB's second pass on the host.</summary>
internal unsafe struct HostLambApply : IHostPass
{
    internal HostTensors Tensors;
    internal float* M;
    internal float* V;
    internal LambScalars Scalars;
    internal float* Rates;
    internal int* SegmentOf;
    internal long Length;

    public readonly HostPiece Open(long piece, float* room)
    {
        long first = piece * Pieces.Length;
        int count = (int)Math.Min(Pieces.Length, Length - first);
        float* rest = room + Pieces.Length;
        return new HostPiece
        {
            P = HostPieces.Pad(Tensors.Parameters(first, count, room), count, room),
            A = HostPieces.Pad(M + first, count, rest),
            B = HostPieces.Pad(V + first, count, rest + Pieces.Length),
            Scale = Rates[SegmentOf[piece]],
            First = first,
            Count = count,
        };
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Element(in HostPiece at, int k, ref HostLane x, ref HostLane y)
    {
        Element<HostLane> e = default;
        e.P = new HostLane(Vector.Load(at.P + k));
        e.A = new HostLane(Vector.Load(at.A + k));
        e.B = new HostLane(Vector.Load(at.B + k));
        (e.P - at.Scale * Scalars.Direction(e)).Value.Store(at.P + k);
    }

    public readonly void Close(in HostPiece at, long piece) => Tensors.Write(at.P, at.First, at.Count);
}
