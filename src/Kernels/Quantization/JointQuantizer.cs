using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Quantization;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Optimizers;
using Kernels.Validation;

namespace Kernels.Quantization;

/// <summary>Learns codebooks, scales and the mapping of weights to codes together, so that a layer's outputs, or its
/// weights, lose the least.</summary>
/// <remarks>
/// <para>
/// Source: the idea of JLCM (Yvinec, Dapogny, Bailly 2024, arXiv:2309.17361): gradient descent on codebook and mapping
/// together, hard codes forward and a straight-through, proximal gradient back. Its schedule, start and rates are not
/// public; these are ours. The objective is <see cref="Reconstruction"/>'s. Then rounds, an option, of descent along
/// single weights (as in QuantEase, arXiv:2309.01885) and of the best codes and scales for the indices, by Newton's step
/// with the exact second derivatives within each codebook and scale.
/// </para>
/// <para>
/// The best hard solution seen is the result, so it is never worse than the start. Same input, same bits on a device.
/// Learning waits for the objective of every step; use an object from one thread at a time. Memory: 33 bytes a weight,
/// with logits 16 k + 17, and 4 columns^2 with activations.
/// </para>
/// <example><code>
/// using var quantizer = new JointQuantizer(session, layout, samples: 512);
/// JointQuantizerResult result = quantizer.Learn(weights, index, codebook, scale, activations);
/// </code></example>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed partial class JointQuantizer : IDisposable
{
    private const double LeastGain = 1e-4;

    private readonly Session _session;
    private readonly JointQuantizerOptions _options;
    private readonly JointState _state;
    private readonly Reconstruction _reconstruction;
    private readonly CodebookGradient _gradient;
    private readonly ScopeMemory _codebooks;
    private readonly ScopeMemory _scales;
    private readonly Mapping? _mapping;
    private readonly Latent? _latent;
    private readonly ItemLauncher<JointValueWork> _value;
    private readonly ItemLauncher<JointStartWork> _start;
    private readonly ItemLauncher<JointClampWork> _clamp;
    private readonly ItemLauncher<JointAscendWork> _ascend;
    private readonly ItemLauncher<JointNearestWork> _nearest;
    private readonly ItemLauncher<JointDescentWork> _descent;

    /// <summary>Prepares learning and allocates its memory.</summary>
    /// <param name="session">Where it happens; it must outlive the object.</param>
    /// <param name="layout">The matrix; a code has one number.</param>
    /// <param name="options">How; null takes the defaults.</param>
    /// <param name="samples">Rows of the activations; 0 if there are none.</param>
    /// <exception cref="ArgumentNullException">The session or the layout is null.</exception>
    /// <exception cref="ArgumentException">A code has several numbers.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option or the number of samples is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The session is disposed.</exception>
    public JointQuantizer(
        Session session, CodebookLayout layout, JointQuantizerOptions? options = null, int samples = 0)
    {
        Require.NotNull(session);
        session.ThrowIfDisposed();
        Accelerator accelerator = session.Accelerator;
        MappingChecks.Layout(accelerator, layout);
        _options = options ?? new JointQuantizerOptions();
        _options.Validate(nameof(options));
        LinearChecks.Size(samples);
        _session = session;
        Layout = layout;
        Samples = samples;
        var facts = DeviceFacts.Of(accelerator);
        _value = new(accelerator, facts);
        _start = new(accelerator, facts);
        _clamp = new(accelerator, facts);
        _ascend = new(accelerator, facts);
        _nearest = new(accelerator, facts);
        _descent = new(accelerator, facts);
        _reconstruction = new Reconstruction(
            accelerator, layout.Rows, layout.Columns, samples, _options.Rounds > 0 && samples > 0 ? true : null);
        _gradient = new CodebookGradient(accelerator, layout);
        _codebooks = new ScopeMemory(accelerator, layout.Codebooks, layout.Rows);
        _scales = new ScopeMemory(accelerator, layout.Scales, layout.Rows);
        if (_options.Form == MappingForm.Logits)
        {
            _mapping = new Mapping(accelerator, layout, _options.Mapping);
        }
        else
        {
            _latent = new Latent(accelerator, layout);
        }

        _state = new JointState(accelerator, layout);
    }

    /// <summary>The matrix.</summary>
    public CodebookLayout Layout { get; }

    /// <summary>Rows of the activations.</summary>
    public int Samples { get; }

    /// <summary>How it learns.</summary>
    public JointQuantizerOptions Options => _options;

    /// <summary>Learns, from and to the host's memory.</summary>
    /// <param name="weights">W, [rows, columns], finite.</param>
    /// <param name="index">The codes to start with, [rows, columns], each below k; then the learned ones.</param>
    /// <param name="codebook">The codebooks to start with, [codebooks, k], ascending, finite; then the learned ones.</param>
    /// <param name="scale">The scales to start with, [scales]; then the learned ones. Empty if the layout has none.</param>
    /// <param name="activations">X, [samples, columns]; empty if there are none.</param>
    /// <param name="importance">How much each weight counts, [rows, columns], without activations; all 1 if empty.</param>
    /// <param name="progress">Is told of every step and round.</param>
    /// <returns>The objective before and after.</returns>
    /// <exception cref="ArgumentException">A length does not fit, an index is of no code, codes do not ascend or are not
    /// finite, or there are activations and an importance.</exception>
    /// <exception cref="ObjectDisposedException">This or the session is disposed.</exception>
    public JointQuantizerResult Learn(
        ReadOnlySpan<float> weights, Span<byte> index, Span<float> codebook, Span<float> scale,
        ReadOnlySpan<float> activations = default, ReadOnlySpan<float> importance = default,
        IProgress<JointQuantizerProgress>? progress = null)
    {
        ThrowIfDisposed();
        Require.Length(Layout.WeightCount, weights.Length, nameof(weights));
        Require.Length(Layout.WeightCount, index.Length, nameof(index));
        Require.Length(Layout.CodebookLength, codebook.Length, nameof(codebook));
        Require.Length(Layout.ScaleCount, scale.Length, nameof(scale));
        Require.Length((long)Samples * Layout.Columns, activations.Length, nameof(activations));
        Require.Length(importance.IsEmpty ? 0 : Layout.WeightCount, importance.Length, nameof(importance));
        CheckCodes(codebook, nameof(codebook));
        int stranger = Layout.Codes < 256 ? index.IndexOfAnyInRange((byte)Layout.Codes, byte.MaxValue) : -1;
        if (stranger >= 0)
        {
            throw new ArgumentException(
                $"An index must be below {Layout.Codes}, and is {index[stranger]} at {stranger}.", nameof(index));
        }

        Accelerator accelerator = _session.Accelerator;
        AcceleratorStream stream = _session.Stream;
        using MemoryBuffer1D<float, Stride1D.Dense> w = Upload(accelerator, stream, weights);
        using MemoryBuffer1D<float, Stride1D.Dense> c = Upload(accelerator, stream, codebook);
        using MemoryBuffer1D<float, Stride1D.Dense> s = Upload(accelerator, stream, scale);
        using MemoryBuffer1D<float, Stride1D.Dense> x = Upload(accelerator, stream, activations);
        using MemoryBuffer1D<float, Stride1D.Dense> h = Upload(accelerator, stream, importance);
        using MemoryBuffer1D<byte, Stride1D.Dense> codes = accelerator.Allocate1D<byte>(index.Length);
        codes.View.BaseView.CopyFromCPU(stream, index);
        JointQuantizerResult result = LearnOnDevice(
            w.View, codes.View, c.View, Part(s, scale.Length), Part(x, activations.Length), Part(h, importance.Length),
            progress);
        codes.View.BaseView.CopyToCPU(stream, index);
        TensorCopy.Download(stream, c.View, codebook);
        TensorCopy.Download(stream, Part(s, scale.Length), scale);
        return result;
    }

    /// <summary>Learns in device memory, on the session's stream.</summary>
    /// <param name="weights">W, [rows, columns], finite.</param>
    /// <param name="index">The codes to start with, [rows, columns], each below k; then the learned ones.</param>
    /// <param name="codebook">The codebooks to start with, [codebooks, k], ascending, finite; then the learned ones.</param>
    /// <param name="scale">The scales to start with, [scales]; then the learned ones. Empty if the layout has none.</param>
    /// <param name="activations">X, [samples, columns]; empty if there are none.</param>
    /// <param name="importance">How much each weight counts, [rows, columns], without activations; all 1 if empty.</param>
    /// <param name="progress">Is told of every step and round.</param>
    /// <returns>The objective before and after.</returns>
    /// <exception cref="ArgumentException">A length or accelerator does not fit, tensors overlap, codes do not ascend or are
    /// not finite, or there are activations and an importance.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer or the session is disposed.</exception>
    public JointQuantizerResult LearnOnDevice(
        ArrayView<float> weights, ArrayView<byte> index, ArrayView<float> codebook, ArrayView<float> scale,
        ArrayView<float> activations = default, ArrayView<float> importance = default,
        IProgress<JointQuantizerProgress>? progress = null)
    {
        ThrowIfDisposed();
        Accelerator accelerator = _session.Accelerator;
        LinearChecks.Floats(accelerator, Layout.WeightCount, weights);
        Require.Tensor(accelerator, Layout.WeightCount, index);
        MappingChecks.Codes(accelerator, Layout, codebook, scale);
        LinearChecks.Floats(accelerator, (long)Samples * Layout.Columns, activations);
        MappingChecks.Optional(accelerator, Layout.WeightCount, importance, nameof(importance));
        if (Samples > 0 && importance.Length > 0)
        {
            throw new ArgumentException("With activations weights have no importance of their own.", nameof(importance));
        }

        MappingChecks.Apart(
            3,
            [
                TensorRange.Of(weights, nameof(weights)), TensorRange.Of(activations, nameof(activations)),
                TensorRange.Of(importance, nameof(importance)), TensorRange.Of(index, nameof(index)),
                TensorRange.Of(codebook, nameof(codebook)), TensorRange.Of(scale, nameof(scale)),
            ]);
        var codes = new float[codebook.Length];
        TensorCopy.Download(_session.Stream, codebook, codes);
        CheckCodes(codes, nameof(codebook));
        return new Learning(this, weights, importance, progress).Run(index, codebook, scale, activations, codes);
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        _state.Dispose();
        _reconstruction.Dispose();
        _gradient.Dispose();
        _codebooks.Dispose();
        _scales.Dispose();
        _mapping?.Dispose();
        _latent?.Dispose();
    }

    private static ArrayView<float> Part(MemoryBuffer1D<float, Stride1D.Dense> buffer, int length) =>
        length == 0 ? default : buffer.View.BaseView;

    private static MemoryBuffer1D<float, Stride1D.Dense> Upload(
        Accelerator accelerator, AcceleratorStream stream, ReadOnlySpan<float> values)
    {
        MemoryBuffer1D<float, Stride1D.Dense> buffer = accelerator.Allocate1D<float>(Math.Max(1, values.Length));
        if (!values.IsEmpty)
        {
            buffer.View.BaseView.SubView(0, values.Length).CopyFromCPU(stream, values);
        }

        return buffer;
    }

    private void CheckCodes(ReadOnlySpan<float> codebook, string name)
    {
        for (int i = 0; i < codebook.Length; i++)
        {
            if (!float.IsFinite(codebook[i]) || (i % Layout.Codes > 0 && codebook[i] < codebook[i - 1]))
            {
                throw new ArgumentException(
                    $"The codes of a codebook must be finite and ascend; code {i % Layout.Codes} of codebook "
                    + $"{i / Layout.Codes} is {codebook[i]}.",
                    name);
            }
        }
    }

    private void ThrowIfDisposed()
    {
        ObjectDisposedException.ThrowIf(_state.IsDisposed, this);
        _session.ThrowIfDisposed();
    }
}
