using Kernels.Optimizers;
using TorchGroup = global::TorchSharp.Modules.ParamGroup;
using TorchOptim = global::TorchSharp.torch.optim;
using TorchParameter = global::TorchSharp.Modules.Parameter;

namespace Kernels.TorchSharp.Optimizers;

/// <summary>Makes optimizers for TorchSharp's parameters.</summary>
/// <remarks>
/// <see cref="Create"/> takes every algorithm of the library.
/// The others have the names, arguments and defaults of <c>torch.optim</c>.
/// <example><code>
/// using var optimizer = KernelOptimizers.AdamW(model.parameters(), lr: 1e-3, weight_decay: 0.01);
/// optimizer.zero_grad();
/// loss.backward();
/// optimizer.step();
/// </code></example>
/// </remarks>
public static class KernelOptimizers
{
    /// <summary>Any algorithm of the library.</summary>
    /// <param name="parameters">The parameters, in one group.</param>
    /// <param name="options">The algorithm and its options.</param>
    /// <param name="stateStorage">How the state is kept; 8 bits are for Adam and AdamW.</param>
    /// <returns>The optimizer.</returns>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ArgumentException">A parameter or an option does not fit.</exception>
    public static KernelOptimizer Create(
        IEnumerable<TorchParameter> parameters, OptimizerOptions options, StateStorage stateStorage = StateStorage.F32)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        return CreateGroups([new KernelParamGroup(parameters)], options, stateStorage);
    }

    /// <summary>Any algorithm of the library, over groups.</summary>
    /// <param name="groups">Groups with options of their own, or without.</param>
    /// <param name="options">The algorithm, and the options of groups that have none of their own.</param>
    /// <param name="stateStorage">How the state is kept; 8 bits are for Adam and AdamW.</param>
    /// <returns>The optimizer.</returns>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ArgumentException">A parameter or an option does not fit.</exception>
    public static KernelOptimizer CreateGroups(
        IEnumerable<KernelParamGroup> groups, OptimizerOptions options, StateStorage stateStorage = StateStorage.F32)
    {
        ArgumentNullException.ThrowIfNull(groups);
        var defaults = new KernelOptions(options);
        return defaults.Beta1 is not null ? new BetasOptimizer(groups, options, stateStorage)
            : defaults.Momentum is not null ? new MomentumOptimizer(groups, options, stateStorage)
            : new PlainOptimizer(groups, options, stateStorage);
    }

    /// <summary>AdamW, with the arguments of <c>torch.optim.AdamW</c>.</summary>
    /// <param name="parameters">The parameters.</param>
    /// <param name="lr">Learning rate.</param>
    /// <param name="beta1">Decay of the mean of the gradients.</param>
    /// <param name="beta2">Decay of the mean of their squares.</param>
    /// <param name="eps">Added to the root.</param>
    /// <param name="weight_decay">Decoupled weight decay.</param>
    /// <param name="amsgrad">Whether the largest mean of squares counts.</param>
    /// <param name="maximize">Whether to climb.</param>
    /// <returns>The optimizer.</returns>
    /// <exception cref="ArgumentException">A parameter or an option does not fit.</exception>
    public static KernelOptimizer AdamW(
        IEnumerable<TorchParameter> parameters, double lr = 1e-3, double beta1 = 0.9, double beta2 = 0.999,
        double eps = 1e-8, double weight_decay = 0, bool amsgrad = false, bool maximize = false) =>
        Create(parameters, new AdamWOptions
        {
            LearningRate = lr,
            Beta1 = beta1,
            Beta2 = beta2,
            Epsilon = eps,
            WeightDecay = weight_decay,
            AmsGrad = amsgrad,
            Maximize = maximize,
        });

    /// <summary>Adam, with the arguments of <c>torch.optim.Adam</c>.</summary>
    /// <param name="parameters">The parameters.</param>
    /// <param name="lr">Learning rate.</param>
    /// <param name="beta1">Decay of the mean of the gradients.</param>
    /// <param name="beta2">Decay of the mean of their squares.</param>
    /// <param name="eps">Added to the root.</param>
    /// <param name="weight_decay">Weight decay, added to the gradient.</param>
    /// <param name="amsgrad">Whether the largest mean of squares counts.</param>
    /// <param name="maximize">Whether to climb.</param>
    /// <returns>The optimizer.</returns>
    /// <exception cref="ArgumentException">A parameter or an option does not fit.</exception>
    public static KernelOptimizer Adam(
        IEnumerable<TorchParameter> parameters, double lr = 1e-3, double beta1 = 0.9, double beta2 = 0.999,
        double eps = 1e-8, double weight_decay = 0, bool amsgrad = false, bool maximize = false) =>
        Create(parameters, new AdamOptions
        {
            LearningRate = lr,
            Beta1 = beta1,
            Beta2 = beta2,
            Epsilon = eps,
            WeightDecay = weight_decay,
            AmsGrad = amsgrad,
            Maximize = maximize,
        });

    /// <summary>Stochastic gradient descent, with the arguments of <c>torch.optim.SGD</c>.</summary>
    /// <param name="parameters">The parameters.</param>
    /// <param name="learningRate">Learning rate.</param>
    /// <param name="momentum">Momentum.</param>
    /// <param name="dampening">Dampening of the gradient in the momentum.</param>
    /// <param name="weight_decay">Weight decay, added to the gradient.</param>
    /// <param name="nesterov">Nesterov's momentum.</param>
    /// <param name="maximize">Whether to climb.</param>
    /// <returns>The optimizer.</returns>
    /// <exception cref="ArgumentException">A parameter or an option does not fit.</exception>
    public static KernelOptimizer SGD(
        IEnumerable<TorchParameter> parameters, double learningRate, double momentum = 0, double dampening = 0,
        double weight_decay = 0, bool nesterov = false, bool maximize = false) =>
        Create(parameters, new SgdOptions
        {
            LearningRate = learningRate,
            Momentum = momentum,
            Dampening = dampening,
            WeightDecay = weight_decay,
            Nesterov = nesterov,
            Maximize = maximize,
        });

    /// <summary>RMSProp, with the arguments of <c>torch.optim.RMSProp</c>.</summary>
    /// <param name="parameters">The parameters.</param>
    /// <param name="lr">Learning rate.</param>
    /// <param name="alpha">Decay of the mean square.</param>
    /// <param name="eps">Added to the root.</param>
    /// <param name="weight_decay">Weight decay, added to the gradient.</param>
    /// <param name="momentum">Momentum.</param>
    /// <param name="centered">Whether the variance counts instead of the mean square.</param>
    /// <param name="maximize">Whether to climb.</param>
    /// <returns>The optimizer.</returns>
    /// <exception cref="ArgumentException">A parameter or an option does not fit.</exception>
    public static KernelOptimizer RMSProp(
        IEnumerable<TorchParameter> parameters, double lr = 0.01, double alpha = 0.99, double eps = 1e-8,
        double weight_decay = 0, double momentum = 0, bool centered = false, bool maximize = false) =>
        Create(parameters, new RmsPropOptions
        {
            LearningRate = lr,
            Alpha = alpha,
            Epsilon = eps,
            WeightDecay = weight_decay,
            Momentum = momentum,
            Centered = centered,
            Maximize = maximize,
        });

    /// <summary>AdaGrad, with the arguments of <c>torch.optim.Adagrad</c>.</summary>
    /// <param name="parameters">The parameters.</param>
    /// <param name="lr">Learning rate.</param>
    /// <param name="lr_decay">Decay of the learning rate.</param>
    /// <param name="weight_decay">Weight decay, added to the gradient.</param>
    /// <param name="initial_accumulator_value">What the sums start with.</param>
    /// <param name="eps">Added to the root.</param>
    /// <returns>The optimizer.</returns>
    /// <exception cref="ArgumentException">A parameter or an option does not fit.</exception>
    public static KernelOptimizer Adagrad(
        IEnumerable<TorchParameter> parameters, double lr = 1e-2, double lr_decay = 0, double weight_decay = 0,
        double initial_accumulator_value = 0, double eps = 1e-10) =>
        Create(parameters, new AdaGradOptions
        {
            LearningRate = lr,
            LearningRateDecay = lr_decay,
            WeightDecay = weight_decay,
            InitialAccumulator = initial_accumulator_value,
            Epsilon = eps,
        });

    private sealed class PlainOptimizer(
        IEnumerable<TorchGroup> groups, OptimizerOptions options, StateStorage stateStorage)
        : KernelOptimizer(groups, options, stateStorage);

    private sealed class BetasOptimizer(
        IEnumerable<TorchGroup> groups, OptimizerOptions options, StateStorage stateStorage)
        : KernelOptimizer(groups, options, stateStorage), TorchOptim.IBetas
    {
        public (double, double) Betas
        {
            get => (Defaults.Beta1!.Value, Defaults.Beta2);
            set => Defaults.SetBetas(value.Item1, value.Item2);
        }
    }

    private sealed class MomentumOptimizer(
        IEnumerable<TorchGroup> groups, OptimizerOptions options, StateStorage stateStorage)
        : KernelOptimizer(groups, options, stateStorage), TorchOptim.IMomentum
    {
        public double Momentum
        {
            get => Defaults.Momentum!.Value;
            set => Defaults.SetMomentum(value);
        }
    }
}
