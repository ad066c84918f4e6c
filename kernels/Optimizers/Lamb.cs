using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.Optimizers;

/// <summary>LAMB's constants, and the mathematics of one element.</summary>
/// <remarks>
/// Source: You et al. 2020, arXiv:1904.00962, algorithm 2, phi the identity: u = m' / (sqrt(v') + epsilon) + decay p,
/// p = p - lr |p| / |u| u, norms taken segment by segment; the ratio is 1 where one of them is 0.
/// Shapes: segments one after the other, each from a multiple of 256 elements on, zeros between them; pieces of 256.
/// Traffic: reads p, g, m, v, writes m, v; then reads p, m, v, writes p: 40 bytes in F32, and 2 for the partial sums.
/// Needs: no shared memory.
/// Order: a lane sums 8 elements, a tree the 32 lanes of a piece, a run its 256 pieces, a segment its runs: the same bits
/// for every launch shape.
/// Domain: squares are not scaled: norms are right while their squares are normal numbers. A zero mean gives a
/// zero direction whatever epsilon is.
/// Error: depth 7 in a lane, 5 in a piece, at most 255 in a run, the number of runs less one in a segment.
/// </remarks>
internal struct LambScalars
{
    public Moments Moments;
    public float LearningRate;
    public float Epsilon;
    public float MeanScale; // 1 / (1 - beta1^t)
    public float RootScale; // 1 / sqrt(1 - beta2^t)
    public float Decay;     // in the direction
    public float L2;        // in the gradient

    /// <summary>The new moments, A and B.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly Element<T> Next<T>(Element<T> e, T g)
        where T : struct, ILane<T>
    {
        g = T.If(L2 == 0f, g, g + L2 * e.P);
        e.A = Moments.First(e.A, g);
        e.B = Moments.Second(e.B, g);
        return e;
    }

    /// <summary>u, from the new moments.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly T Direction<T>(Element<T> e)
        where T : struct, ILane<T>
    {
        T zero = T.Of(0f);
        T adam = e.A * MeanScale / (T.Sqrt(e.B) * RootScale + Epsilon);
        // A mean of 0 stays 0, and a NaN goes through.
        adam = T.IfGreater(e.A, zero, adam, T.IfLess(e.A, zero, adam, e.A));
        return adam + Decay * e.P;
    }
}

/// <summary>First pass: moments, and the squares of parameters and direction.</summary>
internal struct LambMoments<TParam, TGrad> : IPiecePass
    where TParam : struct, IStorage
    where TGrad : struct, IStorage
{
    public UpdateTensors<TParam, TGrad> T;
    public ArrayView<StepControl> Control;
    public LambScalars Scalars;

    /// <summary>Out: sums of squares of the parameters, [pieces * 32].</summary>
    public ArrayView<float> ParameterSquares;

    /// <summary>Out: sums of squares of the direction, [pieces * 32].</summary>
    public ArrayView<float> DirectionSquares;

    public readonly Quad Uniform(long first)
    {
        StepControl control = Control[0];
        return new Quad { X = T.GradientFactor * control.GradientFactor, Y = control.Skip };
    }

    public readonly Quad Element(long i, Quad uniform, Quad sum)
    {
        Element<Lane> e = default;
        e.P = Lane.Of(T.P.Decode(T.P.Read(i)));
        e.A = Lane.Of(T.A[i]);
        e.B = Lane.Of(T.B[i]);
        e = Scalars.Next(e, Lane.Of(T.G.Decode(T.G.Read(i)) * uniform.X));
        T.A[i] = e.A.Value;
        T.B[i] = e.B.Value;
        return PieceSum.Add(sum, e.P.Value, Scalars.Direction(e).Value, uniform.Y);
    }

    public readonly void Store(long lane, Quad sum)
    {
        ParameterSquares[lane] = sum.X;
        DirectionSquares[lane] = sum.Y;
    }
}

/// <summary>A run of the table: consecutive entries that are summed by one item.</summary>
internal struct Run
{
    public int First;
    public int Count;
}

/// <summary>The sums of one run of at most 256 pieces of a segment.</summary>
internal struct LambRuns : IItemWork
{
    public ArrayView<float> ParameterPieces;
    public ArrayView<float> DirectionPieces;
    public ArrayView<Run> Runs;

    /// <summary>Out: [runs].</summary>
    public ArrayView<float> ParameterRuns;

    /// <summary>Out: [runs].</summary>
    public ArrayView<float> DirectionRuns;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        Run run = Runs[i];
        ParameterRuns[i] = LambRuns.Sum(ParameterPieces, run.First, run.Count);
        DirectionRuns[i] = LambRuns.Sum(DirectionPieces, run.First, run.Count);
    }

    internal static float Sum(ArrayView<float> values, long first, int count)
    {
        float sum = 0f;
        for (int j = 0; j < count; j++)
        {
            sum += values[first + j];
        }

        return sum;
    }
}

/// <summary>The rate of one segment: learning rate times trust ratio.</summary>
internal struct LambRates : IItemWork
{
    public ArrayView<float> ParameterRuns;
    public ArrayView<float> DirectionRuns;

    /// <summary>The runs of each segment.</summary>
    public ArrayView<Run> Segments;
    public float LearningRate;

    /// <summary>Out: [segments].</summary>
    public ArrayView<float> Rates;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        Run segment = Segments[i];
        float p = XMath.Sqrt(LambRuns.Sum(ParameterRuns, segment.First, segment.Count));
        float u = XMath.Sqrt(LambRuns.Sum(DirectionRuns, segment.First, segment.Count));
        Rates[i] = LearningRate * Utilities.Select((p == 0f) | (u == 0f), 1f, p / u);
    }
}

/// <summary>Second pass: p -= rate * u.</summary>
internal struct LambApply<TParam, TGrad, TExtras> : IPieceUpdate
    where TParam : struct, IStorage
    where TGrad : struct, IStorage
    where TExtras : struct, IExtras
{
    public UpdateTensors<TParam, TGrad> T;
    public TExtras Extras;
    public ArrayView<StepControl> Control;
    public LambScalars Scalars;
    public ArrayView<float> Rates;

    /// <summary>The segment of each piece.</summary>
    public ArrayView<int> SegmentOf;

    public readonly Quad Uniform(long first)
    {
        StepControl control = Control[0];
        return new Quad { X = Rates[SegmentOf[first / Pieces.Length]], Y = control.Skip };
    }

    public readonly void Element(long i, Quad uniform)
    {
        Element<Lane> e = default;
        e.P = Lane.Of(T.P.Decode(T.P.Read(i)));
        e.A = Lane.Of(T.A[i]);
        e.B = Lane.Of(T.B[i]);
        float p = (e.P - uniform.X * Scalars.Direction(e)).Value;
        T.P.Write(i, T.P.Encode(p, T.P.Random(i >> 2).Lane((int)(i & 3))));
        Extras.Output(i, p);
    }
}
