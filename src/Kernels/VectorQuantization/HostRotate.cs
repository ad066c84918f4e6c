using System.Numerics;
using System.Runtime.CompilerServices;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.VectorQuantization;
using Kernels.Host;
using Kernels.Launching;

namespace Kernels.VectorQuantization;

/// <summary>
/// The rotation trick on ILGPU's CPU accelerator, by SIMD along the row; a unit is a row. Sums as in
/// <see cref="HostQuantize"/>.
/// </summary>
internal unsafe struct HostRotate : IHostWork
{
    [ThreadStatic]
    private static float[]? s_room;

    public HostCodes Codes;
    public HostStored X;
    public HostStored Grad;
    public HostStored Output;
    public HostStored GradX;

    public readonly void Run(long begin, long end)
    {
        int d = Codes.Dimension;
        if (s_room is null || s_room.Length < 4 * d)
        {
            s_room = GC.AllocateUninitializedArray<float>(4 * d);
        }

        fixed (float* room = s_room)
        {
            for (long row = begin; row < end; row++)
            {
                Evaluate(row * d, Codes.Place(row) * d, d, room);
            }
        }
    }

    private readonly void Evaluate(long at, long code, int d, float* room)
    {
        if (code < 0)
        {
            if (GradX.IsGiven)
            {
                GradX.Clear(at, d);
            }

            if (Output.IsGiven)
            {
                Output.Clear(at, d);
            }

            return;
        }

        float* e = Codes.Codes.Values(code, d, room);
        if (GradX.IsGiven)
        {
            float* to = GradX.Place(at, room + (3L * d));
            Gradient(X.Values(at, d, room + d), e, Grad.Values(at, d, room + (2L * d)), to, d);
            GradX.Store(to, at, d);
        }

        // Last: the output may lie in the place of the rows.
        if (Output.IsGiven)
        {
            float* to = Output.Place(at, e);
            if (to != e)
            {
                new Span<float>(e, d).CopyTo(new Span<float>(to, d));
            }

            Output.Store(to, at, d);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Gradient(float* z, float* e, float* g, float* to, int d)
    {
        RotateNorms norms = RotateNorms.Of(Square(z, d), Square(e, d));
        if (norms.RootZ == 0f || norms.RootE == 0f)
        {
            for (int k = 0; k < d; k++)
            {
                to[k] = norms.RootZ == 0f ? g[k] : 0f;
            }

            return;
        }

        int width = Vector<float>.Count;
        Vector<float> squares = Vector<float>.Zero;
        Vector<float> alongs = Vector<float>.Zero;
        Vector<float> owns = Vector<float>.Zero;
        int i = 0;
        for (; i + width <= d; i += width)
        {
            Vector<float> q = norms.Q(new HostLane(Vector.Load(e + i))).Value;
            Vector<float> sum = norms.U(new HostLane(Vector.Load(z + i))).Value + q;
            Vector<float> own = Vector.Load(g + i);
            squares += sum * sum;
            alongs += sum * own;
            owns += q * own;
        }

        float square = Vector.Sum(squares);
        float along = Vector.Sum(alongs);
        float twice = Vector.Sum(owns);
        for (; i < d; i++)
        {
            float q = norms.Q(Lane.Of(e[i])).Value;
            float sum = norms.U(Lane.Of(z[i])).Value + q;
            square += sum * sum;
            along += sum * g[i];
            twice += q * g[i];
        }

        float turn = RotateNorms.Turn(along, square);
        twice *= 2f;
        for (i = 0; i + width <= d; i += width)
        {
            norms.Gradient(
                new HostLane(Vector.Load(z + i)), new HostLane(Vector.Load(e + i)), new HostLane(Vector.Load(g + i)), turn,
                twice).Value.Store(to + i);
        }

        for (; i < d; i++)
        {
            to[i] = norms.Gradient(z[i], e[i], g[i], turn, twice);
        }
    }

    private static ScaledSum Square(float* values, int d)
    {
        float sum = Squares(values, d, 1f);
        if (SumOfSquares.IsPlain(sum))
        {
            return ScaledSum.Of(sum, 1f);
        }

        uint largest = 0;
        for (int i = 0; i < d; i++)
        {
            largest = Finiteness.Larger(largest, values[i]);
        }

        float size = ScaledSum.PowerOf(largest);
        return ScaledSum.Of(largest == 0 ? 0f : Squares(values, d, ScaledSum.InverseOf(size)), size);
    }

    private static float Squares(float* values, int d, float factor)
    {
        int width = Vector<float>.Count;
        Vector<float> lanes = Vector<float>.Zero;
        int i = 0;
        for (; i + width <= d; i += width)
        {
            Vector<float> value = Vector.Load(values + i) * factor;
            lanes += value * value;
        }

        float sum = Vector.Sum(lanes);
        for (; i < d; i++)
        {
            float value = values[i] * factor;
            sum += value * value;
        }

        return sum;
    }
}
