using ILGPU;
using Kernels.DeviceCode.Optimizers;
using Kernels.Host;

namespace Kernels.Optimizers;

/// <summary>What a step does beside the update, in the same pass over memory. All of it is optional.</summary>
public readonly record struct UpdateExtras
{
    /// <summary>
    /// Two floats in device memory: a factor for every gradient (inverse loss scale times clip coefficient), and a
    /// flag; where it is not 0, the step leaves every tensor bit for bit as it was.
    /// </summary>
    public ArrayView<float> Control { get; init; }

    /// <summary>An average of the parameters, [n]: average += AverageRate * (p - average).</summary>
    public ArrayView<float> Average { get; init; }

    /// <summary>1 - decay for an exponential average, 1 / (count + 1) for a stochastic weight average; in [0, 1].</summary>
    public double AverageRate { get; init; }

    /// <summary>A copy of the updated parameters in 16 bits, [n]; the parameters are then the F32 master.</summary>
    public TensorView Copy { get; init; }

    /// <summary>
    /// Rounds stochastically where BF16 is written: parameters, or the copy. The random word of an element depends on
    /// the seed, the step and its index alone.
    /// </summary>
    public bool StochasticRounding { get; init; }

    /// <summary>Key of the random numbers.</summary>
    public ulong Seed { get; init; }

    /// <summary>
    /// Index of the first element for the random numbers, a multiple of 4: a tensor updated in parts is rounded as
    /// the whole.
    /// </summary>
    public long FirstElement { get; init; }
}

/// <summary>Checked arguments of one step.</summary>
internal struct UpdateCall
{
    internal TensorView P;
    internal TensorView G;
    internal ArrayView<float> A;
    internal ArrayView<float> B;
    internal ArrayView<float> C;
    internal EightBitMoments Moments;
    internal float GradientFactor;
    internal int Step;
    internal uint RandomStep;
    internal UpdateExtras Extras;

    /// <summary>Where parameters and gradients are, if not in P and G; on the host alone.</summary>
    internal HostPlaces? Places;

    /// <summary>The element of the places that is element 0 of the state.</summary>
    internal long PlacesFirst;

    /// <summary>Elements of the state.</summary>
    internal readonly long Length => Places is null ? P.Length : Places.Length - PlacesFirst;

    internal readonly uint Seed0 => (uint)Extras.Seed;

    internal readonly uint Seed1 => (uint)(Extras.Seed >> 32);

    internal readonly ArrayView<StepControl> Control => Extras.Control.Cast<StepControl>();
}
