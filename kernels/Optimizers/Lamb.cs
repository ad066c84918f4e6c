using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.Optimizers;

/// <summary>LAMB's tensors and constants, and the mathematics of one element.</summary>
/// <remarks>
/// Source: You et al. 2020, arXiv:1904.00962, algorithm 2, phi the identity: u = m' / (sqrt(v') + epsilon) + decay p,
/// p = p - lr |p| / |u| u, norms taken segment by segment; the ratio is 1 where one of them is 0.
/// Shapes: segments one after the other, each from a multiple of 256 elements on, zeros between them; blocks of 256.
/// Traffic: reads p, g, m, v, writes m, v; then reads p, m, v, writes p: 40 bytes in F32, and 2 for the partial sums.
/// Needs: no shared memory.
/// Order: a lane sums 8 elements, a block its 32 lanes, a run its 256 blocks, a segment its runs: the same bits for
/// every launch shape.
/// Domain: squares are not scaled: norms are right while their squares are normal numbers. A zero mean gives a
/// zero direction whatever epsilon is.
/// Error: depth 7 in a lane, 31 in a block, at most 255 in a run, the number of runs less one in a segment.
/// </remarks>
internal struct LambTensors<TParam, TGrad>
    where TParam : struct, IStorage
    where TGrad : struct, IStorage
{
    public TParam P;
    public TGrad G;
    public ArrayView<float> M;
    public ArrayView<float> V;
    public ArrayView<StepControl> Control;
    public LambScalars Scalars;

    /// <summary>Elements; only the last block may have fewer than 256.</summary>
    public long Length;
}

/// <summary>LAMB's constants.</summary>
internal struct LambScalars
{
    public Moments Moments;
    public float GradientFactor;
    public float LearningRate;
    public float Epsilon;
    public float MeanScale; // 1 / (1 - beta1^t)
    public float RootScale; // 1 / sqrt(1 - beta2^t)
    public float Decay;     // in the direction
    public float L2;        // in the gradient

    public readonly float Direction(float p, float m, float v)
    {
        float adam = Utilities.Select(m == 0f, 0f, m * MeanScale / (XMath.Sqrt(v) * RootScale + Epsilon));
        return adam + Decay * p;
    }
}

/// <summary>First pass: moments, and the squares of parameters and direction, one lane of a block.</summary>
internal struct LambMoments<TParam, TGrad> : IBlockWork
    where TParam : struct, IStorage
    where TGrad : struct, IStorage
{
    private const int Lanes = LambBlocks.Lanes;

    public LambTensors<TParam, TGrad> T;

    /// <summary>Out: sums of squares of the parameters, [blocks * 32].</summary>
    public ArrayView<float> ParameterSquares;

    /// <summary>Out: sums of squares of the direction, [blocks * 32].</summary>
    public ArrayView<float> DirectionSquares;

    public static int LaneCount => Lanes;

    public readonly Quad Uniform(long block) => new()
    {
        X = T.Scalars.GradientFactor * T.Control[0].GradientFactor,
        Y = T.Control[0].Skip,
        Z = Utilities.Select((block + 1) * Update.BlockLength > T.Length, 1f, 0f),
    };

    public readonly void Item(long block, int lane, Quad uniform)
    {
        if (uniform.Y != 0f)
        {
            return;
        }

        long i = block * Update.BlockLength + lane;
        Quad sum = default;
        if (uniform.Z != 0f)
        {
            for (; i < T.Length; i += Lanes)
            {
                sum = Row(i, uniform.X, sum);
            }
        }
        else
        {
            sum = Row(i, uniform.X, sum);
            sum = Row(i + Lanes, uniform.X, sum);
            sum = Row(i + 2 * Lanes, uniform.X, sum);
            sum = Row(i + 3 * Lanes, uniform.X, sum);
            sum = Row(i + 4 * Lanes, uniform.X, sum);
            sum = Row(i + 5 * Lanes, uniform.X, sum);
            sum = Row(i + 6 * Lanes, uniform.X, sum);
            sum = Row(i + 7 * Lanes, uniform.X, sum);
        }

        ParameterSquares[block * Lanes + lane] = sum.X;
        DirectionSquares[block * Lanes + lane] = sum.Y;
    }

    private readonly Quad Row(long i, float factor, Quad sum)
    {
        float p = T.P.Decode(T.P.Read(i));
        float g = T.G.Decode(T.G.Read(i)) * factor;
        g = Utilities.Select(T.Scalars.L2 == 0f, g, g + T.Scalars.L2 * p);
        float m = T.Scalars.Moments.First(Lane.Of(T.M[i]), Lane.Of(g)).Value;
        float v = T.Scalars.Moments.Second(Lane.Of(T.V[i]), Lane.Of(g)).Value;
        T.M[i] = m;
        T.V[i] = v;
        float u = T.Scalars.Direction(p, m, v);
        return new Quad { X = sum.X + p * p, Y = sum.Y + u * u };
    }
}

/// <summary>A run of the table: consecutive entries that are summed by one item.</summary>
internal struct Run
{
    public int First;
    public int Count;
}

/// <summary>The sums of one block: its 32 lanes, one after the other.</summary>
internal struct LambBlocks : IItemWork
{
    /// <summary>Lanes of a block in the first pass; each has 8 of its elements.</summary>
    internal const int Lanes = 32;

    public ArrayView<float> ParameterSquares;
    public ArrayView<float> DirectionSquares;

    /// <summary>Out: [blocks].</summary>
    public ArrayView<float> ParameterBlocks;

    /// <summary>Out: [blocks].</summary>
    public ArrayView<float> DirectionBlocks;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        ParameterBlocks[i] = Sum(ParameterSquares, i * Lanes, Lanes);
        DirectionBlocks[i] = Sum(DirectionSquares, i * Lanes, Lanes);
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

/// <summary>The sums of one run of at most 256 blocks of a segment.</summary>
internal struct LambRuns : IItemWork
{
    public ArrayView<float> ParameterBlocks;
    public ArrayView<float> DirectionBlocks;
    public ArrayView<Run> Runs;

    /// <summary>Out: [runs].</summary>
    public ArrayView<float> ParameterRuns;

    /// <summary>Out: [runs].</summary>
    public ArrayView<float> DirectionRuns;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        Run run = Runs[i];
        ParameterRuns[i] = LambBlocks.Sum(ParameterBlocks, run.First, run.Count);
        DirectionRuns[i] = LambBlocks.Sum(DirectionBlocks, run.First, run.Count);
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
        float p = XMath.Sqrt(LambBlocks.Sum(ParameterRuns, segment.First, segment.Count));
        float u = XMath.Sqrt(LambBlocks.Sum(DirectionRuns, segment.First, segment.Count));
        Rates[i] = LearningRate * Utilities.Select((p == 0f) | (u == 0f), 1f, p / u);
    }
}

/// <summary>Second pass: p -= rate * u, one element of a block.</summary>
internal struct LambApply<TParam, TGrad> : IBlockWork
    where TParam : struct, IStorage
    where TGrad : struct, IStorage
{
    public LambTensors<TParam, TGrad> T;
    public ArrayView<float> Rates;

    /// <summary>The segment of each block.</summary>
    public ArrayView<int> SegmentOf;

    public static int LaneCount => Update.BlockLength;

    public readonly Quad Uniform(long block) => new()
    {
        X = Rates[SegmentOf[block]],
        Y = T.Control[0].Skip,
        Z = Utilities.Select((block + 1) * Update.BlockLength > T.Length, 1f, 0f),
    };

    public readonly void Item(long block, int lane, Quad uniform)
    {
        if (uniform.Y != 0f)
        {
            return;
        }

        long i = block * Update.BlockLength + lane;
        if (uniform.Z != 0f)
        {
            if (i < T.Length)
            {
                Element(i, uniform.X);
            }
        }
        else
        {
            Element(i, uniform.X);
        }
    }

    private readonly void Element(long i, float rate)
    {
        float p = T.P.Decode(T.P.Read(i));
        p -= rate * T.Scalars.Direction(p, T.M[i], T.V[i]);
        T.P.Write(i, T.P.Encode(p, T.P.Random(i >> 2).Lane((int)(i & 3))));
    }
}
