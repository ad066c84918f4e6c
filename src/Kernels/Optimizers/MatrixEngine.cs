using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Dct;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Storage;
using Kernels.Launching;

namespace Kernels.Optimizers;

/// <summary>
/// What the optimizers of matrices share: a set of launches for each matrix, AdamW for what is none, and the ways in and out
/// when gradients, parameters or extras ask for more than a plain step in F32.
/// </summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal abstract class MatrixEngine : WholeTensorEngine
{
    private static readonly SgdOptions s_descent = new() { Decoupled = true };

    private readonly DeviceFacts _facts;
    private readonly bool[] _isMatrix;
    private readonly ArenaTensor?[] _mean;
    private readonly ArenaTensor?[] _square;
    private readonly Updater _adam;
    private readonly Updater _descent;
    private readonly KernelSets _kernels;
    private readonly ItemLauncher<ScaledControl> _scaledControl;
    private readonly ItemLauncher<CommitFloats> _commitFloats;
    private readonly ItemLauncher<CommitIndices> _commitIndices;
    private readonly StepScratch _controls;
    private readonly ArrayView<StepControl> _scaled;
    private AdamWOptions[] _fallbacks = [];
    private SgdOptions[] _descents = [];

    private protected MatrixEngine(Accelerator accelerator, Arena arena, MatrixOptions options)
        : base(accelerator, arena)
    {
        _facts = DeviceFacts.Of(accelerator);
        int count = arena.Parameters.Count;
        _isMatrix = new bool[count];
        _mean = new ArenaTensor?[count];
        _square = new ArenaTensor?[count];
        for (int i = 0; i < count; i++)
        {
            Parameter parameter = arena.Parameters[i];
            // A parameter's own options have not been checked yet, and must agree in this.
            _isMatrix[i] = options.IsMatrix(parameter);
            if (!_isMatrix[i])
            {
                _mean[i] = ArenaTensor.Create(accelerator, parameter.Length, Storage.F32);
                _square[i] = ArenaTensor.Create(accelerator, parameter.Length, Storage.F32);
            }
        }

        _adam = options.Fallback.Form.Load(accelerator);
        _descent = s_descent.Form.Load(accelerator);
        _kernels = new KernelSets(accelerator, _facts);
        _scaledControl = new(accelerator, _facts);
        _commitFloats = new(accelerator, _facts);
        _commitIndices = new(accelerator, _facts);
        _controls = new StepScratch(accelerator, 2);
        long used = 0;
        _scaled = _controls.Next(ref used, 2).Cast<StepControl>();
    }

    internal override IReadOnlyList<StateTensor> StateOf(int parameter)
    {
        long[] shape = [.. Arena.Parameters[parameter].Shape];
        return _isMatrix[parameter]
            ? MatrixState(parameter, shape)
            : [new("exp_avg", _mean[parameter]!.View, shape), new("exp_avg_sq", _square[parameter]!.View, shape)];
    }

    internal override void Arrange(OptimizerOptions[] options, ReadOnlySpan<bool> frozen, ReadOnlySpan<int> steps)
    {
        base.Arrange(options, frozen, steps);
        Derive();
    }

    internal override void Rescale(OptimizerOptions[] options)
    {
        base.Rescale(options);
        Derive();
    }

    public override void Dispose()
    {
        Array.ForEach(_mean, m => m?.Dispose());
        Array.ForEach(_square, s => s?.Dispose());
        _controls.Dispose();
    }

    /// <summary>The state tensors of a matrix.</summary>
    private protected abstract IReadOnlyList<StateTensor> MatrixState(int parameter, long[] shape);

    /// <summary>Enqueues the step of a matrix.</summary>
    private protected abstract void LaunchMatrix(AcceleratorStream stream, int parameter, in UpdateCall call);

    private protected bool IsMatrix(int parameter) => _isMatrix[parameter];

    /// <summary>Whether a call asks for nothing but a step in F32.</summary>
    private protected static bool IsPlain(in UpdateCall call) =>
        call.P.Storage == Storage.F32 && !call.Extras.Control.IsValid && !call.Extras.Average.IsValid
        && call.Extras.Copy.IsEmpty;

    /// <summary>The control of a call, or the one that changes nothing.</summary>
    private protected ArrayView<StepControl> ControlOf(in UpdateCall call) => _controls.Control(call);

    /// <summary>The control of what uses a gradient that has been scaled already.</summary>
    private protected ArrayView<StepControl> ScaledControlOf(AcceleratorStream stream, in UpdateCall call)
    {
        if (!call.Extras.Control.IsValid)
        {
            return ControlOf(call);
        }

        _scaledControl.Run(stream, new ScaledControl { From = call.Control, To = _scaled }, 0, 1);
        return _scaled;
    }

    /// <summary>Enqueues to = keep from + gain g, with g in F32, scaled and of the sign of a descent.</summary>
    private protected void Accumulate(
        AcceleratorStream stream, in UpdateCall call, float keep, TensorView from, float gain, ArrayView<float> to)
    {
        switch (call.G.Storage)
        {
            case Storage.F32:
                Accumulate<F32>(stream, call, keep, from, gain, to);
                break;
            case Storage.F16:
                Accumulate<F16>(stream, call, keep, from, gain, to);
                break;
            default:
                Accumulate<BF16>(stream, call, keep, from, gain, to);
                break;
        }
    }

    /// <summary>Enqueues the copy of numbers into a state, unless the step is skipped.</summary>
    private protected void Commit(
        AcceleratorStream stream, in UpdateCall call, ArrayView<float> from, TensorView to) => _commitFloats.Run(
        stream, new CommitFloats { From = from, To = to.As<float>(), Control = ControlOf(call) }, 0, to.Length);

    /// <summary>Enqueues the copy of indices into a state, unless the step is skipped.</summary>
    private protected void Commit(
        AcceleratorStream stream, in UpdateCall call, ArrayView<int> from, ArrayView<int> to) => _commitIndices.Run(
        stream, new CommitIndices { From = from, To = to, Control = ControlOf(call) }, 0, to.Length);

    /// <summary>Enqueues p = p decay - rate scale direction, with all that the call asks for.</summary>
    private protected void Descend(
        AcceleratorStream stream, int parameter, in UpdateCall call, ArrayView<float> direction,
        ArrayView<StepControl> control, double scale = 1)
    {
        UpdateCall step = call;
        step.G = direction;
        step.A = step.B = step.C = default;
        step.GradientFactor = (float)scale;
        step.Extras = call.Extras with
        {
            Control = call.Extras.Control.IsValid ? control.Cast<float>() : default,
        };
        _descent.Step(stream, step, _descents[parameter]);
    }

    private protected override void Launch(AcceleratorStream stream, in UpdateCall call, int[] steps)
    {
        for (int i = 0; i < steps.Length; i++)
        {
            if (IsFrozen(i))
            {
                continue;
            }

            UpdateCall part = Arena.CallOf(call, i);
            part.Step = steps[i];
            if (_isMatrix[i])
            {
                LaunchMatrix(stream, i, part);
            }
            else
            {
                part.A = _mean[i]!.View.As<float>();
                part.B = _square[i]!.View.As<float>();
                _adam.Step(stream, part, _fallbacks[i]);
            }
        }
    }

    private void Accumulate<TGrad>(
        AcceleratorStream stream, in UpdateCall call, float keep, TensorView from, float gain, ArrayView<float> to)
        where TGrad : struct, IStorage =>
        _kernels.Get((accelerator, facts) => new ItemLauncher<AccumulateWork<TGrad>>(accelerator, facts)).Run(
            stream,
            new AccumulateWork<TGrad>
            {
                G = Stored.Of<TGrad>(call.G),
                From = keep == 0 ? to : from.As<float>(),
                To = to,
                Control = ControlOf(call),
                Keep = keep,
                Gain = gain * call.GradientFactor,
            },
            0, to.Length);

    private void Derive()
    {
        _fallbacks = [.. Options.Select(o => ((MatrixOptions)o).Fallback)];
        _descents = [.. Options.Select(
            o => s_descent with { LearningRate = o.LearningRate, WeightDecay = o.WeightDecay })];
    }
}
