using System.Globalization;
using ILGPU.Runtime;
using Kernels.Serialization;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>
/// An optimizer over many named parameters: they and their state lie in one arena, and a step is one launch however
/// many there are.
/// </summary>
/// <remarks>
/// Parameters may have options of their own (learning rate, decay, betas) and may be frozen; the step counts of a
/// parameter are its own. Parameters that live in the caller's memory are borrowed and cost a launch each. Use an
/// optimizer from one thread at a time.
/// <example><code>
/// using Session session = Session.Open();
/// using var adam = new Optimizer(session, new AdamWOptions { LearningRate = 1e-3 }, [new Parameter("w", weights)]);
/// adam.Step(gradient);
/// adam.Download("w", weights);
/// </code></example>
/// </remarks>
public sealed class Optimizer : IDisposable
{
    private readonly Session _session;
    private readonly Arena _arena;
    private readonly Updater _updater;
    private readonly OptimizerSettings _settings;
    private readonly ArenaTensor _p;
    private readonly ArenaTensor _g;
    private readonly ArenaTensor _copy;
    private readonly ArenaTensor _average;
    private readonly ArenaTensor[] _state;
    private readonly ElementwiseOptions[] _options;
    private readonly bool[] _frozen;
    private readonly int[] _steps;
    private readonly StepGuard? _guard;
    private double _learningRateFactor = 1;
    private int _stepCount;
    private StepGroups? _groups;
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
        Session session, ElementwiseOptions options, IReadOnlyList<Parameter> parameters,
        OptimizerSettings? settings = null)
    {
        Require.NotNull(session);
        Require.NotNull(options);
        Require.NotNull(parameters);
        session.ThrowIfDisposed();
        options.Validate(nameof(options));
        _session = session;
        _settings = settings ?? new OptimizerSettings();
        OptimizerSettings.Validate(_settings);
        Options = options;
        _arena = new Arena(parameters);
        _options = new ElementwiseOptions[parameters.Count];
        _frozen = new bool[parameters.Count];
        _steps = new int[parameters.Count];
        Accelerator accelerator = session.Accelerator;
        for (int i = 0; i < parameters.Count; i++)
        {
            Parameter parameter = parameters[i];
            _options[i] = Fitting(parameter.Options ?? options, parameter.Name);
            _frozen[i] = parameter.IsFrozen;
            if (parameter.IsBorrowed)
            {
                CheckBorrowed(accelerator, parameter);
            }
        }

        _updater = options.Form.Load(accelerator);
        long length = _arena.Length;
        bool master = _settings.Master;
        _p = ArenaTensor.Create(accelerator, _arena.OwnedLength, master ? Storage.F32 : _settings.Parameters);
        _g = ArenaTensor.Create(accelerator, _arena.OwnedLength, _settings.Gradients);
        _copy = ArenaTensor.Create(accelerator, master ? length : 0, _settings.Parameters);
        _average = ArenaTensor.Create(
            accelerator, _settings.Averaging == WeightAveraging.None ? 0 : length, Storage.F32);
        _state = new ArenaTensor[options.StateNames.Count];
        for (int slot = 0; slot < _state.Length; slot++)
        {
            _state[slot] = ArenaTensor.Create(accelerator, length, Storage.F32, options.InitialState(slot));
        }

        if (_settings.MaxGradientNorm is not null || _settings.LossScaling is not null)
        {
            _guard = new StepGuard(accelerator, _settings, _arena);
        }

        for (int i = 0; i < parameters.Count; i++)
        {
            if (!parameters[i].Values.IsEmpty)
            {
                Set(i, parameters[i].Values.Span);
            }
        }
    }

    /// <summary>The algorithm, and the options of parameters that have none of their own.</summary>
    public ElementwiseOptions Options { get; }

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
        get => _learningRateFactor;
        set
        {
            Require.NotNegative(value);
            if (value != _learningRateFactor)
            {
                _learningRateFactor = value;
                Regroup();
            }
        }
    }

    /// <summary>Takes one step with the gradients that lie in device memory.</summary>
    /// <exception cref="ObjectDisposedException">The optimizer or its session is disposed.</exception>
    public void Step()
    {
        Settle();
        _groups ??= Group();
        _stepCount++;
        _guard?.Prepare(_session.Stream, _g.View, _frozen);
        UpdateCall call = new()
        {
            P = _p.View,
            G = _g.View,
            A = State(0),
            B = State(1),
            C = State(2),
            GradientFactor = Options.Maximize ? -1f : 1f,
            RandomStep = (uint)_stepCount,
            Extras = new UpdateExtras
            {
                Control = _guard is null ? default : _guard.Control,
                Copy = _copy.View,
                Average = _average.View.As<float>(),
                AverageRate = _settings.Averaging == WeightAveraging.Exponential
                    ? 1 - _settings.AverageDecay
                    : 1.0 / _stepCount,
                StochasticRounding = _settings.StochasticRounding,
                Seed = _settings.Seed,
            },
        };
        _groups.Step(_session.Stream, call, _steps);
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
    public TensorView View(string name)
    {
        int i = Index(name);
        return Parameters[i].IsBorrowed ? Parameters[i].View : Segment(_p, i);
    }

    /// <summary>The gradient in device memory, to be written before a step.</summary>
    /// <param name="name">The parameter's name.</param>
    /// <returns>Its view, [n]; valid as long as the optimizer.</returns>
    /// <exception cref="ArgumentException">There is no such parameter.</exception>
    public TensorView Gradient(string name)
    {
        int i = Index(name);
        return Parameters[i].IsBorrowed ? Parameters[i].Gradient : Segment(_g, i);
    }

    /// <summary>The 16-bit copy of a parameter whose F32 master the optimizer keeps.</summary>
    /// <param name="name">The parameter's name.</param>
    /// <returns>Its view, [n].</returns>
    /// <exception cref="ArgumentException">There is no such parameter.</exception>
    /// <exception cref="InvalidOperationException">The optimizer keeps no master.</exception>
    public TensorView Copy(string name)
    {
        int i = Index(name);
        return _settings.Master
            ? Segment(_copy, i)
            : throw new InvalidOperationException("There is no copy: the settings ask for no master.");
    }

    /// <summary>The average of a parameter.</summary>
    /// <param name="name">The parameter's name.</param>
    /// <returns>Its view, [n], F32.</returns>
    /// <exception cref="ArgumentException">There is no such parameter.</exception>
    /// <exception cref="InvalidOperationException">The optimizer keeps no average.</exception>
    public TensorView Average(string name)
    {
        int i = Index(name);
        return _settings.Averaging != WeightAveraging.None
            ? Segment(_average, i)
            : throw new InvalidOperationException("There is no average: the settings ask for none.");
    }

    /// <summary>A state tensor of a parameter.</summary>
    /// <param name="name">The parameter's name.</param>
    /// <param name="state">One of the options' <see cref="ElementwiseOptions.StateNames"/>.</param>
    /// <returns>Its view, [n], F32.</returns>
    /// <exception cref="ArgumentException">There is no such parameter or state.</exception>
    public TensorView State(string name, string state)
    {
        int i = Index(name);
        for (int slot = 0; slot < _state.Length; slot++)
        {
            if (string.Equals(Options.StateNames[slot], state, StringComparison.Ordinal))
            {
                return Segment(_state[slot], i);
            }
        }

        throw new ArgumentException(
            $"There is no state '{state}'; there is [{string.Join(", ", Options.StateNames)}].", nameof(state));
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
        Set(i, values);
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
    public void SetOptions(string name, ElementwiseOptions options)
    {
        int i = Index(name);
        Require.NotNull(options);
        _options[i] = Fitting(options, name);
        Regroup();
    }

    /// <summary>Freezes a parameter, or thaws it.</summary>
    /// <param name="name">The parameter's name.</param>
    /// <param name="frozen">True: steps leave it and its state as they are.</param>
    /// <exception cref="ArgumentException">There is no such parameter.</exception>
    public void SetFrozen(string name, bool frozen)
    {
        int i = Index(name);
        if (_frozen[i] != frozen)
        {
            _frozen[i] = frozen;
            Regroup();
        }
    }

    /// <summary>Saves parameters, state and counts in safetensors format.</summary>
    /// <remarks>
    /// A parameter <c>w</c> is the tensor <c>w</c>; its state <c>w.exp_avg</c> and so on with PyTorch's names; its count
    /// of steps <c>w.step</c>; its average <c>w.average</c>.
    /// </remarks>
    /// <param name="stream">Where the file goes; stays open.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">The stream cannot be written, or two tensors would have one name.</exception>
    public void Save(Stream stream)
    {
        Require.NotNull(stream);
        Settle();
        Dictionary<string, string> metadata = OptimizerFile.Metadata(Options);
        if (_guard?.Scaler is { } scaler)
        {
            (double scale, int clean) = scaler.Save(_session.Stream);
            metadata["loss_scale"] = scale.ToString("R", CultureInfo.InvariantCulture);
            metadata["clean_steps"] = clean.ToString(CultureInfo.InvariantCulture);
        }

        metadata["step"] = _stepCount.ToString(CultureInfo.InvariantCulture);
        OptimizerFile.Save(stream, _session.Stream, Entries(), _steps, metadata);
    }

    /// <summary>Loads what <see cref="Save"/> wrote for the same parameters, algorithm and storages.</summary>
    /// <param name="stream">The file; seekable; stays open.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="InvalidDataException">The file does not fit; the message says why, and nothing is changed.</exception>
    public void Load(Stream stream)
    {
        Require.NotNull(stream);
        Settle();
        using var file = new SafeTensorsFile(stream, leaveOpen: true);
        List<OptimizerFile.Entry> entries = Entries();
        OptimizerFile.Check(file, entries, OptimizerFile.Metadata(Options));
        int step = Number<int>(file, "step");
        if (_guard?.Scaler is { } scaler)
        {
            double scale = Number<double>(file, "loss_scale");
            int clean = Number<int>(file, "clean_steps");
            try
            {
                scaler.Load(_session.Stream, scale, clean);
            }
            catch (ArgumentOutOfRangeException e)
            {
                throw new InvalidDataException($"The file's loss scale is no loss scale: {e.Message}", e);
            }
        }

        OptimizerFile.Load(file, _session.Stream, entries, _steps);
        _stepCount = step;
        for (int i = 0; i < Parameters.Count && _settings.Master; i++)
        {
            var values = new float[Parameters[i].Length];
            Download(Parameters[i].Name, values);
            TensorCopy.Upload(_session.Stream, values, Segment(_copy, i));
        }

        Regroup();
    }

    /// <summary>Releases the arena.</summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        _groups?.Dispose();
        _guard?.Dispose();
        _p.Dispose();
        _g.Dispose();
        _copy.Dispose();
        _average.Dispose();
        foreach (ArenaTensor state in _state)
        {
            state.Dispose();
        }
    }

    private static T Number<T>(SafeTensorsFile file, string key)
        where T : ISpanParsable<T> =>
        T.TryParse(file.Metadata.GetValueOrDefault(key), CultureInfo.InvariantCulture, out T? number)
            ? number
            : throw new InvalidDataException($"The file's metadata lack a number '{key}'.");

    private List<OptimizerFile.Entry> Entries()
    {
        var entries = new List<OptimizerFile.Entry>();
        for (int i = 0; i < Parameters.Count; i++)
        {
            Parameter parameter = Parameters[i];
            long[] shape = [.. parameter.Shape];
            TensorView view = View(parameter.Name);
            Add(parameter.Name, view, parameter.Length == 0 ? _p.View.Storage : view.Storage);
            for (int slot = 0; slot < _state.Length; slot++)
            {
                Add($"{parameter.Name}.{Options.StateNames[slot]}", Segment(_state[slot], i), Storage.F32);
            }

            if (_settings.Averaging != WeightAveraging.None)
            {
                Add($"{parameter.Name}.average", Segment(_average, i), Storage.F32);
            }

            entries.Add(new(new SafeTensorInfo($"{parameter.Name}.step", SafeTensorType.I64), default, i));

            void Add(string name, TensorView tensor, Storage storage) =>
                entries.Add(new(new SafeTensorInfo(name, OptimizerFile.TypeOf(storage), shape), tensor, i));
        }

        return entries;
    }

    private ILGPU.ArrayView<float> State(int slot) => slot < _state.Length ? _state[slot].View.As<float>() : default;

    private TensorView Segment(ArenaTensor tensor, int i) =>
        Parameters[i].Length == 0 ? default : tensor.View.Slice(_arena.Firsts[i], Parameters[i].Length);

    private void Set(int i, ReadOnlySpan<float> values)
    {
        if (values.IsEmpty)
        {
            return;
        }

        AcceleratorStream stream = _session.Stream;
        TensorCopy.Upload(stream, values, Parameters[i].IsBorrowed ? Parameters[i].View : Segment(_p, i));
        if (_settings.Master)
        {
            TensorCopy.Upload(stream, values, Segment(_copy, i));
        }

        if (_settings.Averaging != WeightAveraging.None)
        {
            TensorCopy.Upload(stream, values, Segment(_average, i));
        }
    }

    private int Index(string name)
    {
        ThrowIfDisposed();
        return _arena.IndexOf(name);
    }

    private ElementwiseOptions Fitting(OptimizerOptions options, string name)
    {
        options.Validate(nameof(options));
        return options is ElementwiseOptions fitting && fitting.Form == Options.Form
            && fitting.Maximize == Options.Maximize
            ? fitting
            : throw new ArgumentException(
                $"The options of '{name}' must be of the optimizer's algorithm and form ({Options.GetType().Name} with "
                + $"the state [{string.Join(", ", Options.StateNames)}]), and are {options.GetType().Name}.",
                nameof(options));
    }

    private void CheckBorrowed(Accelerator accelerator, Parameter parameter)
    {
        Require.Tensor(accelerator, parameter.Length, parameter.View, $"{parameter.Name}.View");
        Require.Tensor(accelerator, parameter.Length, parameter.Gradient, $"{parameter.Name}.Gradient");
        Require.Apart(
            parameter.View, parameter.Gradient, $"{parameter.Name}.View", $"{parameter.Name}.Gradient");
        if (_settings.Master && parameter.View.Storage != Storage.F32)
        {
            throw new ArgumentException(
                $"With a master, the borrowed parameter '{parameter.Name}' must be F32, and is {parameter.View.Storage}.",
                nameof(parameter));
        }
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
            _groups!.TakeBack(_steps);
        }
    }

    private void Regroup()
    {
        Settle();
        _groups?.Dispose();
        _groups = null;
    }

    private StepGroups Group()
    {
        var effective = new ElementwiseOptions[_options.Length];
        for (int i = 0; i < effective.Length; i++)
        {
            effective[i] = _learningRateFactor == 1
                ? _options[i]
                : _options[i] with { LearningRate = _options[i].LearningRate * _learningRateFactor };
        }

        return new StepGroups(_updater, _arena, effective, _frozen, _steps);
    }

    private void ThrowIfDisposed()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        _session.ThrowIfDisposed();
    }
}
