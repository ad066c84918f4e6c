using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Optimizers;

/// <summary>Stochastic gradient descent without momentum, one element.</summary>
/// <remarks>
/// Source: Robbins, Monro 1951; conventions of PyTorch's SGD.
/// Traffic: reads p, g; writes p: 12 bytes in F32.
/// </remarks>
internal struct SgdRule : IUpdateRule
{
    public float LearningRate;
    public Decay Decay;

    public static int StateCount => 0;

    public readonly Element<T> Apply<T>(Element<T> e, T g)
        where T : struct, ILane<T>
    {
        g = Decay.Gradient(e.P, g);
        e.P = Decay.Parameter(e.P) - LearningRate * g;
        return e;
    }
}

/// <summary>Stochastic gradient descent with momentum, plain or Nesterov's, one element.</summary>
/// <remarks>
/// Source: Sutskever, Martens, Dahl, Hinton 2013, in the form of PyTorch's SGD: b = momentum * b + (1 - dampening) * g,
/// and b = g in the first step, which the host says by Momentum = 0 and Gain = 1.
/// Traffic: reads p, g, b; writes p, b: 20 bytes in F32.
/// </remarks>
internal struct SgdMomentumRule : IUpdateRule
{
    public float LearningRate;
    public float Momentum;       // of the buffer: 0 in the first step
    public float Gain;           // 1 - dampening: 1 in the first step
    public float Lookahead;      // momentum, where Nesterov
    public int Nesterov;
    public Decay Decay;

    public static int StateCount => 1;

    public readonly Element<T> Apply<T>(Element<T> e, T g)
        where T : struct, ILane<T>
    {
        g = Decay.Gradient(e.P, g);
        e.A = Momentum * e.A + Gain * g;
        T direction = T.If(Nesterov != 0, g + Lookahead * e.A, e.A);
        e.P = Decay.Parameter(e.P) - LearningRate * direction;
        return e;
    }
}
