using global::TorchSharp;
using Kernels.Optimizers;
using TorchGroup = global::TorchSharp.Modules.ParamGroup;
using TorchParameter = global::TorchSharp.Modules.Parameter;

namespace Kernels.TorchSharp.Optimizers;

/// <summary>
/// An optimizer of the library in the place of one of TorchSharp's: parameter groups, learning-rate schedulers,
/// <c>zero_grad</c> and <c>state_dict</c> are as there. <see cref="KernelOptimizers"/> makes them.
/// </summary>
/// <remarks>
/// Parameters and gradients are Float32, Float16 or BFloat16, contiguous and on the CPU, and are worked on where they lie;
/// state is in one arena for each group, and a step of an element-wise algorithm, of LAMB, Adafactor or AdaGradNorm is a
/// few walks over all parameters of the group. What sums belong to (AdaGradNorm's rate) is the group. A parameter without a gradient
/// is left out. A step writes behind autograd's back: do not go back through a graph that was made before it.
/// </remarks>
public abstract class KernelOptimizer : global::TorchSharp.Modules.OptimizerHelper
{
    private readonly StateStorage _stateStorage;
    private readonly List<ParameterSegment> _segments = [];

    private protected KernelOptimizer(IEnumerable<TorchGroup> groups, OptimizerOptions options, StateStorage stateStorage)
    {
        _stateStorage = stateStorage;
        _defaults = new KernelOptions(options);
        _parameter_groups = [];
        foreach (TorchGroup group in groups)
        {
            Add(group);
        }
    }

    private protected KernelOptions Defaults => (KernelOptions)_defaults;

    /// <summary>Adds parameters, with options of their own or with the optimizer's.</summary>
    /// <param name="param_group">A <see cref="KernelParamGroup"/>, or any group without options.</param>
    /// <exception cref="ArgumentNullException">There is no group.</exception>
    /// <exception cref="ArgumentException">
    /// The options are not of the optimizer's algorithm, a parameter is there already, is not on the CPU, not dense, not
    /// contiguous or of another type; nothing is added.
    /// </exception>
    /// <exception cref="ObjectDisposedException">A parameter is disposed.</exception>
    public override void add_param_group(TorchGroup param_group)
    {
        ArgumentNullException.ThrowIfNull(param_group);
        Add(param_group);
    }

    /// <summary>Takes a step with the gradients that the parameters have.</summary>
    /// <param name="closure">Evaluates the loss and its gradients first, if it is given.</param>
    /// <returns>The closure's loss, or null.</returns>
    /// <exception cref="ArgumentException">A gradient or an option does not fit; nothing is written.</exception>
    /// <exception cref="ObjectDisposedException">A parameter or the optimizer is disposed; nothing is written.</exception>
    public override torch.Tensor? step(Func<torch.Tensor>? closure = null)
    {
        torch.Tensor? loss = null;
        if (closure is not null)
        {
            using IDisposable _ = torch.enable_grad();
            loss = closure();
        }

        for (int i = 0; i < _segments.Count; i++)
        {
            _segments[i].Prepare((KernelOptions)_parameter_groups[i].Options);
        }

        foreach (ParameterSegment segment in _segments)
        {
            segment.Step();
        }

        GC.KeepAlive(this);
        return loss;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing)
        {
            _segments.ForEach(segment => segment.Dispose());
        }
    }

    private void Add(TorchGroup group)
    {
        KernelOptions options = group.Options switch
        {
            null => new KernelOptions(Defaults.Algorithm),
            KernelOptions own when own.Algorithm.GetType() == Defaults.Algorithm.GetType() => own,
            KernelOptions own => throw new ArgumentException(
                $"The group's options must be {Defaults.Algorithm.GetType().Name}, and are {own.Algorithm.GetType().Name}.",
                nameof(group)),
            _ => throw new ArgumentException(
                $"The group's options must be {nameof(KernelOptions)}, and are {group.Options.GetType()}.",
                nameof(group)),
        };
        TorchParameter[] parameters = [.. group.Parameters];
        var handles = new HashSet<nint>();
        foreach (TorchParameter parameter in parameters)
        {
            _ = TensorChecks.Dense(parameter, $"Parameter {handles.Count} of group {_segments.Count}", nameof(group));
            if (!handles.Add(parameter.Handle) || _state.ContainsKey(parameter.Handle))
            {
                throw new ArgumentException(
                    $"Parameter {handles.Count} of group {_segments.Count} is in the optimizer already.", nameof(group));
            }
        }

        var segment = new ParameterSegment(parameters, _segments.Count, options, _stateStorage);
        options.InitialLearningRate = options.LearningRate ?? options.Algorithm.LearningRate;
        _segments.Add(segment);
        _parameter_groups.Add(KernelParamGroup.Create(parameters, options));
        for (int i = 0; i < parameters.Length; i++)
        {
            _state[parameters[i].Handle] = new KernelState(parameters[i], segment, i);
        }
    }
}
