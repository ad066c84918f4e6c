using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Optimizers;
using Kernels.Launching;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>How a loss scale starts and changes.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed record LossScalerOptions
{
    /// <summary>The first scale; in [2^-126, 2^126].</summary>
    public double InitialScale { get; init; } = 65536;

    /// <summary>The scale is multiplied by this after <see cref="GrowthInterval"/> finite steps in a row; at least 1.</summary>
    public double GrowthFactor { get; init; } = 2;

    /// <summary>The scale is multiplied by this after a step that is not finite; in (0, 1].</summary>
    public double BackoffFactor { get; init; } = 0.5;

    /// <summary>Finite steps before the scale grows; in [1, 2^24].</summary>
    public int GrowthInterval { get; init; } = 2000;

    internal ScaleRule Fold(string name)
    {
        LossScaler.CheckScale(InitialScale, $"{name}.{nameof(InitialScale)}");
        Require.InRange(GrowthFactor, 1, float.MaxValue, $"{name}.{nameof(GrowthFactor)}");
        Require.InRange(BackoffFactor, float.Epsilon, Math.BitIncrement(1.0), $"{name}.{nameof(BackoffFactor)}");
        Require.InRange(GrowthInterval, 1, (1 << 24) + 1, $"{name}.{nameof(GrowthInterval)}");
        return new ScaleRule
        {
            Growth = (float)GrowthFactor,
            Backoff = (float)BackoffFactor,
            Interval = GrowthInterval,
        };
    }
}

/// <summary>
/// The factor of a loss that keeps its gradients within the range of 16-bit storage. The scale lives on the device, so
/// that a training loop need not wait for it.
/// </summary>
/// <remarks>
/// After the backward pass: <see cref="GradientNorm.Control(AcceleratorStream, ReadOnlySpan{TensorView},
/// ArrayView{float}, ArrayView{float}, double, LossScaler)"/>, the step, then <see cref="Update"/> or
/// <see cref="UpdateOnDevice"/>. Not safe for several threads at once.
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class LossScaler : IDisposable
{
    private readonly Accelerator _accelerator;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _buffer;
    private readonly ItemLauncher<ScaleWork> _update;
    private readonly ScaleRule _rule;
    private ScaleState _state;
    private bool _isStale; // the device is ahead of _state

    /// <summary>Starts with the initial scale.</summary>
    /// <param name="accelerator">Where the scale lives.</param>
    /// <param name="options">How the scale changes; the defaults if null.</param>
    /// <exception cref="ArgumentNullException">There is no accelerator.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    public LossScaler(Accelerator accelerator, LossScalerOptions? options = null)
    {
        Require.NotNull(accelerator);
        options ??= new();
        _rule = options.Fold(nameof(options));
        _accelerator = accelerator;
        _update = new(accelerator, DeviceFacts.Of(accelerator));
        _buffer = accelerator.Allocate1D<float>(2);
        _state = new ScaleState { Scale = (float)options.InitialScale };
        Send(accelerator.DefaultStream);
        accelerator.DefaultStream.Synchronize();
    }

    /// <summary>The scale and the number of finite steps in a row, on the device, [2].</summary>
    public ArrayView<float> State => _buffer.View;

    /// <summary>Enqueues the change of the scale after a step; never waits.</summary>
    /// <param name="stream">Stream of the accelerator.</param>
    /// <param name="control">The control of the step, [2].</param>
    /// <exception cref="ArgumentException">The control or the stream is of another accelerator.</exception>
    /// <exception cref="ObjectDisposedException">This, the stream or a buffer is disposed.</exception>
    public void UpdateOnDevice(AcceleratorStream stream, ArrayView<float> control)
    {
        Check(stream, control);
        _isStale = true;
        var work = new ScaleWork
        {
            Control = control.Cast<StepControl>(),
            State = State.Cast<ScaleState>(),
            Rule = _rule,
        };
        _update.Run(stream, work, 0, 1);
    }

    /// <summary>Waits for the step, reads 4 bytes, and changes the scale on the host and on the device.</summary>
    /// <param name="stream">Stream of the accelerator.</param>
    /// <param name="control">The control of the step, [2].</param>
    /// <returns>Whether the step was taken; false if a gradient was not finite.</returns>
    /// <exception cref="ArgumentException">The control or the stream is of another accelerator.</exception>
    /// <exception cref="ObjectDisposedException">This, the stream or a buffer is disposed.</exception>
    public bool Update(AcceleratorStream stream, ArrayView<float> control)
    {
        Check(stream, control);
        Receive(stream);
        float skip = 0;
        control.SubView(1, 1).CopyToCPU(stream, new Span<float>(ref skip));
        stream.Synchronize();
        _state = _rule.Next(_state, skip != 0);
        Send(stream);
        return skip == 0;
    }

    /// <summary>The state to save: waits for the device only after <see cref="UpdateOnDevice"/>.</summary>
    /// <param name="stream">Stream of the accelerator.</param>
    /// <returns>The scale, and the finite steps in a row.</returns>
    /// <exception cref="ArgumentException">The stream is of another accelerator.</exception>
    /// <exception cref="ObjectDisposedException">This or the stream is disposed.</exception>
    public (double Scale, int CleanSteps) Save(AcceleratorStream stream)
    {
        Check(stream);
        Receive(stream);
        return (_state.Scale, (int)_state.CleanSteps);
    }

    /// <summary>Sets the state.</summary>
    /// <param name="stream">Stream of the accelerator.</param>
    /// <param name="scale">The scale, in [2^-126, 2^126].</param>
    /// <param name="cleanSteps">The finite steps in a row, in [0, 2^24).</param>
    /// <exception cref="ArgumentException">The stream is of another accelerator.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A number is out of range.</exception>
    /// <exception cref="ObjectDisposedException">This or the stream is disposed.</exception>
    public void Load(AcceleratorStream stream, double scale, int cleanSteps)
    {
        Check(stream);
        CheckScale(scale, nameof(scale));
        Require.InRange(cleanSteps, 0, 1 << 24);
        _state = new ScaleState { Scale = (float)scale, CleanSteps = cleanSteps };
        _isStale = false;
        Send(stream);
    }

    /// <summary>Frees the memory; enqueued work must have ended.</summary>
    public void Dispose() => _buffer.Dispose();

    internal static void CheckScale(double scale, string name) =>
        Require.InRange(scale, ScaleRule.Least, Math.BitIncrement(ScaleRule.Largest), name);

    private void Check(AcceleratorStream stream)
    {
        ObjectDisposedException.ThrowIf(_buffer.IsDisposed, this);
        Require.Stream(_accelerator, stream);
    }

    private void Check(AcceleratorStream stream, ArrayView<float> control)
    {
        Check(stream);
        Require.Tensor(_accelerator, 2, control);
    }

    private void Send(AcceleratorStream stream) =>
        _buffer.View.BaseView.Cast<ScaleState>().CopyFromCPU<ScaleState, ArrayView<ScaleState>>(
            stream, new ReadOnlySpan<ScaleState>(ref _state));

    private void Receive(AcceleratorStream stream)
    {
        if (_isStale)
        {
            _buffer.View.BaseView.Cast<ScaleState>().CopyToCPU(stream, new Span<ScaleState>(ref _state));
            stream.Synchronize();
            _isStale = false;
        }
    }
}
