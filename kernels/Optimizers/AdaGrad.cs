using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Optimizers;

/// <summary>AdaGrad, one element.</summary>
/// <remarks>
/// Source: Duchi, Hazan, Singer 2011, Figure 1 (diagonal); epsilon outside the root and learning-rate decay as in
/// PyTorch. LearningRate is lr / (1 + (t - 1) * lrDecay).
/// Traffic: reads p, g, s; writes p, s: 20 bytes in F32.
/// </remarks>
internal struct AdaGradRule : IUpdateRule
{
    public float LearningRate;
    public float Epsilon;
    public Decay Decay;

    public static int StateCount => 1;

    public readonly Element<T> Apply<T>(Element<T> e, T g)
        where T : struct, ILane<T>
    {
        g = Decay.Gradient(e.P, g);
        e.A = e.A + g * g;
        e.P = Decay.Parameter(e.P) - LearningRate * g / (T.Sqrt(e.A) + Epsilon);
        return e;
    }
}
