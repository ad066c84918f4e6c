using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Optimizers;

/// <summary>AdaBelief, one element.</summary>
/// <remarks>
/// Source: Zhuang et al. 2020, arXiv:2010.07468, Algorithm 2, in the form of the authors' adabelief-pytorch 0.2.1:
/// epsilon is stored in the belief and added to the root once more. The three forms of a step are one formula with
/// other constants: plain (RootScale = 1 / sqrt(1 - beta2^t)), rectified (RootScale = 1, the rectification in
/// StepSize) and not adaptive, in the first rectified steps, which follow the mean or do not move.
/// Traffic: reads p, g, m, s; writes p, m, s: 28 bytes in F32.
/// State: A mean of the gradients, B belief.
/// </remarks>
internal struct AdaBeliefRule : IUpdateRule
{
    public AdaBeliefScalars Scalars;

    public static int StateCount => 2;

    public readonly Element<T> Apply<T>(Element<T> e, T g)
        where T : struct, ILane<T>
    {
        g = Scalars.Decay.Gradient(e.P, g);
        e.A = Scalars.Moments.First(e.A, g);
        e.B = Scalars.Belief(e.B, g, e.A);
        e.P = Scalars.Parameter(e.P, e.A, e.B);
        return e;
    }
}

/// <summary>AdaBelief with the running maximum of the belief, one element: 36 bytes in F32.</summary>
/// <remarks>State: A mean, B belief, C maximum. A rectified step keeps the maximum but does not use it.</remarks>
internal struct AdaBeliefAmsGradRule : IUpdateRule
{
    public AdaBeliefScalars Scalars;
    public int UseMaximum;

    public static int StateCount => 3;

    public readonly Element<T> Apply<T>(Element<T> e, T g)
        where T : struct, ILane<T>
    {
        g = Scalars.Decay.Gradient(e.P, g);
        e.A = Scalars.Moments.First(e.A, g);
        e.B = Scalars.Belief(e.B, g, e.A);
        e.C = T.IfGreater(e.B, e.C, e.B, e.C);
        e.P = Scalars.Parameter(e.P, e.A, T.If(UseMaximum != 0, e.C, e.B));
        return e;
    }
}

/// <summary>What both forms of AdaBelief share.</summary>
internal struct AdaBeliefScalars
{
    public Moments Moments;
    public float Epsilon;
    public float StepSize;
    public float RootScale;
    public int Adaptive;
    public int Moves; // 0: the parameter is left alone but for its decay, whatever the mean is
    public Decay Decay;

    /// <summary>The renewed belief: the deviation is from the mean that already holds g; epsilon persists.</summary>
    public readonly T Belief<T>(T s, T g, T mean)
        where T : struct, ILane<T> => Moments.Second(s, g - mean) + Epsilon;

    public readonly T Parameter<T>(T p, T mean, T belief)
        where T : struct, ILane<T>
    {
        T denominator = T.Sqrt(belief) * RootScale + Epsilon;
        // The mean is chosen, not its product, of which PoCL makes a branch and no vectors: three times the time.
        T numerator = StepSize * T.If(Moves != 0, mean, T.Of(0f));
        return Decay.Parameter(p) - numerator / T.If(Adaptive != 0, denominator, T.Of(1f));
    }
}
