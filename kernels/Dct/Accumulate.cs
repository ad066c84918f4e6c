using ILGPU;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.Dct;

/// <summary>to = keep from + gain g, where g is unscaled and clipped as the control says; one element.</summary>
/// <remarks>
/// What is to be projected or orthogonalised: A = G + E of DCT-AdamW, B = M + G of Trion, the momentum of Muon.
/// Traffic: reads g and from once, writes to once. Domain: as the arithmetic.
/// </remarks>
internal struct AccumulateWork<TGrad> : IItemWork
    where TGrad : struct, IStorage
{
    public TGrad G;
    public ArrayView<float> From;
    public ArrayView<float> To;
    public ArrayView<StepControl> Control;

    /// <summary>How much of <see cref="From"/> is taken; it is not read if this is 0.</summary>
    public float Keep;

    public float Gain;

    public readonly Quad Uniform() => new() { X = Control[0].GradientFactor };

    public readonly void Item(long i, Quad uniform)
    {
        float value = Gain * (G.Decode(G.Read(i)) * uniform.X);
        if (Keep != 0f)
        {
            value = Keep * From[i] + value;
        }

        To[i] = value;
    }
}

/// <summary>Zeros; one element. Some drivers fill memory byte by byte.</summary>
internal struct FillZeros : IItemWork
{
    public ArrayView<float> To;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform) => To[i] = 0f;
}

/// <summary>The control of what follows an accumulation: the gradient is scaled already, a skip stays a skip.</summary>
internal struct ScaledControl : IItemWork
{
    public ArrayView<StepControl> From;
    public ArrayView<StepControl> To;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform) => To[i] = new StepControl { GradientFactor = 1f, Skip = From[i].Skip };
}

/// <summary>Numbers become state, unless the step is skipped; one element.</summary>
internal struct CommitFloats : IItemWork
{
    public ArrayView<float> From;
    public ArrayView<float> To;
    public ArrayView<StepControl> Control;

    public readonly Quad Uniform() => new() { X = Control[0].Skip };

    public readonly void Item(long i, Quad uniform)
    {
        if (uniform.X == 0f)
        {
            To[i] = From[i];
        }
    }
}

/// <summary>Indices become state, unless the step is skipped; one element.</summary>
internal struct CommitIndices : IItemWork
{
    public ArrayView<int> From;
    public ArrayView<int> To;
    public ArrayView<StepControl> Control;

    public readonly Quad Uniform() => new() { X = Control[0].Skip };

    public readonly void Item(long i, Quad uniform)
    {
        if (uniform.X == 0f)
        {
            To[i] = From[i];
        }
    }
}
