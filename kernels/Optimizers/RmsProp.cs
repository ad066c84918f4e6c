using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Optimizers;

/// <summary>RMSProp, one element.</summary>
/// <remarks>
/// Source: Hinton 2012, lecture 6e; epsilon outside the root as in PyTorch.
/// Traffic: reads p, g, v; writes p, v: 20 bytes in F32.
/// </remarks>
internal struct RmsPropRule : IUpdateRule
{
    public RmsPropScalars Scalars;

    public static int StateCount => 1;

    public readonly Element<T> Apply<T>(Element<T> e, T g)
        where T : struct, ILane<T>
    {
        g = Scalars.Decay.Gradient(e.P, g);
        e.A = Scalars.Square(e.A, g);
        e.P = Scalars.Decay.Parameter(e.P) - Scalars.LearningRate * (g / (T.Sqrt(e.A) + Scalars.Epsilon));
        return e;
    }
}

/// <summary>RMSProp with momentum, one element: 28 bytes in F32.</summary>
/// <remarks>State: A square average, B momentum buffer.</remarks>
internal struct RmsPropMomentumRule : IUpdateRule
{
    public RmsPropScalars Scalars;

    public static int StateCount => 2;

    public readonly Element<T> Apply<T>(Element<T> e, T g)
        where T : struct, ILane<T>
    {
        g = Scalars.Decay.Gradient(e.P, g);
        e.A = Scalars.Square(e.A, g);
        e.B = Scalars.Momentum * e.B + g / (T.Sqrt(e.A) + Scalars.Epsilon);
        e.P = Scalars.Decay.Parameter(e.P) - Scalars.LearningRate * e.B;
        return e;
    }
}

/// <summary>Centered RMSProp, one element: 28 bytes in F32.</summary>
/// <remarks>Source: Graves 2013, arXiv:1308.0850, equations 38 to 40. State: A square average, B gradient average.</remarks>
internal struct RmsPropCenteredRule : IUpdateRule
{
    public RmsPropScalars Scalars;

    public static int StateCount => 2;

    public readonly Element<T> Apply<T>(Element<T> e, T g)
        where T : struct, ILane<T>
    {
        g = Scalars.Decay.Gradient(e.P, g);
        e.A = Scalars.Square(e.A, g);
        e.B = Scalars.Mean(e.B, g);
        T root = RmsPropScalars.CenteredRoot(e.A, e.B);
        e.P = Scalars.Decay.Parameter(e.P) - Scalars.LearningRate * (g / (root + Scalars.Epsilon));
        return e;
    }
}

/// <summary>Centered RMSProp with momentum, one element: 36 bytes in F32.</summary>
/// <remarks>State: A square average, B momentum buffer, C gradient average.</remarks>
internal struct RmsPropCenteredMomentumRule : IUpdateRule
{
    public RmsPropScalars Scalars;

    public static int StateCount => 3;

    public readonly Element<T> Apply<T>(Element<T> e, T g)
        where T : struct, ILane<T>
    {
        g = Scalars.Decay.Gradient(e.P, g);
        e.A = Scalars.Square(e.A, g);
        e.C = Scalars.Mean(e.C, g);
        T root = RmsPropScalars.CenteredRoot(e.A, e.C);
        e.B = Scalars.Momentum * e.B + g / (root + Scalars.Epsilon);
        e.P = Scalars.Decay.Parameter(e.P) - Scalars.LearningRate * e.B;
        return e;
    }
}

/// <summary>What the four forms of RMSProp share.</summary>
internal struct RmsPropScalars
{
    public float LearningRate;
    public float Alpha;
    public float OneMinusAlpha;
    public float Momentum;
    public float Epsilon;
    public Decay Decay;

    public readonly T Square<T>(T v, T g)
        where T : struct, ILane<T> => Alpha * v + OneMinusAlpha * g * g;

    public readonly T Mean<T>(T a, T g)
        where T : struct, ILane<T> => Alpha * a + OneMinusAlpha * g;

    /// <summary>sqrt(v - a^2), 0 where rounding makes the difference negative; NaN stays NaN.</summary>
    public static T CenteredRoot<T>(T v, T a)
        where T : struct, ILane<T>
    {
        T variance = v - a * a;
        return T.Sqrt(T.IfLess(variance, T.Of(0f), T.Of(0f), variance));
    }
}
