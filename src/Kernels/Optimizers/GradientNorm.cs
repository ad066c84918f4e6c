using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;
using Kernels.Launching;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>
/// The norm of gradients on the device, the check that they are finite, and the coefficient that clips them. Right from
/// the smallest to the largest numbers: no square overflows or underflows.
/// </summary>
/// <remarks>
/// Load once per accelerator. A call allocates nothing and never waits; it owns its scratch memory, so calls of one
/// object must be on one stream, one after the other. Launches: at most three for each tensor, then one for up to
/// 262,144 elements, two to 16.7 million, three to 1.07 billion.
/// The result depends on the lengths and the device alone, not on how the work is laid out.
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class GradientNorm : IDisposable
{
    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly PartialSums _partials;
    private readonly SquareReducer<StoredSource<F32>> _f32;
    private readonly SquareReducer<StoredSource<F16>> _f16;
    private readonly SquareReducer<StoredSource<BF16>> _bf16;
    private readonly ItemLauncher<NormWork> _norm;
    private readonly ItemLauncher<ControlWork> _control;
    private readonly ItemLauncher<ScaledControlWork> _scaledControl;
    private readonly long _maxLength;
    private readonly int _maxTensors;

    /// <summary>Loads the kernels and allocates the scratch memory: about a thirtieth of a byte for each element.</summary>
    /// <param name="accelerator">Where the gradients lie.</param>
    /// <param name="maxLength">The most elements of all tensors of one call together.</param>
    /// <param name="maxTensors">The most tensors of one call.</param>
    /// <exception cref="ArgumentNullException">There is no accelerator.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A length is negative, or the number of tensors not positive.</exception>
    public GradientNorm(Accelerator accelerator, long maxLength, int maxTensors = 1)
        : this(accelerator, maxLength, maxTensors, null)
    {
    }

    internal GradientNorm(Accelerator accelerator, long maxLength, int maxTensors, DeviceFacts? facts)
    {
        Require.NotNull(accelerator);
        Require.AtLeast(maxLength, 0);
        Require.AtLeast(maxTensors, 1);
        _accelerator = accelerator;
        _facts = facts ?? DeviceFacts.Of(accelerator);
        _maxLength = maxLength;
        _maxTensors = maxTensors;
        _f32 = new(accelerator, _facts);
        _f16 = new(accelerator, _facts);
        _bf16 = new(accelerator, _facts);
        _norm = new(accelerator, _facts);
        _control = new(accelerator, _facts);
        _scaledControl = new(accelerator, _facts);
        _partials = new(accelerator, _facts, maxLength / SumOfSquares.TileLength + maxTensors);
    }

    /// <summary>Enqueues the norm of one tensor.</summary>
    /// <param name="stream">Stream of the accelerator.</param>
    /// <param name="gradients">The gradient, [n].</param>
    /// <param name="result">Out: the norm, [1]; not finite if an element is not.</param>
    /// <exception cref="ArgumentException">A tensor lies elsewhere, is too long, or overlaps the result.</exception>
    /// <exception cref="ObjectDisposedException">This, the stream or a buffer is disposed.</exception>
    public void Norm(AcceleratorStream stream, TensorView gradients, ArrayView<float> result) =>
        Norm(stream, [gradients], result);

    /// <summary>Enqueues the norm of several tensors taken together.</summary>
    /// <param name="stream">Stream of the accelerator.</param>
    /// <param name="gradients">The gradients; may be empty, and so may each be.</param>
    /// <param name="result">Out: the norm, [1]; not finite if an element is not.</param>
    /// <exception cref="ArgumentException">A tensor lies elsewhere, is too long, or overlaps the result.</exception>
    /// <exception cref="ObjectDisposedException">This, the stream or a buffer is disposed.</exception>
    public void Norm(AcceleratorStream stream, ReadOnlySpan<TensorView> gradients, ArrayView<float> result)
    {
        Check(stream, gradients, result);
        (Partials from, long count) = Sum(stream, gradients);
        _norm.Run(stream, new NormWork { From = from, Count = count, Result = result }, 0, 1);
    }

    /// <summary>Enqueues the norm and what a step needs to clip, unscale and skip, with a scale the host knows.</summary>
    /// <param name="stream">Stream of the accelerator.</param>
    /// <param name="gradients">The gradients, scaled; may be empty, and so may each be.</param>
    /// <param name="result">Out: the norm of the unscaled gradients, [1].</param>
    /// <param name="control">
    /// Out, [2]: the factor of every gradient, inverseScale * min(1, maxNorm / (norm + 1e-6)); and 1 if a gradient is
    /// not finite, else 0.
    /// </param>
    /// <param name="maxNorm">The largest norm, not negative; infinity does not clip.</param>
    /// <param name="inverseScale">1 / loss scale; positive.</param>
    /// <exception cref="ArgumentException">A tensor lies elsewhere, is too long, or overlaps another.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The norm or the scale is out of range.</exception>
    /// <exception cref="ObjectDisposedException">This, the stream or a buffer is disposed.</exception>
    public void Control(
        AcceleratorStream stream, ReadOnlySpan<TensorView> gradients, ArrayView<float> result,
        ArrayView<float> control, double maxNorm, double inverseScale)
    {
        CheckControl(stream, gradients, result, control, maxNorm);
        Require.InRange(inverseScale, float.Epsilon, float.MaxValue);
        (Partials from, long count) = Sum(stream, gradients);
        var work = new ControlWork
        {
            From = from,
            Count = count,
            Norm = result,
            Control = control.Cast<StepControl>(),
            MaxNorm = (float)maxNorm,
            InverseScale = (float)inverseScale,
        };
        _control.Run(stream, work, 0, 1);
    }

    /// <summary>Enqueues the norm and what a step needs to clip, unscale and skip, with the scale on the device.</summary>
    /// <param name="stream">Stream of the accelerator.</param>
    /// <param name="gradients">The gradients, scaled; may be empty, and so may each be.</param>
    /// <param name="result">Out: the norm of the unscaled gradients, [1].</param>
    /// <param name="control">Out, [2]: the factor of every gradient, and whether to skip; as in the other form.</param>
    /// <param name="maxNorm">The largest norm, not negative; infinity does not clip.</param>
    /// <param name="scaler">The loss scaler, on the same accelerator.</param>
    /// <exception cref="ArgumentException">A tensor lies elsewhere, is too long, or overlaps another.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The norm is out of range.</exception>
    /// <exception cref="ObjectDisposedException">This, the scaler, the stream or a buffer is disposed.</exception>
    public void Control(
        AcceleratorStream stream, ReadOnlySpan<TensorView> gradients, ArrayView<float> result,
        ArrayView<float> control, double maxNorm, LossScaler scaler)
    {
        Require.NotNull(scaler);
        CheckControl(stream, gradients, result, control, maxNorm);
        Require.Tensor(_accelerator, 2, scaler.State, nameof(scaler));
        (Partials from, long count) = Sum(stream, gradients);
        var work = new ScaledControlWork
        {
            From = from,
            Count = count,
            Norm = result,
            Control = control.Cast<StepControl>(),
            MaxNorm = (float)maxNorm,
            State = scaler.State.Cast<ScaleState>(),
        };
        _scaledControl.Run(stream, work, 0, 1);
    }

    /// <summary>Frees the scratch memory; enqueued work must have ended.</summary>
    public void Dispose() => _partials.Dispose();

    private (Partials Left, long Count) Sum(AcceleratorStream stream, ReadOnlySpan<TensorView> gradients)
    {
        long done = 0;
        foreach (TensorView g in gradients)
        {
            if (g.Length == 0)
            {
                continue;
            }

            long tiles = ReductionPlan.Tiles(g.Length);
            Partials partials = _partials.Of(done, tiles);
            LinearWalk walk = LinearPlan.WalkFor(_facts, Alignment.IsPacked(_accelerator, g));
            var host = new HostStored(g);
            switch (g.Storage)
            {
                case Storage.F32:
                    _f32.Tiles(stream, new(new F32(g.As<float>())), host, g.Length, partials, walk);
                    break;
                case Storage.F16:
                    _f16.Tiles(stream, new(new F16(g.As<ushort>())), host, g.Length, partials, walk);
                    break;
                default:
                    _bf16.Tiles(stream, new(new BF16(g.As<ushort>())), host, g.Length, partials, walk);
                    break;
            }

            done += tiles;
        }

        return _partials.Fold(stream, done);
    }

    private void CheckControl(
        AcceleratorStream stream, ReadOnlySpan<TensorView> gradients, ArrayView<float> result,
        ArrayView<float> control, double maxNorm)
    {
        Check(stream, gradients, result);
        Require.Tensor(_accelerator, 2, control);
        Require.Apart(result, control, nameof(result), nameof(control));
        foreach (TensorView g in gradients)
        {
            Require.Apart(g, control, nameof(gradients), nameof(control));
        }

        if (!(maxNorm >= 0))
        {
            throw new ArgumentOutOfRangeException(nameof(maxNorm), maxNorm, "maxNorm must not be negative.");
        }
    }

    private void Check(AcceleratorStream stream, ReadOnlySpan<TensorView> gradients, ArrayView<float> result)
    {
        ObjectDisposedException.ThrowIf(_partials.IsDisposed, this);
        Require.Stream(_accelerator, stream);
        if (gradients.Length > _maxTensors)
        {
            throw new ArgumentException(
                $"At most {_maxTensors} tensors were announced, and {gradients.Length} are given.", nameof(gradients));
        }

        Require.Tensor(_accelerator, 1, result);
        long total = 0;
        foreach (TensorView g in gradients)
        {
            Require.Tensor(_accelerator, g.Length, g, nameof(gradients));
            Require.Apart(g, result, nameof(gradients), nameof(result));
            total += g.Length;
        }

        if (total > _maxLength)
        {
            throw new ArgumentException(
                $"At most {_maxLength} elements were announced, and {total} are given.", nameof(gradients));
        }
    }
}
