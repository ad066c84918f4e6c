using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Linear;
using Kernels.Host;
using Kernels.Launching;
using Kernels.Validation;

namespace Kernels.Linear;

/// <summary>
/// Layer normalisation without scale and shift, and its gradient, on the caller's accelerator: y = f (x - mean) with
/// f = 1 / sqrt(variance + epsilon) for every row.
/// </summary>
/// <remarks>
/// Source: Ba, Kiros, Hinton 2016, arXiv:1607.06450, without gain and bias. The variance comes from the differences to
/// the mean, so that rows far from zero lose nothing. Load once, call often: a call allocates nothing, does not
/// synchronize, and may be made from several threads. The order of the sums is fixed by the sizes: the same call gives
/// the same bits on a device. NaN or infinity in a row makes that row NaN, and no other.
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class LayerNorm
{
    // As in ItemLauncher: two threads must not set an OpenCL kernel's arguments at once.
    private static readonly Lock s_gate = new();

    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly TileWalk _walk;
    private readonly Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, ArrayView<float>, int,
        float>? _forward;

    private readonly Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, ArrayView<float>,
        ArrayView<float>, int, int>? _backward;

    /// <summary>Loads the kernels.</summary>
    /// <param name="accelerator">Where the tensors will lie.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public LayerNorm(Accelerator accelerator)
        : this(accelerator, walk: null)
    {
    }

    /// <summary>With a walk that the device would not choose itself, for tests.</summary>
    internal LayerNorm(Accelerator accelerator, TileWalk? walk)
    {
        Require.NotNull(accelerator);
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        _accelerator = accelerator;
        _facts = DeviceFacts.Of(accelerator);
        _walk = walk ?? TilePlan.WalkFor(_facts);
        if (_walk == TileWalk.Host)
        {
            return;
        }

        bool rows = _walk == TileWalk.Panel;
        _forward = accelerator.LoadKernel<ArrayView<float>, ArrayView<float>, ArrayView<float>, int, float>(
            rows ? LayerNormKernel.ForwardRows : LayerNormKernel.Forward);
        _backward = accelerator.LoadKernel<
            ArrayView<float>, ArrayView<float>, ArrayView<float>, ArrayView<float>, int, int>(
            rows ? LayerNormKernel.BackwardRows : LayerNormKernel.Backward);
    }

    /// <summary>Enqueues y = f (x - mean).</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="x">[rows, columns], row-major, F32.</param>
    /// <param name="y">[rows, columns], F32, written; x itself or apart from it.</param>
    /// <param name="factors">[rows], F32, written: f of each row, for <see cref="Backward"/>.</param>
    /// <param name="rows">Rows, 0 to 2^30.</param>
    /// <param name="columns">Columns, 1 to 2^30.</param>
    /// <param name="epsilon">Added to the variance; not negative.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, storage, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size or epsilon is out of range.</exception>
    /// <exception cref="ObjectDisposedException">A buffer, the stream or the accelerator is disposed.</exception>
    public void Forward(
        AcceleratorStream stream, TensorView x, TensorView y, TensorView factors, int rows, int columns, double epsilon)
    {
        LinearChecks.Call(_accelerator, stream);
        LinearChecks.Size(rows);
        LinearChecks.PositiveSize(columns);
        Require.NotNegative(epsilon);
        LinearChecks.Floats(_accelerator, (long)rows * columns, x);
        LinearChecks.Floats(_accelerator, (long)rows * columns, y);
        LinearChecks.Floats(_accelerator, rows, factors);
        LinearChecks.SameOrApart(x, y, nameof(x), nameof(y));
        Require.Apart(x, factors, nameof(x), nameof(factors));
        Require.Apart(y, factors, nameof(y), nameof(factors));
        if (_walk == TileWalk.Host)
        {
            RunOnHost(x, y, factors, default, rows, columns, epsilon: (float)epsilon);
            return;
        }

        if (rows > 0)
        {
            lock (s_gate)
            {
                _forward!(
                    stream, (rows, GroupSize(columns)), x.As<float>(), y.As<float>(), factors.As<float>(), columns,
                    (float)epsilon);
            }
        }
    }

    /// <summary>Enqueues dx = dx0 + f (dy - mean(dy) - y mean(dy y)), where dx0 is dx if accumulating and 0 otherwise.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="y">[rows, columns], F32: what <see cref="Forward"/> wrote.</param>
    /// <param name="factors">[rows], F32: likewise.</param>
    /// <param name="dy">The gradient to y, [rows, columns], F32.</param>
    /// <param name="dx">
    /// The gradient to x, [rows, columns], F32, written; dy itself or apart from it, and apart if accumulating.
    /// </param>
    /// <param name="rows">Rows, 0 to 2^30.</param>
    /// <param name="columns">Columns, 1 to 2^30.</param>
    /// <param name="accumulate">Whether the gradient is added to what <paramref name="dx"/> holds.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, storage, accelerator or stream does not fit, or tensors overlap.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is out of range.</exception>
    /// <exception cref="ObjectDisposedException">A buffer, the stream or the accelerator is disposed.</exception>
    public void Backward(
        AcceleratorStream stream, TensorView y, TensorView factors, TensorView dy, TensorView dx, int rows, int columns,
        bool accumulate = false)
    {
        LinearChecks.Call(_accelerator, stream);
        LinearChecks.Size(rows);
        LinearChecks.PositiveSize(columns);
        LinearChecks.Floats(_accelerator, (long)rows * columns, y);
        LinearChecks.Floats(_accelerator, rows, factors);
        LinearChecks.Floats(_accelerator, (long)rows * columns, dy);
        LinearChecks.Floats(_accelerator, (long)rows * columns, dx);
        Require.Apart(y, dx, nameof(y), nameof(dx));
        Require.Apart(factors, dx, nameof(factors), nameof(dx));
        if (accumulate)
        {
            Require.Apart(dy, dx, nameof(dy), nameof(dx));
        }
        else
        {
            LinearChecks.SameOrApart(dy, dx, nameof(dy), nameof(dx));
        }

        if (_walk == TileWalk.Host)
        {
            RunOnHost(y, dx, factors, dy, rows, columns, isBackward: true, accumulates: accumulate);
            return;
        }

        if (rows > 0)
        {
            lock (s_gate)
            {
                _backward!(
                    stream, (rows, GroupSize(columns)), y.As<float>(), factors.As<float>(), dy.As<float>(),
                    dx.As<float>(), columns, accumulate ? 1 : 0);
            }
        }
    }

    private int GroupSize(int columns) => _walk == TileWalk.Panel ? 1 : TilePlan.RowGroup(_facts, columns);

    private unsafe void RunOnHost(
        TensorView from, TensorView to, TensorView factors, TensorView dy, int rows, int columns, float epsilon = 0,
        bool isBackward = false, bool accumulates = false)
    {
        const long Grain = 16_384;
        var work = new HostLayerNorm
        {
            From = HostMemory.Floats(from),
            To = HostMemory.Floats(to),
            Factors = HostMemory.Floats(factors),
            Dy = HostMemory.Floats(dy),
            Columns = columns,
            Epsilon = epsilon,
            IsBackward = isBackward,
            Accumulates = accumulates,
        };
        HostPool.Run(work, rows, Math.Max(1, Grain / columns), _facts.Cores);
    }
}
