using System.Numerics;
using System.Runtime.CompilerServices;
using Kernels.DeviceCode.VectorQuantization;
using Kernels.Host;
using Kernels.Launching;

namespace Kernels.VectorQuantization;

/// <summary>The codes of rows in the host's memory; rows of all heads are counted through.</summary>
internal unsafe struct HostCodes
{
    public HostStored Codes;
    public int* Index;
    public int CodeCount;
    public int Dimension;
    public int Heads;

    /// <summary>Which code of all heads a row has; -1 for none, or an index out of range.</summary>
    internal readonly long Place(long row)
    {
        int code = Index[row];
        return (uint)code < (uint)CodeCount ? (row % Heads * CodeCount) + code : -1;
    }
}

/// <summary>
/// Quantizing with known codes on ILGPU's CPU accelerator, by SIMD along the row; a unit is a row. The i-th lane has
/// elements i, i + width, and so on, then come the lanes in order and the elements that fill no register.
/// </summary>
internal unsafe struct HostQuantize : IHostWork
{
    private const int Block = 1024;

    public HostCodes Codes;
    public HostStored X;
    public HostStored Grad;
    public HostStored Output;
    public HostStored GradX;
    public float* Sums;
    public int* Used;

    /// <summary>2 beta / d.</summary>
    public float Slope;

    /// <summary>Rows worth a thread.</summary>
    internal static long Grain(int dimension) => Math.Max(1, 32_768 / dimension);

    /// <summary>The histogram, where it is wanted, and the number of rows that have a code.</summary>
    internal static void Count(HostCodes codes, long rows, int* counts, int* used)
    {
        *used = 0;
        for (long row = 0; row < rows; row++)
        {
            long place = codes.Place(row);
            if (place >= 0)
            {
                (*used)++;
                if (counts is not null)
                {
                    counts[place]++;
                }
            }
        }
    }

    [SkipLocalsInit]
    public readonly void Run(long begin, long end)
    {
        float* room = stackalloc float[4 * Block];
        float slope = GradX.IsGiven ? Slope / *Used : 0f;
        int d = Codes.Dimension;
        for (long row = begin; row < end; row++)
        {
            long place = Codes.Place(row);
            float sum = 0f;
            for (int first = 0; first < d; first += Block)
            {
                int count = Math.Min(Block, d - first);
                long at = (row * d) + first;
                if (place < 0)
                {
                    Zero(at, count);
                    continue;
                }

                sum += Piece(at, (place * d) + first, count, slope, room);
            }

            if (Sums is not null)
            {
                Sums[row] = sum;
            }
        }
    }

    private readonly void Zero(long at, int count)
    {
        if (GradX.IsGiven)
        {
            GradX.Clear(at, count);
        }

        if (Output.IsGiven)
        {
            Output.Clear(at, count);
        }
    }

    /// <summary>Does a piece of a row, and returns the sum of its squares.</summary>
    private readonly float Piece(long at, long code, int count, float slope, float* room)
    {
        float* z = X.Values(at, count, room);
        float* e = Codes.Codes.Values(code, count, room + Block);
        float sum = Sums is not null ? Squares(z, e, count) : 0f;
        if (GradX.IsGiven)
        {
            float* to = GradX.Place(at, room + (3 * Block));
            if (Grad.IsGiven)
            {
                Gradient(z, e, Grad.Values(at, count, room + (2 * Block)), to, count, slope);
            }
            else
            {
                Gradient(z, e, null, to, count, slope);
            }

            GradX.Store(to, at, count);
        }

        // Last: the output may lie in the place of the rows.
        if (Output.IsGiven)
        {
            float* to = Output.Place(at, e);
            if (to != e)
            {
                new Span<float>(e, count).CopyTo(new Span<float>(to, count));
            }

            Output.Store(to, at, count);
        }

        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Squares(float* z, float* e, int count)
    {
        int width = Vector<float>.Count;
        Vector<float> lanes = Vector<float>.Zero;
        int i = 0;
        for (; i + width <= count; i += width)
        {
            Vector<float> difference = Vector.Load(z + i) - Vector.Load(e + i);
            lanes += difference * difference;
        }

        float sum = Vector.Sum(lanes);
        for (; i < count; i++)
        {
            float difference = z[i] - e[i];
            sum += difference * difference;
        }

        return sum;
    }

    /// <param name="z">The row.</param>
    /// <param name="e">Its code.</param>
    /// <param name="g">The incoming gradient; null: none.</param>
    /// <param name="to">The outgoing gradient.</param>
    /// <param name="count">Elements.</param>
    /// <param name="slope">2 beta / (m d).</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Gradient(float* z, float* e, float* g, float* to, int count, float slope)
    {
        int width = Vector<float>.Count;
        HostLane slopes = HostLane.Of(slope);
        int i = 0;
        for (; i + width <= count; i += width)
        {
            HostLane own = g is not null ? new HostLane(Vector.Load(g + i)) : HostLane.Of(0f);
            QuantizeKernel.Gradient(
                new HostLane(Vector.Load(z + i)), new HostLane(Vector.Load(e + i)), own, slopes).Value.Store(to + i);
        }

        for (; i < count; i++)
        {
            float own = g is not null ? g[i] : 0f;
            to[i] = own + (slope * (z[i] - e[i]));
        }
    }
}
