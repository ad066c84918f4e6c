using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Optimizers;

/// <summary>diffGrad, one element.</summary>
/// <remarks>
/// Source: Dubey et al. 2019, arXiv:1909.11015, equations 8 to 12, in the form of the authors' corrected diffGrad_v2:
/// epsilon is added to the root before its bias correction, and the previous gradient is kept by value (with coupled
/// decay in it), never as an alias of the gradient's buffer.
/// Traffic: reads p, g, m, v, h; writes p, m, v, h: 36 bytes in F32.
/// State: A mean, B mean square, C previous gradient h.
/// </remarks>
internal struct DiffGradRule : IUpdateRule
{
    public Moments Moments;
    public float Epsilon;
    public float StepSize; // lr * sqrt(1 - beta2^t) / (1 - beta1^t)
    public Decay Decay;

    public static int StateCount => 3;

    public readonly Element<T> Apply<T>(Element<T> e, T g)
        where T : struct, ILane<T>
    {
        g = Decay.Gradient(e.P, g);
        e.A = Moments.First(e.A, g);
        e.B = Moments.Second(e.B, g);
        // sigmoid(|h - g|) = 1 / (1 + exp(-|h - g|)), folded into the one division.
        T slowdown = Exponential.OnePlusFading(T.Abs(e.C - g));
        e.C = g;
        e.P = Decay.Parameter(e.P) - StepSize * e.A / (slowdown * (T.Sqrt(e.B) + Epsilon));
        return e;
    }
}
