using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Linear;
using Kernels.Host;
using Kernels.Launching;
using Kernels.Validation;

namespace Kernels.Linear;

/// <summary>The class of the largest logit of each row, and how many of them are the labels.</summary>
/// <remarks>
/// Ties go to the lowest class. A row with a NaN has the prediction -1, since its largest logit is not known. Load once,
/// call often: a call allocates nothing, does not synchronize, and may be made from several threads.
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class Predictions
{
    // As in ItemLauncher: two threads must not set an OpenCL kernel's arguments at once.
    private static readonly Lock s_gate = new();

    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly bool _onHost;
    private readonly Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<int>, int>? _argMax;
    private readonly Action<AcceleratorStream, KernelConfig, ArrayView<int>, ArrayView<int>, ArrayView<int>>? _count;

    /// <summary>Loads the kernels.</summary>
    /// <param name="accelerator">Where the tensors will lie.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public Predictions(Accelerator accelerator)
        : this(accelerator, launch: false)
    {
    }

    /// <summary>With launches even on the CPU accelerator, for tests.</summary>
    internal Predictions(Accelerator accelerator, bool launch)
    {
        Require.NotNull(accelerator);
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        _accelerator = accelerator;
        _facts = DeviceFacts.Of(accelerator);
        _onHost = _facts.Class == DeviceClass.Host && !launch;
        if (!_onHost)
        {
            _argMax = accelerator.LoadKernel<ArrayView<float>, ArrayView<int>, int>(PredictionKernel.ArgMax);
            _count = accelerator.LoadKernel<ArrayView<int>, ArrayView<int>, ArrayView<int>>(PredictionKernel.Count);
        }
    }

    /// <summary>Enqueues the search for the largest logit of each row.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="logits">[rows, classes], row-major, F32.</param>
    /// <param name="predictions">[rows], written: the class, or -1 where a logit of the row is NaN.</param>
    /// <param name="rows">Rows, 0 to 2^30.</param>
    /// <param name="classes">Classes, 1 to 2^30.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, storage, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is out of range.</exception>
    /// <exception cref="ObjectDisposedException">A buffer, the stream or the accelerator is disposed.</exception>
    public unsafe void Predict(
        AcceleratorStream stream, TensorView logits, ArrayView<int> predictions, int rows, int classes)
    {
        LinearChecks.Call(_accelerator, stream);
        LinearChecks.Size(rows);
        LinearChecks.PositiveSize(classes);
        TensorView places = LinearChecks.Bytes(predictions);
        LinearChecks.Floats(_accelerator, (long)rows * classes, logits);
        LinearChecks.Floats(_accelerator, rows, places, nameof(predictions));
        Require.Apart(logits, places, nameof(logits), nameof(predictions));
        if (rows == 0)
        {
            return;
        }

        if (!_onHost)
        {
            lock (s_gate)
            {
                _argMax!(stream, (rows, TilePlan.RowGroup(_facts, classes)), logits.As<float>(), predictions, classes);
            }
            return;
        }

        const long Grain = 16_384;
        var work = new Work
        {
            Logits = HostMemory.Floats(logits),
            Predictions = (int*)HostMemory.Floats(places),
            Classes = classes,
        };
        HostPool.Run(work, rows, Math.Max(1, Grain / classes), _facts.Cores);
    }

    /// <summary>Enqueues the count of predictions that are the labels; -1 never is.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="predictions">[rows].</param>
    /// <param name="labels">[rows].</param>
    /// <param name="count">[1], written.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ObjectDisposedException">A buffer, the stream or the accelerator is disposed.</exception>
    public unsafe void Count(
        AcceleratorStream stream, ArrayView<int> predictions, ArrayView<int> labels, ArrayView<int> count)
    {
        LinearChecks.Call(_accelerator, stream);
        TensorView predicted = LinearChecks.Bytes(predictions);
        TensorView wanted = LinearChecks.Bytes(labels);
        TensorView counted = LinearChecks.Bytes(count);
        LinearChecks.Floats(_accelerator, predicted.Length, predicted, nameof(predictions));
        LinearChecks.Floats(_accelerator, predicted.Length, wanted, nameof(labels));
        LinearChecks.Floats(_accelerator, 1, counted, nameof(count));
        Require.Apart(predicted, counted, nameof(predictions), nameof(count));
        Require.Apart(wanted, counted, nameof(labels), nameof(count));
        if (!_onHost)
        {
            lock (s_gate)
            {
                _count!(stream, (1, TilePlan.RowGroup(_facts, int.MaxValue)), predictions, labels, count);
            }
            return;
        }

        int* p = (int*)HostMemory.Floats(predicted);
        int* l = (int*)HostMemory.Floats(wanted);
        int right = 0;
        for (long i = 0; i < predicted.Length; i++)
        {
            right += p[i] == l[i] && l[i] >= 0 ? 1 : 0;
        }

        *(int*)HostMemory.Floats(counted) = right;
    }

    /// <summary>A unit is a row.</summary>
    private unsafe struct Work : IHostWork
    {
        public float* Logits;
        public int* Predictions;
        public int Classes;

        public readonly void Run(long begin, long end)
        {
            for (long row = begin; row < end; row++)
            {
                float* x = Logits + (row * Classes);
                int best = 0;
                bool isNaN = false;
                for (int c = 0; c < Classes; c++)
                {
                    isNaN |= float.IsNaN(x[c]);
                    best = x[c] > x[best] ? c : best;
                }

                Predictions[row] = isNaN ? -1 : best;
            }
        }
    }
}
