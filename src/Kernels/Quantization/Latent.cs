using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Quantization;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.Quantization;

/// <summary>The mapping of weights to codes with one latent number for each weight, in place of k logits.</summary>
/// <remarks>
/// <para>
/// Ours, by the straight-through estimator (Bengio, Leonard, Courville 2013, arXiv:1308.3432). The code in use is
/// j = round(v), a half down, between 0 and k - 1; the gradient to v is that to the value times the slope of the codebook
/// there, s (c_(j+1) - c_(j-1)) / 2, or the one gap at an end. It does not vanish outside of [0, k - 1].
/// </para>
/// <para>
/// Made once for a layout, called often: a call allocates nothing and does not wait, and may be made from several threads.
/// 12 bytes a weight. NaN has code 0.
/// </para>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class Latent : IDisposable
{
    private readonly Accelerator _accelerator;
    private readonly ScopeMemory _codebooks;
    private readonly ScopeMemory _scales;
    private readonly ItemLauncher<LatentWork> _launcher;
    private bool _disposed;

    /// <summary>Prepares passes over a matrix.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="layout">The matrix; a code has one number.</param>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ArgumentException">A code has several numbers.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public Latent(Accelerator accelerator, CodebookLayout layout)
    {
        MappingChecks.Layout(accelerator, layout);
        Layout = layout;
        _accelerator = accelerator;
        _launcher = new ItemLauncher<LatentWork>(accelerator, DeviceFacts.Of(accelerator));
        _codebooks = new ScopeMemory(accelerator, layout.Codebooks, layout.Rows);
        _scales = new ScopeMemory(accelerator, layout.Scales, layout.Rows);
    }

    /// <summary>The matrix.</summary>
    public CodebookLayout Layout { get; }

    /// <summary>Enqueues the choice of codes.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="latent">v, [rows, columns].</param>
    /// <param name="codebook">[codebooks, k], ascending, finite.</param>
    /// <param name="scale">[scales]; empty if the layout has none.</param>
    /// <param name="value">Out, where given: s c_j, [rows, columns].</param>
    /// <param name="index">Out, where given: j, [rows, columns].</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, accelerator or stream does not fit, or an output overlaps.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Forward(
        AcceleratorStream stream, ArrayView<float> latent, ArrayView<float> codebook, ArrayView<float> scale,
        ArrayView<float> value, ArrayView<byte> index = default)
    {
        LatentWork work = Checked(stream, latent, codebook, scale, value, index);
        MappingChecks.Apart(
            3,
            [
                TensorRange.Of(latent, nameof(latent)), TensorRange.Of(codebook, nameof(codebook)),
                TensorRange.Of(scale, nameof(scale)), TensorRange.Of(value, nameof(value)),
                TensorRange.Of(index, nameof(index)),
            ]);
        _launcher.Run(stream, work, 0, Layout.WeightCount);
    }

    /// <summary>Enqueues the choice of codes and the gradient to the latent numbers, in one pass.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="latent">v, [rows, columns].</param>
    /// <param name="codebook">[codebooks, k], ascending, finite.</param>
    /// <param name="scale">[scales]; empty if the layout has none.</param>
    /// <param name="grad">The gradient g to the values, [rows, columns].</param>
    /// <param name="gradLatent">Out: [rows, columns].</param>
    /// <param name="value">Out, where given: s c_j, [rows, columns].</param>
    /// <param name="index">Out, where given: j, [rows, columns].</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, accelerator or stream does not fit, or an output overlaps.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Backward(
        AcceleratorStream stream, ArrayView<float> latent, ArrayView<float> codebook, ArrayView<float> scale,
        ArrayView<float> grad, ArrayView<float> gradLatent, ArrayView<float> value = default,
        ArrayView<byte> index = default)
    {
        LatentWork work = Checked(stream, latent, codebook, scale, value, index);
        LinearChecks.Floats(_accelerator, Layout.WeightCount, grad);
        LinearChecks.Floats(_accelerator, Layout.WeightCount, gradLatent);
        MappingChecks.Apart(
            4,
            [
                TensorRange.Of(latent, nameof(latent)), TensorRange.Of(codebook, nameof(codebook)),
                TensorRange.Of(scale, nameof(scale)), TensorRange.Of(grad, nameof(grad)),
                TensorRange.Of(gradLatent, nameof(gradLatent)), TensorRange.Of(value, nameof(value)),
                TensorRange.Of(index, nameof(index)),
            ]);
        work.Grad = grad;
        work.GradLatent = gradLatent;
        work.HasGradient = 1;
        _launcher.Run(stream, work, 0, Layout.WeightCount);
    }

    /// <summary>Frees the memory of scopes; enqueued work must have ended.</summary>
    public void Dispose()
    {
        _disposed = true;
        _codebooks.Dispose();
        _scales.Dispose();
    }

    private LatentWork Checked(
        AcceleratorStream stream, ArrayView<float> latent, ArrayView<float> codebook, ArrayView<float> scale,
        ArrayView<float> value, ArrayView<byte> index)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        LinearChecks.Call(_accelerator, stream);
        long weights = Layout.WeightCount;
        LinearChecks.Floats(_accelerator, weights, latent);
        MappingChecks.Codes(_accelerator, Layout, codebook, scale);
        MappingChecks.Optional(_accelerator, weights, value, nameof(value));
        MappingChecks.Optional(_accelerator, weights, index, nameof(index));
        return new LatentWork
        {
            Latent = latent,
            Codebook = codebook,
            Scale = scale.Length > 0 ? scale : codebook,
            Grad = latent,
            Value = value.Length > 0 ? value : latent,
            Index = index.Length > 0 ? index : latent.Cast<byte>(),
            GradLatent = latent,
            Codebooks = _codebooks.Table,
            Scales = _scales.Table,
            Columns = Layout.Columns,
            Codes = Layout.Codes,
            HasScale = scale.Length > 0 ? 1 : 0,
            HasValue = value.Length > 0 ? 1 : 0,
            HasIndex = index.Length > 0 ? 1 : 0,
        };
    }
}
