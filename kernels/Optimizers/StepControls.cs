using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;

namespace Kernels.DeviceCode.Optimizers;

/// <summary>The loss scale and how many steps in a row were finite: two floats in device memory.</summary>
internal struct ScaleState
{
    public float Scale;
    public float CleanSteps;
}

/// <summary>From a sum of squares to what a step obeys: one item.</summary>
/// <remarks>
/// Source: the coefficient of torch.nn.utils.clip_grad_norm_, min(1, maxNorm / (norm + 1e-6)), always multiplied; the
/// check of torch.amp, on the scaled gradient.
/// Domain: a gradient that is not finite sets the flag, and its coefficient is NaN or 0. A norm above the largest
/// number of finite gradients does not set the flag.
/// </remarks>
internal static class StepControls
{
    private const float ClipEpsilon = 1e-6f;

    /// <summary>Writes the norm of the unscaled gradient and the control of the step.</summary>
    internal static void Write(
        ScaledSum total, float maxNorm, float inverseScale, ArrayView<float> norm, ArrayView<StepControl> control)
    {
        float root = total.Root();
        // The root may overflow where the unscaled norm does not.
        float unscaled = Utilities.Select(
            root <= float.MaxValue,
            root * inverseScale,
            XMath.Sqrt(total.Sum) * inverseScale * total.Size);
        float coefficient = maxNorm / (unscaled + ClipEpsilon);
        // A NaN stays NaN.
        coefficient = Utilities.Select(coefficient >= 1f, 1f, coefficient);
        norm[0] = unscaled;
        control[0] = new StepControl
        {
            GradientFactor = coefficient * inverseScale,
            Skip = Utilities.Select(total.Sum <= float.MaxValue, 0f, 1f),
        };
    }
}

/// <summary>The control of a step whose loss scale the host knows.</summary>
internal struct ControlWork : IItemWork
{
    public Partials From;
    public long Count;
    public ArrayView<float> Norm;
    public ArrayView<StepControl> Control;
    public float MaxNorm;
    public float InverseScale;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform) =>
        StepControls.Write(From.Total(Count), MaxNorm, InverseScale, Norm, Control);
}

/// <summary>The control of a step whose loss scale is in device memory.</summary>
internal struct ScaledControlWork : IItemWork
{
    public Partials From;
    public long Count;
    public ArrayView<float> Norm;
    public ArrayView<StepControl> Control;
    public float MaxNorm;
    public ArrayView<ScaleState> State;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform) =>
        StepControls.Write(From.Total(Count), MaxNorm, 1f / State[0].Scale, Norm, Control);
}

/// <summary>The loss scale after a step: grows after many finite steps in a row, shrinks after one that is not.</summary>
/// <remarks>Source: torch.amp.GradScaler. The scale stays a finite, normal number, and so does its inverse.</remarks>
internal struct ScaleWork : IItemWork
{
    public ArrayView<StepControl> Control;
    public ArrayView<ScaleState> State;
    public ScaleRule Rule;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform) => State[0] = Rule.Next(State[0], Control[0].Skip != 0f);
}

/// <summary>How a loss scale changes; on the device and on the host.</summary>
internal struct ScaleRule
{
    internal const float Least = 1.17549435e-38f;   // 2^-126
    internal const float Largest = 8.50705917e37f;  // 2^126

    public float Growth;
    public float Backoff;
    public float Interval;

    public readonly ScaleState Next(ScaleState state, bool overflow)
    {
        float clean = state.CleanSteps + 1f;
        bool grow = clean >= Interval;
        float grown = Utilities.Select(grow, state.Scale * Growth, state.Scale);
        float scale = Utilities.Select(overflow, state.Scale * Backoff, grown);
        scale = Utilities.Select(scale > Largest, Largest, scale);
        return new ScaleState
        {
            Scale = Utilities.Select(scale < Least, Least, scale),
            CleanSteps = Utilities.Select(overflow | grow, 0f, clean),
        };
    }
}
