using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Optimizers;
using Kernels.Optimizers;

namespace Kernels.Perf.Optimizers;

/// <summary>The floor: the streams of an optimizer with two state tensors and hardly any arithmetic.</summary>
internal struct TwoStateProbe : IUpdateRule
{
    public float Factor;

    public static int StateCount => 2;

    public readonly Element<T> Apply<T>(Element<T> e, T g)
        where T : struct, ILane<T>
    {
        e.A = e.A * Factor + g;
        e.B = e.B * Factor + g;
        e.P = e.P * Factor + g;
        return e;
    }
}

/// <summary>The floor of an optimizer with three state tensors.</summary>
internal struct ThreeStateProbe : IUpdateRule
{
    public float Factor;

    public static int StateCount => 3;

    public readonly Element<T> Apply<T>(Element<T> e, T g)
        where T : struct, ILane<T>
    {
        e.A = e.A * Factor + g;
        e.B = e.B * Factor + g;
        e.C = e.C * Factor + g;
        e.P = e.P * Factor + g;
        return e;
    }
}

/// <summary>Runs a probe through the walks of the optimizers.</summary>
internal static class Probes
{
    internal static readonly UpdateForm Two =
        new UpdateForm<TwoStateProbe>(["a", "b"], static (_, _) => new TwoStateProbe { Factor = 0.5f });

    internal static readonly UpdateForm Three =
        new UpdateForm<ThreeStateProbe>(["a", "b", "c"], static (_, _) => new ThreeStateProbe { Factor = 0.5f });
}
