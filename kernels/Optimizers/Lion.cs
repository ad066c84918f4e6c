using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Optimizers;

/// <summary>Lion, one element.</summary>
/// <remarks>
/// Source: Chen et al. 2023, arXiv:2302.06675, Algorithm 2. sign(0) = 0; NaN stays NaN.
/// Traffic: reads p, g, m; writes p, m: 20 bytes in F32.
/// </remarks>
internal struct LionRule : IUpdateRule
{
    public float LearningRate;
    public Moments Moments; // beta1 for the direction, beta2 for the average
    public Decay Decay;

    public static int StateCount => 1;

    public readonly Element<T> Apply<T>(Element<T> e, T g)
        where T : struct, ILane<T>
    {
        g = Decay.Gradient(e.P, g);
        T zero = T.Of(0f);
        T c = Moments.First(e.A, g);
        T sign = T.IfGreater(c, zero, T.Of(1f), T.IfLess(c, zero, T.Of(-1f), c));
        e.P = Decay.Parameter(e.P) - LearningRate * sign;
        e.A = Moments.Beta2 * e.A + Moments.OneMinusBeta2 * g;
        return e;
    }
}
