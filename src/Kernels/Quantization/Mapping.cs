using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Quantization;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Validation;
using Eight = Kernels.DeviceCode.Quantization.MappingPair<
    Kernels.DeviceCode.Quantization.MappingPair<
        Kernels.DeviceCode.Quantization.MappingPair<
            Kernels.DeviceCode.Quantization.MappingOne, Kernels.DeviceCode.Quantization.MappingOne>,
        Kernels.DeviceCode.Quantization.MappingPair<
            Kernels.DeviceCode.Quantization.MappingOne, Kernels.DeviceCode.Quantization.MappingOne>>,
    Kernels.DeviceCode.Quantization.MappingPair<
        Kernels.DeviceCode.Quantization.MappingPair<
            Kernels.DeviceCode.Quantization.MappingOne, Kernels.DeviceCode.Quantization.MappingOne>,
        Kernels.DeviceCode.Quantization.MappingPair<
            Kernels.DeviceCode.Quantization.MappingOne, Kernels.DeviceCode.Quantization.MappingOne>>>;
using Four = Kernels.DeviceCode.Quantization.MappingPair<
    Kernels.DeviceCode.Quantization.MappingPair<
        Kernels.DeviceCode.Quantization.MappingOne, Kernels.DeviceCode.Quantization.MappingOne>,
    Kernels.DeviceCode.Quantization.MappingPair<
        Kernels.DeviceCode.Quantization.MappingOne, Kernels.DeviceCode.Quantization.MappingOne>>;
using One = Kernels.DeviceCode.Quantization.MappingOne;
using Two = Kernels.DeviceCode.Quantization.MappingPair<
    Kernels.DeviceCode.Quantization.MappingOne, Kernels.DeviceCode.Quantization.MappingOne>;

namespace Kernels.Quantization;

/// <summary>
/// The mapping of weights to codes as something that learns: k logits for each weight, the code with the largest forward,
/// and in the same pass a gradient to the logits.
/// </summary>
/// <remarks>
/// <para>
/// Source: JLCM (Yvinec, Dapogny, Bailly 2024, arXiv:2309.17361), whose public text asks for a gradient that fades with the
/// distance to the code in use; the functions are ours. With p = softmax(l / t), j the first of the largest logits and
/// v_i = sgn(c_i - c_j) phi(|c_i - c_j|), the value is s c_j and the gradient g s p_i v_i / t, or, centred,
/// g s p_i (v_i - sum p v) / t. The default rule has phi(d) = d.
/// </para>
/// <para>
/// Made once for a layout, called often: a call allocates nothing and does not wait, and may be made from several
/// threads. Same input, same bits on a device. A logit that is NaN is never the largest, and makes the gradient of its
/// weight NaN and of no other. Memory: 4 k bytes for the logits of a weight and as many for their gradient; see
/// <see cref="Latent"/> for a form with 4.
/// </para>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class Mapping : IDisposable
{
    private const int MostInRegisters = 16;

    private readonly Accelerator _accelerator;
    private readonly ScopeMemory _codebooks;
    private readonly ScopeMemory _scales;
    private readonly IKind _kind;
    private bool _disposed;

    /// <summary>Prepares passes over a matrix.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="layout">The matrix; a code has one number.</param>
    /// <param name="options">The gradient; null takes the defaults.</param>
    /// <exception cref="ArgumentNullException">The accelerator or the layout is null.</exception>
    /// <exception cref="ArgumentException">A code has several numbers.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public Mapping(Accelerator accelerator, CodebookLayout layout, MappingOptions? options = null)
    {
        MappingChecks.Layout(accelerator, layout);
        Options = options ?? new MappingOptions();
        Options.Validate(nameof(options));
        Layout = layout;
        _accelerator = accelerator;
        var facts = DeviceFacts.Of(accelerator);
        _kind = (Options.Rule, Options.Decay) switch
        {
            (MappingRule.Default, _) => Kind<DistanceDecay>(accelerator, facts, layout.Codes),
            (_, MappingDecay.Ratio) => Kind<RatioDecay>(accelerator, facts, layout.Codes),
            (_, MappingDecay.Exponential) => Kind<ExponentialDecay>(accelerator, facts, layout.Codes),
            _ => Kind<AdjacentDecay>(accelerator, facts, layout.Codes),
        };
        _codebooks = new ScopeMemory(accelerator, layout.Codebooks, layout.Rows);
        _scales = new ScopeMemory(accelerator, layout.Scales, layout.Rows);
    }

    private interface IKind
    {
        void Run(AcceleratorStream stream, in MappingArguments arguments, long weights);
    }

    /// <summary>The matrix.</summary>
    public CodebookLayout Layout { get; }

    /// <summary>The gradient.</summary>
    public MappingOptions Options { get; }

    /// <summary>Enqueues the choice of codes.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="logits">[rows, columns, k].</param>
    /// <param name="codebook">[codebooks, k], ascending, finite.</param>
    /// <param name="scale">[scales]; empty if the layout has none.</param>
    /// <param name="value">Out, where given: s c_j, [rows, columns].</param>
    /// <param name="index">Out, where given: j, [rows, columns].</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, accelerator or stream does not fit, or an output overlaps.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Forward(
        AcceleratorStream stream, ArrayView<float> logits, ArrayView<float> codebook, ArrayView<float> scale,
        ArrayView<float> value, ArrayView<byte> index = default)
    {
        MappingArguments arguments = Checked(stream, logits, codebook, scale, value, index);
        MappingChecks.Apart(
            3,
            [
                TensorRange.Of(logits, nameof(logits)), TensorRange.Of(codebook, nameof(codebook)),
                TensorRange.Of(scale, nameof(scale)), TensorRange.Of(value, nameof(value)),
                TensorRange.Of(index, nameof(index)),
            ]);
        _kind.Run(stream, arguments, Layout.WeightCount);
    }

    /// <summary>Enqueues the choice of codes and the gradient to the logits, in one pass over them.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="logits">[rows, columns, k].</param>
    /// <param name="codebook">[codebooks, k], ascending, finite.</param>
    /// <param name="scale">[scales]; empty if the layout has none.</param>
    /// <param name="grad">The gradient g to the values, [rows, columns].</param>
    /// <param name="gradLogits">Out: [rows, columns, k], written whole.</param>
    /// <param name="value">Out, where given: s c_j, [rows, columns].</param>
    /// <param name="index">Out, where given: j, [rows, columns].</param>
    /// <param name="temperature">t, greater than 0.</param>
    /// <param name="hardening">
    /// The weight of hardening, at least 0: a loss of weight (1 - sum p^2) for each weight, whose gradient is added.
    /// </param>
    /// <param name="impurity">Out, where given: that loss, [rows, columns].</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, accelerator or stream does not fit, or an output overlaps.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The temperature or the weight is out of range.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Backward(
        AcceleratorStream stream, ArrayView<float> logits, ArrayView<float> codebook, ArrayView<float> scale,
        ArrayView<float> grad, ArrayView<float> gradLogits, ArrayView<float> value = default,
        ArrayView<byte> index = default, double temperature = 1, double hardening = 0,
        ArrayView<float> impurity = default)
    {
        MappingArguments arguments = Checked(stream, logits, codebook, scale, value, index);
        LinearChecks.Floats(_accelerator, Layout.WeightCount, grad);
        LinearChecks.Floats(_accelerator, (long)Layout.WeightCount * Layout.Codes, gradLogits);
        MappingChecks.Optional(_accelerator, Layout.WeightCount, impurity, nameof(impurity));
        Require.Positive(temperature);
        Require.Positive((float)(1 / temperature), nameof(temperature));
        Require.NotNegative(hardening);
        MappingChecks.Apart(
            4,
            [
                TensorRange.Of(logits, nameof(logits)), TensorRange.Of(codebook, nameof(codebook)),
                TensorRange.Of(scale, nameof(scale)), TensorRange.Of(grad, nameof(grad)),
                TensorRange.Of(gradLogits, nameof(gradLogits)), TensorRange.Of(value, nameof(value)),
                TensorRange.Of(index, nameof(index)), TensorRange.Of(impurity, nameof(impurity)),
            ]);
        arguments.Grad = grad;
        arguments.GradLogits = gradLogits;
        arguments.HasGradient = 1;
        arguments.Impurity = impurity.Length > 0 ? impurity : gradLogits;
        arguments.HasImpurity = impurity.Length > 0 ? 1 : 0;
        arguments.IsCentred = Options.Centres ? 1 : 0;
        arguments.Inverse = (float)(1 / temperature);
        arguments.InverseGaps = Layout.Codes < 3 ? 1f : (float)(1.0 / (Layout.Codes - 1));
        arguments.Hardening = (float)hardening;
        _kind.Run(stream, arguments, Layout.WeightCount);
    }

    /// <summary>Frees the memory of scopes; enqueued work must have ended.</summary>
    public void Dispose()
    {
        _disposed = true;
        _codebooks.Dispose();
        _scales.Dispose();
    }

    private static IKind Kind<TDecay>(Accelerator accelerator, DeviceFacts facts, int codes)
        where TDecay : struct, IMappingDecay => codes switch
        {
            2 => new Rows<Two, TDecay>(accelerator, facts),
            3 => new Rows<MappingPair<Two, One>, TDecay>(accelerator, facts),
            4 => new Rows<Four, TDecay>(accelerator, facts),
            5 => new Rows<MappingPair<Four, One>, TDecay>(accelerator, facts),
            6 => new Rows<MappingPair<Four, Two>, TDecay>(accelerator, facts),
            7 => new Rows<MappingPair<Four, MappingPair<Two, One>>, TDecay>(accelerator, facts),
            8 => new Rows<Eight, TDecay>(accelerator, facts),
            9 => new Rows<MappingPair<Eight, One>, TDecay>(accelerator, facts),
            10 => new Rows<MappingPair<Eight, Two>, TDecay>(accelerator, facts),
            11 => new Rows<MappingPair<Eight, MappingPair<Two, One>>, TDecay>(accelerator, facts),
            12 => new Rows<MappingPair<Eight, Four>, TDecay>(accelerator, facts),
            13 => new Rows<MappingPair<Eight, MappingPair<Four, One>>, TDecay>(accelerator, facts),
            14 => new Rows<MappingPair<Eight, MappingPair<Four, Two>>, TDecay>(accelerator, facts),
            15 => new Rows<MappingPair<Eight, MappingPair<Four, MappingPair<Two, One>>>, TDecay>(accelerator, facts),
            MostInRegisters => new Rows<MappingPair<Eight, Eight>, TDecay>(accelerator, facts),
            _ => new Long<TDecay>(accelerator, facts),
        };

    private MappingArguments Checked(
        AcceleratorStream stream, ArrayView<float> logits, ArrayView<float> codebook, ArrayView<float> scale,
        ArrayView<float> value, ArrayView<byte> index)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        LinearChecks.Call(_accelerator, stream);
        long weights = Layout.WeightCount;
        LinearChecks.Floats(_accelerator, weights * Layout.Codes, logits);
        MappingChecks.Codes(_accelerator, Layout, codebook, scale);
        MappingChecks.Optional(_accelerator, weights, value, nameof(value));
        MappingChecks.Optional(_accelerator, weights, index, nameof(index));
        return new MappingArguments
        {
            Logits = logits,
            Codebook = codebook,
            Scale = scale.Length > 0 ? scale : codebook,
            Grad = logits,
            Value = value.Length > 0 ? value : logits,
            Index = index.Length > 0 ? index : logits.Cast<byte>(),
            GradLogits = logits,
            Impurity = logits,
            Codebooks = _codebooks.Table,
            Scales = _scales.Table,
            Columns = Layout.Columns,
            Codes = Layout.Codes,
            HasScale = scale.Length > 0 ? 1 : 0,
            HasValue = value.Length > 0 ? 1 : 0,
            HasIndex = index.Length > 0 ? 1 : 0,
        };
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Rows<TRow, TDecay>(Accelerator accelerator, DeviceFacts facts) : IKind
        where TRow : struct, IMappingRow<TRow>
        where TDecay : struct, IMappingDecay
    {
        private static readonly Lock s_gate = new(); // as in ItemLauncher

        private readonly Action<AcceleratorStream, KernelConfig, MappingWork<TRow, TDecay>, long, long>? _groups =
            facts.Class == DeviceClass.Gpu
                ? accelerator.LoadKernel<MappingWork<TRow, TDecay>, long, long>(MappingGroups.Rows)
                : null;

        private readonly ItemLauncher<MappingWork<TRow, TDecay>>? _items =
            facts.Class == DeviceClass.Gpu ? null : new(accelerator, facts);

        public void Run(AcceleratorStream stream, in MappingArguments arguments, long weights)
        {
            var work = new MappingWork<TRow, TDecay> { Arguments = arguments };
            _items?.Run(stream, work, 0, weights, grain: 512);
            int group = Math.Min(MappingGroups.MaxGroup, facts.MaxGroup);
            for (long first = 0; _groups is not null && first < weights;)
            {
                long groups = Math.Min((weights - first + group - 1) / group, facts.MaxGrid);
                lock (s_gate)
                {
                    _groups(stream, new KernelConfig((int)groups, group), work, first, weights);
                }

                first += groups * group;
            }
        }
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Long<TDecay>(Accelerator accelerator, DeviceFacts facts) : IKind
        where TDecay : struct, IMappingDecay
    {
        private readonly ItemLauncher<MappingLongWork<TDecay>> _launcher = new(accelerator, facts);

        public void Run(AcceleratorStream stream, in MappingArguments arguments, long weights) =>
            _launcher.Run(stream, new MappingLongWork<TDecay> { Arguments = arguments }, 0, weights, grain: 64);
    }
}
