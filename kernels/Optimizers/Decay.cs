using System.Runtime.CompilerServices;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Optimizers;

/// <summary>Weight decay, the same for every rule: through the gradient, on the parameter, or neither.</summary>
internal struct Decay
{
    /// <summary>Coupled (L2): the weight decay, else 0.</summary>
    public float L2;

    /// <summary>Decoupled: 1 - lr * weightDecay, else 1.</summary>
    public float Shrink;

    /// <summary>g + L2 * p, and exactly g where L2 is 0, even if p is infinite.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly T Gradient<T>(T p, T g)
        where T : struct, ILane<T> => T.If(L2 == 0f, g, g + L2 * p);

    /// <summary>p * Shrink.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly T Parameter<T>(T p)
        where T : struct, ILane<T> => p * Shrink;

    /// <summary>A step against the gradient: p * Shrink - rate * (g + L2 * p).</summary>
    public readonly T Step<T>(T p, T g, float rate)
        where T : struct, ILane<T> => Parameter(p) - rate * Gradient(p, g);
}
