using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Linear;
using Kernels.Host;
using Kernels.Launching;
using Kernels.Validation;

namespace Kernels.Linear;

/// <summary>Softmax with cross-entropy against class labels, and its gradient, on the caller's accelerator.</summary>
/// <remarks>
/// Load once, call often: a call allocates nothing, does not synchronize, and may be made from several threads. The
/// order of the sums is fixed by the sizes: the same call gives the same bits on a device. NaN or plus infinity in a
/// row makes the row's loss and gradient NaN, and no other row's; the mean is then NaN as well.
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class SoftmaxCrossEntropy
{
    // As in ItemLauncher: two threads must not set an OpenCL kernel's arguments at once.
    private static readonly Lock s_gate = new();

    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly bool _onHost;
    private readonly bool _bySixteens;
    private readonly Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<int>, ArrayView<float>,
        ArrayView<float>, int, int, float>? _rows;

    private readonly Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>>? _mean;

    /// <summary>Loads the kernels.</summary>
    /// <param name="accelerator">Where the tensors will lie.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public SoftmaxCrossEntropy(Accelerator accelerator)
        : this(accelerator, launch: false)
    {
    }

    /// <summary>With launches even on the CPU accelerator, for tests.</summary>
    internal SoftmaxCrossEntropy(Accelerator accelerator, bool launch)
    {
        Require.NotNull(accelerator);
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        _accelerator = accelerator;
        _facts = DeviceFacts.Of(accelerator);
        _onHost = _facts.Class == DeviceClass.Host && !launch;
        _bySixteens = _facts.Class == DeviceClass.OpenClCpu;
        if (!_onHost)
        {
            _rows = accelerator.LoadKernel<ArrayView<float>, ArrayView<int>, ArrayView<float>, ArrayView<float>, int, int,
                float>(_bySixteens ? SoftmaxCrossEntropyKernel.RowSixteens : SoftmaxCrossEntropyKernel.Rows);
            _mean = accelerator.LoadKernel<ArrayView<float>, ArrayView<float>>(SoftmaxCrossEntropyKernel.Mean);
        }
    }

    /// <summary>Enqueues the losses, their mean, and the gradient of the mean.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="logits">[rows, classes], row-major, F32.</param>
    /// <param name="labels">
    /// [rows], the class of each row. One outside 0 .. classes - 1 makes its row's loss and gradient NaN; on ILGPU's
    /// CPU accelerator, where labels can be looked at, it is rejected.
    /// </param>
    /// <param name="losses">[rows], F32, written: -log softmax(logits)[label], in nats.</param>
    /// <param name="mean">[1], F32, written: the mean of the losses; NaN without rows.</param>
    /// <param name="rows">Rows, 0 to 2^30.</param>
    /// <param name="classes">Classes, 1 to 2^30.</param>
    /// <param name="gradient">
    /// [rows, classes], F32, written: (softmax - onehot) / rows. The logits themselves, or apart from them; empty for
    /// no gradient.
    /// </param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, storage, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size, or a label on the CPU accelerator, is out of range.</exception>
    /// <exception cref="ObjectDisposedException">A buffer, the stream or the accelerator is disposed.</exception>
    public void Evaluate(
        AcceleratorStream stream, TensorView logits, ArrayView<int> labels, TensorView losses, TensorView mean, int rows,
        int classes, TensorView gradient = default)
    {
        LinearChecks.Call(_accelerator, stream);
        LinearChecks.Size(rows);
        LinearChecks.PositiveSize(classes);
        long length = (long)rows * classes;
        TensorView places = LinearChecks.Bytes(labels);
        LinearChecks.Floats(_accelerator, length, logits);
        LinearChecks.Floats(_accelerator, rows, places, nameof(labels));
        LinearChecks.Floats(_accelerator, rows, losses);
        LinearChecks.Floats(_accelerator, 1, mean);
        Require.Apart(logits, losses, nameof(logits), nameof(losses));
        Require.Apart(logits, mean, nameof(logits), nameof(mean));
        Require.Apart(places, losses, nameof(labels), nameof(losses));
        Require.Apart(places, mean, nameof(labels), nameof(mean));
        Require.Apart(losses, mean, nameof(losses), nameof(mean));
        if (!gradient.IsEmpty)
        {
            LinearChecks.Floats(_accelerator, length, gradient);
            LinearChecks.SameOrApart(logits, gradient, nameof(logits), nameof(gradient));
            Require.Apart(places, gradient, nameof(labels), nameof(gradient));
            Require.Apart(losses, gradient, nameof(losses), nameof(gradient));
            Require.Apart(mean, gradient, nameof(mean), nameof(gradient));
        }

        if (_onHost)
        {
            EvaluateOnHost(logits, places, losses, mean, rows, classes, gradient);
            return;
        }

        if (rows > 0)
        {
            lock (s_gate)
            {
                _rows!(
                    stream, (rows, _bySixteens ? 1 : TilePlan.RowGroup(_facts, classes)), logits.As<float>(), labels, losses.As<float>(),
                    gradient.As<float>(), classes, gradient.IsEmpty ? 0 : 1, 1f / rows);
            }
        }

        lock (s_gate)
        {
            _mean!(stream, (1, TilePlan.RowGroup(_facts, int.MaxValue)), losses.As<float>(), mean.As<float>());
        }
    }

    private unsafe void EvaluateOnHost(
        TensorView logits, TensorView labels, TensorView losses, TensorView mean, int rows, int classes,
        TensorView gradient)
    {
        const long Grain = 8_192;
        var work = new HostSoftmax
        {
            Logits = HostMemory.Floats(logits),
            Labels = (int*)HostMemory.Floats(labels),
            Losses = HostMemory.Floats(losses),
            Gradient = HostMemory.Floats(gradient),
            Classes = classes,
            Scale = 1f / rows,
        };
        for (int i = 0; i < rows; i++)
        {
            if (work.Labels[i] < 0 || work.Labels[i] >= classes)
            {
                throw new ArgumentOutOfRangeException(
                    nameof(labels), work.Labels[i], $"labels[{i}] must be in [0, {classes}).");
            }
        }

        HostPool.Run(work, rows, Math.Max(1, Grain / classes), _facts.Cores);
        *HostMemory.Floats(mean) = HostSoftmax.Mean(work.Losses, rows);
    }
}
