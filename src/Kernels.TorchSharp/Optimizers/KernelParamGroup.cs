using Kernels.Optimizers;
using TorchOptim = global::TorchSharp.torch.optim;
using TorchParameter = global::TorchSharp.Modules.Parameter;

namespace Kernels.TorchSharp.Optimizers;

/// <summary>Parameters with options of their own.</summary>
public class KernelParamGroup : global::TorchSharp.Modules.ParamGroup<KernelOptions>
{
    /// <summary>A group.</summary>
    /// <param name="parameters">Its parameters.</param>
    /// <param name="options">Its algorithm, which is that of the optimizer, and its options; null takes the optimizer's.</param>
    /// <exception cref="ArgumentNullException">There are no parameters.</exception>
    public KernelParamGroup(IEnumerable<TorchParameter> parameters, OptimizerOptions? options = null)
        : base(parameters, options is null ? null! : new KernelOptions(options)) =>
        ArgumentNullException.ThrowIfNull(parameters);

    private protected KernelParamGroup(IReadOnlyList<TorchParameter> parameters, KernelOptions options)
        : base(parameters, options)
    {
    }

    /// <summary>
    /// The group as the optimizer keeps it: its options are the same object, and schedulers that change betas or momentum
    /// find them.
    /// </summary>
    internal static KernelParamGroup Create(IReadOnlyList<TorchParameter> parameters, KernelOptions options) =>
        options.Beta1 is not null ? new BetasGroup(parameters, options)
        : options.Momentum is not null ? new MomentumGroup(parameters, options)
        : new KernelParamGroup(parameters, options);

    private sealed class BetasGroup(IReadOnlyList<TorchParameter> parameters, KernelOptions options)
        : KernelParamGroup(parameters, options), TorchOptim.IBetas
    {
        public (double, double) Betas
        {
            get => (Options.Beta1!.Value, Options.Beta2);
            set => Options.SetBetas(value.Item1, value.Item2);
        }
    }

    private sealed class MomentumGroup(IReadOnlyList<TorchParameter> parameters, KernelOptions options)
        : KernelParamGroup(parameters, options), TorchOptim.IMomentum
    {
        public double Momentum
        {
            get => Options.Momentum!.Value;
            set => Options.SetMomentum(value);
        }
    }
}
