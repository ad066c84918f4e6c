using System.Numerics;
using System.Runtime.CompilerServices;
using Kernels.DeviceCode.Reductions;

namespace Kernels.Host;

/// <summary>Where the 256 elements of a piece are; behind a short piece's end they are zeros.</summary>
internal unsafe struct HostPiece
{
    internal float* P;
    internal float* G;
    internal float* A;
    internal float* B;

    /// <summary>What is the same for the whole piece.</summary>
    internal float Scale;
    internal float Rate;

    /// <summary>Its first element, and how many it has.</summary>
    internal long First;
    internal int Count;

    /// <summary>Where its sums go.</summary>
    internal long Index;
}

/// <summary>A pass over pieces on the host, several elements at once.</summary>
internal unsafe interface IHostPass
{
    /// <summary>Finds the elements of a piece.</summary>
    /// <param name="piece">Which.</param>
    /// <param name="room">4 * 256 floats.</param>
    HostPiece Open(long piece, float* room);

    /// <summary>Does the elements from <paramref name="k"/> on and adds their squares.</summary>
    void Element(in HostPiece at, int k, ref HostLane x, ref HostLane y);

    /// <summary>Stores what is not yet in its place.</summary>
    void Close(in HostPiece at, long piece);
}

/// <summary>
/// The walk over pieces on ILGPU's CPU accelerator: the same pieces, lanes and order as on a device, several lanes in one
/// SIMD register.
/// </summary>
internal static unsafe class HostPieces
{
    // About 10 ns for each 32 elements; a thread is woken for a thousand times that.
    internal const long Grain = 128;

    /// <summary>Does a pass and writes the sums of each piece; y, or both, may be null.</summary>
    internal static void Run<TPass>(TPass pass, long pieces, float* x, float* y, int threads)
        where TPass : struct, IHostPass =>
        HostPool.Run(new Work<TPass> { Pass = pass, X = x, Y = y }, pieces, Grain, threads);

    /// <summary>The values, or the room with the values and zeros up to 256.</summary>
    internal static float* Pad(float* values, int count, float* room)
    {
        if (count == Pieces.Length)
        {
            return values;
        }

        new Span<float>(values, count).CopyTo(new Span<float>(room, count));
        new Span<float>(room + count, Pieces.Length - count).Clear();
        return room;
    }

    /// <summary>Stores values that <see cref="Pad"/> moved.</summary>
    internal static void Unpad(float* room, float* values, int count)
    {
        if (room != values)
        {
            new Span<float>(room, count).CopyTo(new Span<float>(values, count));
        }
    }

    private struct Work<TPass> : IHostWork
        where TPass : struct, IHostPass
    {
        internal TPass Pass;
        internal float* X;
        internal float* Y;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long begin, long end)
        {
            float* room = stackalloc float[4 * Pieces.Length];
            float* lanesX = stackalloc float[Pieces.Lanes];
            float* lanesY = stackalloc float[Pieces.Lanes];
            TPass pass = Pass; // a local, which stores through pointers cannot change
            for (long piece = begin; piece < end; piece++)
            {
                HostPiece at = pass.Open(piece, room);
                for (int lane = 0; lane < Pieces.Lanes; lane += Vector<float>.Count)
                {
                    HostLane x = HostLane.Of(0f);
                    HostLane y = HostLane.Of(0f);
                    for (int k = lane; k < Pieces.Length; k += Pieces.Lanes)
                    {
                        pass.Element(at, k, ref x, ref y);
                    }

                    x.Value.Store(lanesX + lane);
                    y.Value.Store(lanesY + lane);
                }

                pass.Close(at, piece);
                if (X is not null)
                {
                    X[at.Index] = OfLanes(lanesX);
                }

                if (Y is not null)
                {
                    Y[at.Index] = OfLanes(lanesY);
                }
            }
        }

        // The tree of PieceSum.
        private static float OfLanes(float* lanes)
        {
            int half = Pieces.Lanes / 2;
            for (; half >= Vector<float>.Count; half /= 2)
            {
                for (int l = 0; l < half; l += Vector<float>.Count)
                {
                    (Vector.Load(lanes + l) + Vector.Load(lanes + l + half)).Store(lanes + l);
                }
            }

            for (; half > 0; half /= 2)
            {
                for (int l = 0; l < half; l++)
                {
                    lanes[l] += lanes[l + half];
                }
            }

            return lanes[0];
        }
    }
}
