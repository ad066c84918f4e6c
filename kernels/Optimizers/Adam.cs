using System.Runtime.CompilerServices;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Optimizers;

/// <summary>Adam and AdamW, one element.</summary>
/// <remarks>
/// Source: Kingma, Ba 2014, arXiv:1412.6980, Algorithm 1; Loshchilov, Hutter 2017, arXiv:1711.05101, Algorithm 2.
/// Epsilon is added to the corrected root, as in the paper and in PyTorch.
/// Traffic: reads p, g, m, v; writes p, m, v: 28 bytes in F32.
/// </remarks>
internal struct AdamRule : IUpdateRule
{
    public Moments Moments;
    public float Epsilon;
    public float StepSize;   // lr / (1 - beta1^t)
    public float RootScale;  // 1 / sqrt(1 - beta2^t)
    public Decay Decay;

    public static int StateCount => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly Element<T> Apply<T>(Element<T> e, T g)
        where T : struct, ILane<T>
    {
        g = Decay.Gradient(e.P, g);
        e.A = Moments.First(e.A, g);
        e.B = Moments.Second(e.B, g);
        T denominator = T.Sqrt(e.B) * RootScale + Epsilon;
        e.P = Decay.Parameter(e.P) - StepSize * e.A / denominator;
        return e;
    }
}

/// <summary>AMSGrad: Adam with the running maximum of the second moment, one element.</summary>
/// <remarks>
/// Source: Reddi, Kale, Kumar 2018, arXiv:1904.09237, Algorithm 2, with bias corrections. PyTorch takes the maximum of
/// the raw moment and corrects its root (MaximumScale = 1); optax takes the maximum of the corrected moment
/// (MaximumScale = 1 / (1 - beta2^t), RootScale = 1). They part from the third step on.
/// Traffic: reads p, g, m, v, x; writes p, m, v, x: 36 bytes in F32.
/// Domain: a NaN second moment does not enter the maximum; it reaches the parameter through the first.
/// </remarks>
internal struct AmsGradRule : IUpdateRule
{
    public Moments Moments;
    public float Epsilon;
    public float StepSize;
    public float MaximumScale;
    public float RootScale;
    public Decay Decay;

    public static int StateCount => 3;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly Element<T> Apply<T>(Element<T> e, T g)
        where T : struct, ILane<T>
    {
        g = Decay.Gradient(e.P, g);
        e.A = Moments.First(e.A, g);
        e.B = Moments.Second(e.B, g);
        T candidate = e.B * MaximumScale;
        e.C = T.IfGreater(candidate, e.C, candidate, e.C);
        T denominator = T.Sqrt(e.C) * RootScale + Epsilon;
        e.P = Decay.Parameter(e.P) - StepSize * e.A / denominator;
        return e;
    }
}

/// <summary>Exponential moving averages of the gradient and of its square.</summary>
internal struct Moments
{
    public float Beta1;
    public float OneMinusBeta1; // from the host's double: 1f - 0.999f is wrong in the fifth digit
    public float Beta2;
    public float OneMinusBeta2;

    /// <summary>beta1 * m + (1 - beta1) * x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly T First<T>(T m, T x)
        where T : struct, ILane<T> => Beta1 * m + OneMinusBeta1 * x;

    /// <summary>beta2 * v + (1 - beta2) * x^2.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly T Second<T>(T v, T x)
        where T : struct, ILane<T> => Beta2 * v + OneMinusBeta2 * x * x;
}
