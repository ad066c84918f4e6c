using ILGPU;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.Optimizers;

/// <summary>What a step reads from device memory instead of from its arguments: two floats.</summary>
internal struct StepControl
{
    /// <summary>Multiplies every gradient: inverse loss scale times clip coefficient.</summary>
    public float GradientFactor;

    /// <summary>Not 0: the step leaves everything bit for bit as it was.</summary>
    public float Skip;
}

/// <summary>What is fused into the pass of a step beside the update itself.</summary>
internal interface IExtras
{
    /// <summary>Whether <see cref="Control"/> is to be obeyed.</summary>
    static abstract bool HasControl { get; }

    /// <summary>Whether something is rounded stochastically.</summary>
    static abstract bool IsStochastic { get; }

    /// <summary>As in <see cref="IStorage"/>.</summary>
    long Position(long i);

    /// <summary>As in <see cref="IStorage"/>.</summary>
    QuadBits Noise(long eight);

    /// <summary>Factor of the gradients and whether to skip.</summary>
    StepControl Control();

    /// <summary>Called with every updated parameter of a step that is not skipped.</summary>
    void Output(long i, float p);

    /// <summary>As <see cref="Output"/>, where the element's random bits are at hand.</summary>
    void OutputRounded(long i, float p, uint random);

    /// <summary>Called with every updated packet of a step that is not skipped.</summary>
    void OutputPacket(long k, Quad p);
}

/// <summary>Nothing beside the update.</summary>
internal readonly struct NoExtras : IExtras
{
    public static bool HasControl => false;

    public readonly StepControl Control() => default;

    public static bool IsStochastic => false;

    public readonly long Position(long i) => i;

    public readonly QuadBits Noise(long eight) => default;

    public readonly void Output(long i, float p) { }

    public readonly void OutputRounded(long i, float p, uint random) { }

    public readonly void OutputPacket(long k, Quad p) { }
}

/// <summary>Gradient factor and skip flag in device memory.</summary>
internal readonly struct Controlled<TOutput>(ArrayView<StepControl> control, TOutput output) : IExtras
    where TOutput : struct, IExtras
{
    private readonly ArrayView<StepControl> _control = control;
    private readonly TOutput _output = output;

    public static bool HasControl => true;

    public readonly StepControl Control() => _control[0];

    public static bool IsStochastic => TOutput.IsStochastic;

    public readonly long Position(long i) => _output.Position(i);

    public readonly QuadBits Noise(long eight) => _output.Noise(eight);

    public readonly void Output(long i, float p) => _output.Output(i, p);

    public readonly void OutputRounded(long i, float p, uint random) => _output.OutputRounded(i, p, random);

    public readonly void OutputPacket(long k, Quad p) => _output.OutputPacket(k, p);
}

/// <summary>average += rate * (p - average): EMA with rate 1 - decay, SWA with rate 1 / (count + 1).</summary>
internal readonly struct Averaged<TOutput>(ArrayView<float> average, float rate, TOutput output) : IExtras
    where TOutput : struct, IExtras
{
    private readonly ArrayView<float> _average = average;
    private readonly float _rate = rate;
    private readonly TOutput _output = output;

    public static bool HasControl => false;

    public readonly StepControl Control() => default;

    public static bool IsStochastic => TOutput.IsStochastic;

    public readonly long Position(long i) => _output.Position(i);

    public readonly QuadBits Noise(long eight) => _output.Noise(eight);

    public readonly void Output(long i, float p)
    {
        _average[i] = Average(_average[i], p);
        _output.Output(i, p);
    }

    public readonly void OutputRounded(long i, float p, uint random)
    {
        _average[i] = Average(_average[i], p);
        _output.OutputRounded(i, p, random);
    }

    public readonly void OutputPacket(long k, Quad p)
    {
        Quad a = _average.Cast<Quad>()[k];
        _average.Cast<Quad>()[k] = new Quad
        {
            X = Average(a.X, p.X),
            Y = Average(a.Y, p.Y),
            Z = Average(a.Z, p.Z),
            W = Average(a.W, p.W),
        };
        _output.OutputPacket(k, p);
    }

    private readonly float Average(float a, float p) => a + _rate * (p - a);
}

/// <summary>A second copy of the parameters in another storage: the working weights of an F32 master.</summary>
internal readonly struct Copied<TCopy>(TCopy copy) : IExtras
    where TCopy : struct, IStorage
{
    private readonly TCopy _copy = copy;

    public static bool HasControl => false;

    public readonly StepControl Control() => default;

    public static bool IsStochastic => TCopy.IsStochastic;

    public readonly long Position(long i) => _copy.Position(i);

    public readonly QuadBits Noise(long eight) => _copy.Noise(eight);

    public readonly void OutputRounded(long i, float p, uint random) => _copy.Write(i, _copy.Encode(p, random));

    public readonly void Output(long i, float p) =>
        _copy.Write(i, _copy.Encode(p, _copy.Random(i >> 2).Lane((int)(i & 3))));

    public readonly void OutputPacket(long k, Quad p) => _copy.WritePacket(k, Update.Encode(_copy, p, k));
}
