using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.Optimizers;

/// <summary>The gradient of a step: unscaled, clipped, negated for maximization.</summary>
internal struct GradientSource<TGrad> : ISquareSource
    where TGrad : struct, IStorage
{
    public TGrad G;
    public ArrayView<StepControl> Control;
    public float Factor;

    public readonly Quad Uniform()
    {
        StepControl control = Control[0];
        return new Quad { X = Factor * control.GradientFactor };
    }

    public readonly float Read(long i, Quad uniform) => G.Decode(G.Read(i)) * uniform.X;

    public readonly Quad ReadPacket(long k, Quad uniform)
    {
        Quad g = Update.Decode(G, k);
        return new Quad { X = g.X * uniform.X, Y = g.Y * uniform.X, Z = g.Z * uniform.X, W = g.W * uniform.X };
    }
}

/// <summary>The gradient of a step with coupled weight decay.</summary>
internal struct CoupledSource<TParam, TGrad> : ISquareSource
    where TParam : struct, IStorage
    where TGrad : struct, IStorage
{
    public TParam P;
    public GradientSource<TGrad> Gradient;
    public Decay Decay;

    public readonly Quad Uniform() => Gradient.Uniform();

    public readonly float Read(long i, Quad uniform) =>
        Decay.Gradient(Lane.Of(P.Decode(P.Read(i))), Lane.Of(Gradient.Read(i, uniform))).Value;

    public readonly Quad ReadPacket(long k, Quad uniform)
    {
        Quad p = Update.Decode(P, k);
        Quad g = Gradient.ReadPacket(k, uniform);
        return new Quad
        {
            X = Decay.Gradient(Lane.Of(p.X), Lane.Of(g.X)).Value,
            Y = Decay.Gradient(Lane.Of(p.Y), Lane.Of(g.Y)).Value,
            Z = Decay.Gradient(Lane.Of(p.Z), Lane.Of(g.Z)).Value,
            W = Decay.Gradient(Lane.Of(p.W), Lane.Of(g.W)).Value,
        };
    }
}

/// <summary>The state of AdaGradNorm and the rate of the step: one item.</summary>
/// <remarks>
/// Source: Ward, Wu, Bottou 2020, arXiv:1806.01811, algorithm 1: b^2 += |g|^2, rate = lr / b; 0 where b is 0.
/// Domain: from |g| of 1.8e19 on b^2 is infinite and the rate 0.
/// </remarks>
internal struct AdaGradNormAccumulate : IItemWork
{
    public Partials From;
    public long Count;
    public ArrayView<StepControl> Control;
    public ArrayView<float> Sum;

    /// <summary>Out: the rate.</summary>
    public ArrayView<float> Rate;
    public float LearningRate;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        if (Control[0].Skip != 0f)
        {
            return;
        }

        float sum = Sum[0] + From.Total(Count).Value();
        Sum[0] = sum;
        Rate[0] = Utilities.Select(sum == 0f, 0f, LearningRate / XMath.Sqrt(sum));
    }
}

/// <summary>p = p * shrink - rate * g, one element per item.</summary>
/// <remarks>Traffic: reads p, g; writes p: with the pass for the norm 16 bytes in F32, 20 with coupled decay.</remarks>
internal struct AdaGradNormApply<TParam, TGrad, TExtras> : IItemWork
    where TParam : struct, IStorage
    where TGrad : struct, IStorage
    where TExtras : struct, IExtras
{
    public UpdateTensors<TParam, TGrad> T;
    public TExtras Extras;
    public ArrayView<StepControl> Control;
    public ArrayView<float> Rate;
    public Decay Decay;

    public readonly Quad Uniform()
    {
        StepControl control = Control[0];
        return new Quad { X = T.GradientFactor * control.GradientFactor, Y = Rate[0], Z = control.Skip };
    }

    public readonly void Item(long i, Quad uniform)
    {
        if (uniform.Z != 0f)
        {
            return;
        }

        float p = Apply(T.P.Decode(T.P.Read(i)), T.G.Decode(T.G.Read(i)), uniform);
        T.P.Write(i, T.P.Encode(p, T.P.Random(i >> 2).Lane((int)(i & 3))));
        Extras.Output(i, p);
    }

    internal readonly float Apply(float p, float g, Quad uniform) =>
        Decay.Step(Lane.Of(p), Lane.Of(g * uniform.X), uniform.Y).Value;
}

/// <summary>The same with four elements per item, in 128-bit accesses.</summary>
internal struct AdaGradNormApplyPacket<TParam, TGrad, TExtras> : IItemWork
    where TParam : struct, IStorage
    where TGrad : struct, IStorage
    where TExtras : struct, IExtras
{
    public AdaGradNormApply<TParam, TGrad, TExtras> Single;

    public readonly Quad Uniform() => Single.Uniform();

    public readonly void Item(long i, Quad uniform)
    {
        if (uniform.Z != 0f)
        {
            return;
        }

        Quad p = Update.Decode(Single.T.P, i);
        Quad g = Update.Decode(Single.T.G, i);
        p = new Quad
        {
            X = Single.Apply(p.X, g.X, uniform),
            Y = Single.Apply(p.Y, g.Y, uniform),
            Z = Single.Apply(p.Z, g.Z, uniform),
            W = Single.Apply(p.W, g.W, uniform),
        };
        Single.T.P.WritePacket(i, Update.Encode(Single.T.P, p, i));
        Single.Extras.OutputPacket(i, p);
    }
}
