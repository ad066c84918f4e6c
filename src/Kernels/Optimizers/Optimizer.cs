using System.Diagnostics.CodeAnalysis;
using ILGPU.Runtime;
using Kernels.Host;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>
/// An optimizer over many named parameters: they and their state lie in one arena, and a step is one launch however
/// many there are.
/// </summary>
/// <remarks>
/// Parameters may have options of their own (learning rate, decay, betas) and may be frozen; the step counts of a
/// parameter are its own. Parameters that live in the caller's memory are borrowed and, unless that is the host's, cost a
/// launch each. Use an optimizer from one thread at a time.
/// <example><code>
/// using Session session = Session.Open();
/// using var adam = new Optimizer(session, new AdamWOptions { LearningRate = 1e-3 }, [new Parameter("w", weights)]);
/// adam.Step(gradient);
/// adam.Download("w", weights);
/// </code></example>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed partial class Optimizer : IDisposable
{
    private readonly Session _session;
    private readonly Arena _arena;
    private readonly OptimizerEngine _engine;
    private readonly OptimizerSettings _settings;
    private readonly ParameterTensors _tensors;
    private readonly ParameterChoices _choices;
    private readonly Checkpoint _checkpoint;
    private readonly int[] _steps;
    private readonly StepGuard? _guard;
    private int _stepCount;
    private bool _isArranged;
    private bool _isRescaled; // arranged, but for the learning rates
    private bool _isPending; // whether the last step was skipped is known to the device alone
    private bool _disposed;

    /// <summary>Allocates the arena and copies the initial values into it.</summary>
    /// <param name="session">Where the optimizer lives; it must outlive the optimizer.</param>
    /// <param name="options">The algorithm, and the options of parameters that have none of their own.</param>
    /// <param name="parameters">The parameters, in the order they are saved.</param>
    /// <param name="settings">Storages and what is fused into the step; null takes F32 and nothing.</param>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ArgumentException">
    /// Names repeat, settings contradict each other, borrowed memory does not fit, or a parameter's options are of
    /// another algorithm.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The session is disposed.</exception>
    public Optimizer(
        Session session, OptimizerOptions options, IReadOnlyList<Parameter> parameters,
        OptimizerSettings? settings = null)
    {
        Require.NotNull(session);
        Require.NotNull(options);
        Require.NotNull(parameters);
        session.ThrowIfDisposed();
        options.Validate(nameof(options));
        _session = session;
        _settings = settings ?? new OptimizerSettings();
        OptimizerSettings.Validate(_settings, options);
        Options = options;
        _arena = new Arena(parameters, _settings.StateStorage);
        _steps = new int[parameters.Count];
        Accelerator accelerator = session.Accelerator;
        if (accelerator.AcceleratorType == AcceleratorType.CPU && parameters.Any(p => p.IsBorrowed))
        {
            _arena.Places = new HostPlaces(_arena);
        }

        ParameterTensors.CheckBorrowed(accelerator, parameters, _settings);
        _engine = options.CreateEngine(accelerator, _arena, _settings);
        try
        {
            _choices = new ParameterChoices(options, _engine, parameters);
        }
        catch
        {
            _engine.Dispose();
            throw;
        }

        _tensors = new ParameterTensors(accelerator, _arena, _settings);
        if (_settings.MaxGradientNorm is not null || _settings.LossScaling is not null)
        {
            _guard = new StepGuard(accelerator, _settings, _arena);
        }

        _checkpoint = new Checkpoint(options, _arena, _tensors, _engine, _guard?.Scaler);
        for (int i = 0; i < parameters.Count; i++)
        {
            _arena.Places?.Set(i, _tensors.ValuesOf(i), _tensors.GradientOf(i));
            _tensors.Set(session.Stream, i, parameters[i].Values.Span);
        }
    }

    /// <summary>The algorithm, and the options of parameters that have none of their own.</summary>
    public OptimizerOptions Options { get; }

    /// <summary>The parameters, in the order given.</summary>
    public IReadOnlyList<Parameter> Parameters => _arena.Parameters;

    /// <summary>How the tensors are kept, and what is fused into the step.</summary>
    public OptimizerSettings Settings => _settings;

    /// <summary>Steps taken; a skipped one does not count. Waits for the last step if it may have been skipped.</summary>
    /// <exception cref="ObjectDisposedException">The optimizer or its session is disposed.</exception>
    public int StepCount
    {
        get
        {
            Settle();
            return _stepCount;
        }
    }

    /// <summary>The scale of the loss that the next gradients are to come from; 1 without loss scaling.</summary>
    /// <exception cref="ObjectDisposedException">The optimizer or its session is disposed.</exception>
    public double LossScale
    {
        get
        {
            Settle();
            return _guard?.LossScale(_session.Stream) ?? 1;
        }
    }

    /// <summary>The norm of the unscaled gradients of the last step, before clipping. Waits for it.</summary>
    /// <exception cref="InvalidOperationException">The settings ask for neither clipping nor loss scaling.</exception>
    /// <exception cref="ObjectDisposedException">The optimizer or its session is disposed.</exception>
    public float GradientNorm
    {
        get
        {
            ThrowIfDisposed();
            return _guard?.Norm(_session.Stream)
                ?? throw new InvalidOperationException("The settings ask for neither clipping nor loss scaling.");
        }
    }

    /// <summary>Multiplies every parameter's learning rate, for schedules; finite and not negative.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative or not a number.</exception>
    public double LearningRateFactor
    {
        get => _choices.LearningRateFactor;
        set
        {
            Require.NotNegative(value);
            if (value != _choices.LearningRateFactor)
            {
                ThrowIfDisposed();
                _choices.LearningRateFactor = value;
                _isRescaled = true;
            }
        }
    }

    /// <summary>Takes one step with the gradients that lie in device memory.</summary>
    /// <exception cref="ObjectDisposedException">The optimizer or its session is disposed.</exception>
    public void Step()
    {
        Settle();
        Arrange();
        _stepCount++;
        _guard?.Prepare(_session.Stream, _tensors.G, _choices.Frozen);
        UpdateCall call = new()
        {
            P = _tensors.P,
            G = _tensors.G,
            Places = _arena.Places,
            GradientFactor = Options.Maximize ? -1f : 1f,
            RandomStep = (uint)_stepCount,
            Extras = new UpdateExtras
            {
                Control = _guard is null ? default : _guard.Control,
                Copy = _tensors.Copy,
                Average = _tensors.Average.As<float>(),
                AverageRate = _settings.Averaging == WeightAveraging.Exponential
                    ? 1 - _settings.AverageDecay
                    : 1.0 / _stepCount,
                StochasticRounding = _settings.StochasticRounding,
                Seed = _settings.Seed,
            },
        };
        _engine.Step(_session.Stream, call, _steps);
        _isPending = _guard is not null;
    }

    /// <summary>Copies the gradient of the only parameter to the device and takes one step.</summary>
    /// <param name="gradient">[n] of the parameter.</param>
    /// <exception cref="InvalidOperationException">There is not exactly one parameter.</exception>
    /// <exception cref="ArgumentException">The length does not fit.</exception>
    public void Step(ReadOnlySpan<float> gradient)
    {
        ThrowIfDisposed();
        if (Parameters.Count != 1)
        {
            throw new InvalidOperationException(
                $"There are {Parameters.Count} parameters: set each gradient by its name, then call Step().");
        }

        SetGradient(Parameters[0].Name, gradient);
        Step();
    }

    /// <summary>The parameter in device memory: the F32 master where there is one.</summary>
    /// <param name="name">The parameter's name.</param>
    /// <returns>Its view, [n]; valid as long as the optimizer.</returns>
    /// <exception cref="ArgumentException">There is no such parameter.</exception>
    public TensorView View(string name) => _tensors.ValuesOf(Index(name));

    /// <summary>The gradient in device memory, to be written before a step.</summary>
    /// <param name="name">The parameter's name.</param>
    /// <returns>Its view, [n]; valid as long as the optimizer.</returns>
    /// <exception cref="ArgumentException">There is no such parameter.</exception>
    public TensorView Gradient(string name) => _tensors.GradientOf(Index(name));

    /// <summary>The 16-bit copy of a parameter whose F32 master the optimizer keeps.</summary>
    /// <param name="name">The parameter's name.</param>
    /// <returns>Its view, [n].</returns>
    /// <exception cref="ArgumentException">There is no such parameter.</exception>
    /// <exception cref="InvalidOperationException">The optimizer keeps no master.</exception>
    public TensorView Copy(string name) => _tensors.CopyOf(Index(name));

    /// <summary>The average of a parameter.</summary>
    /// <param name="name">The parameter's name.</param>
    /// <returns>Its view, [n], F32.</returns>
    /// <exception cref="ArgumentException">There is no such parameter.</exception>
    /// <exception cref="InvalidOperationException">The optimizer keeps no average.</exception>
    public TensorView Average(string name) => _tensors.AverageOf(Index(name));

    /// <summary>A state tensor of a parameter.</summary>
    /// <param name="name">The parameter's name.</param>
    /// <param name="state">Its name, such as <c>exp_avg</c>.</param>
    /// <returns>Its view, F32; mostly [n].</returns>
    /// <exception cref="ArgumentException">
    /// There is no such parameter or state, or the state is kept in 8 bits (its scales, <c>exp_avg.absmax</c>, are F32).
    /// </exception>
    public TensorView State(string name, string state)
    {
        int i = Index(name);
        StateTensor tensor = Find(i, state);
        return tensor.Codes.IsValid || tensor.Indices.IsValid
            ? throw new ArgumentException(
                $"The state '{state}' is kept as {(tensor.Codes.IsValid ? "8-bit codes" : "whole numbers")}: "
                + $"{nameof(DownloadState)} reads it.",
                nameof(state))
            : tensor.View;
    }

    /// <summary>Reads a state tensor of a parameter, decoded where it is kept in 8 bits. Waits for the work before.</summary>
    /// <param name="name">The parameter's name.</param>
    /// <param name="state">Its name, such as <c>exp_avg</c>.</param>
    /// <param name="values">As many as the state has, written.</param>
    /// <exception cref="ArgumentException">There is no such parameter or state, or the length does not fit.</exception>
    public void DownloadState(string name, string state, Span<float> values)
    {
        StateTensor tensor = Find(Index(name), state);
        if (tensor.Decoder is { } decode)
        {
            Require.Length(tensor.DecodedLength, values.Length, nameof(values));
            decode(_session.Stream, values);
        }
        else if (tensor.Codes.IsValid)
        {
            Require.Length(tensor.Codes.Length, values.Length, nameof(values));
            TensorCopy.Download(_session.Stream, tensor.Codes, tensor.CodeScales, tensor.Map, values);
        }
        else if (tensor.Indices.IsValid)
        {
            Require.Length(tensor.Indices.Length, values.Length, nameof(values));
            var numbers = new int[values.Length];
            tensor.Indices.CopyToCPU(_session.Stream, numbers);
            for (int k = 0; k < numbers.Length; k++)
            {
                values[k] = numbers[k]; // below 2^24
            }
        }
        else
        {
            Require.Length(tensor.View.Length, values.Length, nameof(values));
            TensorCopy.Download(_session.Stream, tensor.View, values);
        }
    }

    /// <summary>Steps this parameter has taken; it takes none while it is frozen.</summary>
    /// <param name="name">The parameter's name.</param>
    /// <exception cref="ArgumentException">There is no such parameter.</exception>
    public int StepsOf(string name)
    {
        Settle();
        return _steps[Index(name)];
    }

    /// <summary>Gives a parameter other values, in the copy and the average too.</summary>
    /// <param name="name">The parameter's name.</param>
    /// <param name="values">[n].</param>
    /// <exception cref="ArgumentException">There is no such parameter, or the length does not fit.</exception>
    public void Upload(string name, ReadOnlySpan<float> values)
    {
        int i = Index(name);
        Require.Length(Parameters[i].Length, values.Length, nameof(values));
        _tensors.Set(_session.Stream, i, values);
    }

    /// <summary>Reads a parameter; waits for the work before.</summary>
    /// <param name="name">The parameter's name.</param>
    /// <param name="values">[n], written.</param>
    /// <exception cref="ArgumentException">There is no such parameter, or the length does not fit.</exception>
    public void Download(string name, Span<float> values) => Download(View(name), values);

    /// <summary>Reads any tensor of the optimizer, such as <see cref="State(string, string)"/>.</summary>
    /// <param name="source">A view of the optimizer.</param>
    /// <param name="values">[n], written.</param>
    /// <exception cref="ArgumentException">The length does not fit.</exception>
    public void Download(TensorView source, Span<float> values)
    {
        ThrowIfDisposed();
        Require.Tensor(_session.Accelerator, values.Length, source);
        TensorCopy.Download(_session.Stream, source, values);
    }

    /// <summary>Copies a gradient to the device.</summary>
    /// <param name="name">The parameter's name.</param>
    /// <param name="values">[n].</param>
    /// <exception cref="ArgumentException">There is no such parameter, or the length does not fit.</exception>
    public void SetGradient(string name, ReadOnlySpan<float> values)
    {
        TensorView gradient = Gradient(name);
        Require.Length(gradient.Length, values.Length, nameof(values));
        TensorCopy.Upload(_session.Stream, values, gradient);
    }

    /// <summary>Gives a parameter other options from the next step on.</summary>
    /// <param name="name">The parameter's name.</param>
    /// <param name="options">Options that ask for the same state.</param>
    /// <exception cref="ArgumentException">There is no such parameter, or the options are of another algorithm.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    public void SetOptions(string name, OptimizerOptions options)
    {
        int i = Index(name);
        Require.NotNull(options);
        _choices.SetOptions(i, options, name);
        Regroup();
    }

    /// <summary>Freezes a parameter, or thaws it.</summary>
    /// <param name="name">The parameter's name.</param>
    /// <param name="frozen">True: steps leave it and its state as they are.</param>
    /// <exception cref="ArgumentException">There is no such parameter.</exception>
    public void SetFrozen(string name, bool frozen) => SetFrozen(Index(name), frozen);

    /// <summary>Releases the arena.</summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        _engine.Dispose();
        _guard?.Dispose();
        _tensors.Dispose();
    }

    /// <summary>The state tensors of a parameter.</summary>
    internal IReadOnlyList<StateTensor> StateOf(int parameter) => _engine.StateOf(parameter);

    /// <summary>State of the optimizer as a whole.</summary>
    internal IReadOnlyList<StateTensor> SharedState => _engine.SharedState;

    /// <summary>Borrows other memory, on the host, for a borrowed parameter and its gradient; arguments are checked.</summary>
    internal void Bind(int parameter, TensorView view, TensorView gradient)
    {
        Parameters[parameter].Bind(view, gradient);
        _arena.Places!.Set(parameter, view, gradient);
    }

    /// <summary>Freezes a parameter, or thaws it.</summary>
    internal void SetFrozen(int parameter, bool frozen)
    {
        if (_choices.Frozen[parameter] != frozen)
        {
            _choices.Frozen[parameter] = frozen;
            Regroup();
        }
    }

    /// <summary>Gives all parameters the same other options from the next step on.</summary>
    /// <exception cref="ArgumentException">The options are of another algorithm or ask for other state.</exception>
    internal void SetOptions(OptimizerOptions options)
    {
        ThrowIfDisposed();
        _choices.SetOptions(options);
        // They all had the same options before: who steps with whom stays.
        _isRescaled = true;
    }

    /// <summary>Says how many steps a parameter has taken.</summary>
    internal void SetSteps(int parameter, int steps)
    {
        Settle();
        _steps[parameter] = steps;
        _stepCount = Math.Max(_stepCount, steps);
        Regroup();
    }

    private StateTensor Find(int parameter, string state)
    {
        IReadOnlyList<StateTensor> tensors = [.. _engine.StateOf(parameter), .. _engine.SharedState];
        foreach (StateTensor tensor in tensors)
        {
            if (string.Equals(tensor.State, state, StringComparison.Ordinal))
            {
                return tensor;
            }
        }

        throw new ArgumentException(
            $"There is no state '{state}'; there is [{string.Join(", ", tensors.Select(t => t.State))}].",
            nameof(state));
    }

    private int Index(string name)
    {
        ThrowIfDisposed();
        return _arena.IndexOf(name);
    }

    /// <summary>Learns whether the last step was skipped, and takes it back from the counts if so.</summary>
    private void Settle()
    {
        ThrowIfDisposed();
        if (!_isPending)
        {
            return;
        }

        _isPending = false;
        if (!_guard!.WasTaken(_session.Stream))
        {
            _stepCount--;
            _engine.TakeBack(_steps);
        }
    }

    private void Regroup()
    {
        Settle();
        _isArranged = false;
    }

    private void Arrange()
    {
        if (!_isArranged)
        {
            _engine.Arrange(_choices.Effective(), _choices.Frozen, _steps);
        }
        else if (_isRescaled)
        {
            _engine.Rescale(_choices.Effective());
        }

        _isArranged = true;
        _isRescaled = false;
    }

    private void ThrowIfDisposed()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        _session.ThrowIfDisposed();
    }
}
