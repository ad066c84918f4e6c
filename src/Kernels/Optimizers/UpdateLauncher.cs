using ILGPU;
using ILGPU.Runtime;
using Kernels.Launching;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>
/// An element-wise optimizer loaded on the caller's accelerator, called with the caller's views and stream.
/// </summary>
/// <remarks>
/// Load once, step often. A step allocates nothing and does not synchronize (a kernel is compiled when its combination
/// of storages is first used), and may be called from several threads. On ILGPU's CPU accelerator the step runs on the
/// host's SIMD units and is done when the call returns, as every launch there is.
/// <example><code>
/// var adam = new UpdateLauncher(accelerator, new AdamWOptions { LearningRate = 1e-3 });
/// adam.Step(stream, weights.View, gradients.View, [mean.View, square.View], step: 1);
/// </code></example>
/// </remarks>
public sealed class UpdateLauncher
{
    private static readonly string[] s_stateArguments = ["state[0]", "state[1]", "state[2]"];

    private readonly Updater _updater;

    /// <summary>Loads the optimizer that the options ask for.</summary>
    /// <param name="accelerator">Where the tensors will lie.</param>
    /// <param name="options">The algorithm and its options.</param>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public UpdateLauncher(Accelerator accelerator, ElementwiseOptions options)
    {
        Require.NotNull(accelerator);
        Require.NotNull(options);
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        options.Validate(nameof(options));
        Options = options;
        _updater = options.Form.Load(accelerator);
    }

    /// <summary>The options a step uses unless it is given others.</summary>
    public ElementwiseOptions Options { get; }

    /// <summary>What the state tensors are, in the order a step takes them; PyTorch's names.</summary>
    public IReadOnlyList<string> StateNames => Options.StateNames;

    /// <summary>Enqueues one step over n elements.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="p">Parameters, [n], updated in place; F32, F16 or BF16.</param>
    /// <param name="g">Gradients, [n], only read; F32, F16 or BF16.</param>
    /// <param name="state">State tensors, [n] each, F32, updated in place, in the order of <see cref="StateNames"/>.</param>
    /// <param name="step">The number of this step, from 1.</param>
    /// <param name="options">Options of this step, such as another learning rate; null takes the loaded ones.</param>
    /// <param name="extras">What is fused into the same pass.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">
    /// A length, accelerator or stream does not fit, tensors overlap, or the options are of another algorithm.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">The step, an option or a rate is out of range.</exception>
    /// <exception cref="ObjectDisposedException">A buffer or the accelerator is disposed.</exception>
    public void Step(
        AcceleratorStream stream, TensorView p, TensorView g, ReadOnlySpan<ArrayView<float>> state, int step,
        ElementwiseOptions? options = null, in UpdateExtras extras = default) =>
        Step(stream, p, g, state, step, options, extras, walk: null);

    internal void Step(
        AcceleratorStream stream, TensorView p, TensorView g, ReadOnlySpan<ArrayView<float>> state, int step,
        ElementwiseOptions? options, in UpdateExtras extras, LinearWalk? walk)
    {
        Accelerator accelerator = _updater.Accelerator;
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        Require.Stream(accelerator, stream);
        Require.AtLeast(step, 1);
        if (options is null)
        {
            options = Options;
        }
        else if (!ReferenceEquals(options, Options))
        {
            options.Validate(nameof(options));
            if (options.Form != Options.Form)
            {
                throw new ArgumentException(
                    $"The options must be of the loaded form, with the state [{string.Join(", ", StateNames)}], and "
                    + $"ask for [{string.Join(", ", options.StateNames)}] of {options.GetType().Name}.",
                    nameof(options));
            }
        }

        long n = p.Length;
        if (state.Length != StateNames.Count)
        {
            throw new ArgumentException(
                $"There must be {StateNames.Count} state tensors [{string.Join(", ", StateNames)}], and there are "
                + $"{state.Length}.",
                nameof(state));
        }

        UpdateCall call = new()
        {
            P = p,
            G = g,
            GradientFactor = options.Maximize ? -1f : 1f,
            Step = step,
            RandomStep = (uint)step,
            Extras = extras,
        };
        call.A = state.Length > 0 ? state[0] : default;
        call.B = state.Length > 1 ? state[1] : default;
        call.C = state.Length > 2 ? state[2] : default;
        Require.Tensor(accelerator, n, p);
        StepArguments.Check(accelerator, call, state, s_stateArguments, [n, n, n]);
        if (n == 0)
        {
            return;
        }

        if (walk is { } forced)
        {
            _updater.Step(stream, call, options, forced);
        }
        else
        {
            _updater.Step(stream, call, options);
        }
    }

    /// <summary>Refuses extras that do not fit the parameters.</summary>
    internal static void CheckExtras(
        Accelerator accelerator, in UpdateCall call, in UpdateExtras extras, ReadOnlySpan<ArrayView<float>> state) =>
        StepArguments.CheckExtras(accelerator, call, extras, state, s_stateArguments);
}
