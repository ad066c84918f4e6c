using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Linear;
using Kernels.DeviceCode.Storage;
using Kernels.DeviceCode.VectorQuantization;
using Kernels.Host;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.VectorQuantization;

/// <summary>
/// What follows a search for the nearest codes, in one more pass over the rows: output, losses, gradient to the rows and
/// histogram, on the caller's accelerator.
/// </summary>
/// <remarks>
/// Source: van den Oord et al. 2017, arXiv:1711.00937, equation 3, with means over all components as VQGAN and FVQ take
/// them. The output is the code itself, bit for bit, where z + (e - z) of the straight-through estimator is only near it.
/// Made once for the largest batch, called often: a call allocates nothing and does not synchronize; one call at a time,
/// since the scratch memory is the object's. The order of the sums is fixed by the sizes: the same call gives the same bits
/// on a device. A row without a code (index -1, or any that is not of a code) has output and gradient 0 and does not count,
/// whatever is in it; NaN or infinity in another row stays in its element, and goes into the losses.
/// <example><code>
/// nearest.Search(stream, x.View, codes.View, index.View, rows);
/// quantize.Apply(stream, x.View, codes.View, index.View, rows, output: y.View, loss: loss.View, gradX: gradX.View);
/// </code></example>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class Quantize : IDisposable
{
    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly RowWalk _walk;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _numbers;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _used;
    private readonly ItemLauncher<QuantizeClear> _clear;
    private readonly ItemLauncher<QuantizeLoss> _loss;
    private readonly StridedSums _sums;
    private readonly StoragePairs<IKind> _kinds;
    private readonly long _mostSums;

    /// <summary>Prepares passes of one shape and allocates their scratch memory, 4 bytes for each row of a head.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="maxRows">The most rows of a call, 1 to 2^30.</param>
    /// <param name="codes">Codes of each codebook, 1 to 2^30.</param>
    /// <param name="dimension">Length of a code, 1 to 2^20.</param>
    /// <param name="heads">Codebooks; each has its own part of every row. 1 to 65,536.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public Quantize(Accelerator accelerator, int maxRows, int codes, int dimension, int heads = 1)
        : this(accelerator, maxRows, codes, dimension, heads, walk: null)
    {
    }

    /// <summary>With a walk that the device would not choose itself, for tests.</summary>
    internal Quantize(Accelerator accelerator, int maxRows, int codes, int dimension, int heads, RowWalk? walk)
    {
        RowChecks.Sizes(accelerator, maxRows, codes, dimension, heads);
        _accelerator = accelerator;
        _kinds = new StoragePairs<IKind>(new Loader(this));
        _facts = DeviceFacts.Of(accelerator);
        _walk = walk ?? RowPlan.WalkFor(_facts);
        MaxRows = maxRows;
        Codes = codes;
        Dimension = dimension;
        Heads = heads;
        _clear = new(accelerator, _facts);
        _loss = new(accelerator, _facts);
        _sums = new(accelerator, _facts);
        _mostSums = (long)maxRows * heads;
        _numbers = accelerator.Allocate1D<float>(_mostSums + StridedSums.Scratch(_mostSums) + 1);
        _used = accelerator.Allocate1D<int>(1);
    }

    private interface IKind
    {
        void Count(Quantize owner, AcceleratorStream stream, in Call call);

        void Rows(Quantize owner, AcceleratorStream stream, in Call call);
    }

    /// <summary>The most rows of a call.</summary>
    public int MaxRows { get; }

    /// <summary>Codes of each codebook.</summary>
    public int Codes { get; }

    /// <summary>Length of a code.</summary>
    public int Dimension { get; }

    /// <summary>Codebooks.</summary>
    public int Heads { get; }

    private ArrayView<float> NumbersView => _numbers.View;

    private ArrayView<int> UsedView => _used.View;

    /// <summary>Enqueues the pass. Each output is optional: what is empty is not computed.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="x">The rows z, [rows, heads, dimension], row-major.</param>
    /// <param name="codes">The codebooks, [heads, codes, dimension], row-major.</param>
    /// <param name="index">The code e of each row, [rows, heads]; -1, or any that is not of a code: none.</param>
    /// <param name="rows">Rows, 0 to <see cref="MaxRows"/>.</param>
    /// <param name="output">
    /// Out: e, [rows, heads, dimension], stored as the rows are; 0 without a code. May be <paramref name="x"/> itself.
    /// </param>
    /// <param name="loss">
    /// Out, [2]: codebook loss, the mean of (e - z)^2 over the components of the rows that have a code (0 if there is
    /// none), and commitment loss, <paramref name="beta"/> times that.
    /// </param>
    /// <param name="gradX">
    /// Out: the gradient to the rows, [rows, heads, dimension], stored as they are: <paramref name="grad"/> +
    /// (2 beta / (m dimension)) (z - e) with m rows that have a code; 0 without one. May be <paramref name="x"/> or
    /// <paramref name="grad"/> itself.
    /// </param>
    /// <param name="counts">Out: how often each code occurs, [heads, codes].</param>
    /// <param name="grad">
    /// The gradient that comes to the output, [rows, heads, dimension], stored as the rows are; empty: zeros.
    /// </param>
    /// <param name="beta">The weight of the commitment, not negative.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">
    /// A length, storage, accelerator or stream does not fit, or an output overlaps another tensor.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">The number of rows or beta is out of range.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Apply(
        AcceleratorStream stream, TensorView x, TensorView codes, ArrayView<int> index, int rows,
        TensorView output = default, ArrayView<float> loss = default, TensorView gradX = default,
        ArrayView<int> counts = default, TensorView grad = default, double beta = 0.25)
    {
        ObjectDisposedException.ThrowIf(_numbers.IsDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        Require.InRange(rows, 0, MaxRows + 1.0);
        Require.InRange(beta, 0, float.MaxValue);
        TensorView places = LinearChecks.Bytes(index);
        TensorView histogram = LinearChecks.Bytes(counts);
        TensorView losses = loss;
        long length = (long)rows * Heads * Dimension;
        Require.Tensor(_accelerator, length, x);
        Require.Tensor(_accelerator, (long)Heads * Codes * Dimension, codes);
        LinearChecks.Floats(_accelerator, (long)rows * Heads, places, nameof(index));
        RowChecks.Like(_accelerator, x, output, nameof(output));
        RowChecks.Like(_accelerator, x, gradX, nameof(gradX));
        RowChecks.Like(_accelerator, x, grad, nameof(grad));
        RowChecks.Optional(_accelerator, 2, losses, nameof(loss));
        RowChecks.Optional(_accelerator, (long)Heads * Codes, histogram, nameof(counts));
        RowChecks.Apart(
        [
            (x, nameof(x)), (codes, nameof(codes)), (places, nameof(index)), (grad, nameof(grad)), (output, nameof(output)),
            (gradX, nameof(gradX)), (losses, nameof(loss)), (histogram, nameof(counts)),
        ]);
        Run(stream, x, codes, index, rows, output, loss, gradX, counts, grad, beta);
    }

    /// <summary>
    /// Enqueues (2 / (m d)) (e - z) of every row z with code e, m rows having one; 0 without one. Checked by the caller.
    /// </summary>
    internal void Differences(
        AcceleratorStream stream, TensorView x, TensorView codes, ArrayView<int> index, int rows, TensorView to) =>
        Run(stream, x, codes, index, rows, default, default, to, default, default, beta: -1);

    /// <summary>Frees the scratch memory; enqueued work must have ended.</summary>
    public void Dispose()
    {
        _numbers.Dispose();
        _used.Dispose();
    }

    private void Run(
        AcceleratorStream stream, TensorView x, TensorView codes, ArrayView<int> index, int rows, TensorView output,
        ArrayView<float> loss, TensorView gradX, ArrayView<int> counts, TensorView grad, double beta)
    {
        var call = new Call
        {
            X = x,
            Codes = codes,
            Grad = gradX.IsEmpty ? default : grad,
            Output = output,
            GradX = gradX,
            Index = index,
            Counts = counts,
            Rows = (long)rows * Heads,
            Slope = (float)(2 * beta / Dimension),
            HasLoss = loss.Length > 0,
        };
        IKind kind = _kinds.For(x.Storage, codes.Storage);
        if (call.HasLoss || counts.Length > 0 || !gradX.IsEmpty)
        {
            var clear = new QuantizeClear { Counts = counts, Used = UsedView, HasCounts = counts.Length > 0 ? 1 : 0 };
            _clear.Run(stream, clear, 0, Math.Max(counts.Length, 1));
            kind.Count(this, stream, call);
        }

        if (call.Rows > 0 && (call.HasLoss || !output.IsEmpty || !gradX.IsEmpty))
        {
            kind.Rows(this, stream, call);
        }

        if (call.HasLoss)
        {
            ArrayView<float> numbers = NumbersView;
            ArrayView<float> total = numbers.SubView(numbers.Length - 1, 1);
            if (call.Rows > 0)
            {
                bool packets = IsPacked(call);
                long sums = _walk == RowWalk.Lanes
                    ? RowPlan.For(_facts, _walk, call.Rows, Dimension, packets).Groups
                    : call.Rows;
                _sums.Run(
                    stream, numbers.SubView(0, sums), numbers.SubView(_mostSums, StridedSums.Scratch(_mostSums)), total);
            }

            var work = new QuantizeLoss
            {
                Sum = total,
                Used = UsedView,
                Loss = loss,
                Beta = (float)beta,
                Dimension = Dimension,
            };
            _loss.Run(stream, work, 0, 1);
        }
    }

    private bool IsPacked(in Call call) =>
        Dimension % 4 == 0 && Alignment.IsPacked(_accelerator, call.X) && Alignment.IsPacked(_accelerator, call.Codes)
        && Alignment.IsPacked(_accelerator, call.Grad) && Alignment.IsPacked(_accelerator, call.Output)
        && Alignment.IsPacked(_accelerator, call.GradX);

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Loader(Quantize owner) : IStoragePairLoader<IKind>
    {
        public IKind Load<TRow, TCode>()
            where TRow : struct, IStorage
            where TCode : struct, IStorage => new Kind<TRow, TCode>(owner);
    }

    private struct Call
    {
        internal TensorView X;
        internal TensorView Codes;
        internal TensorView Grad;
        internal TensorView Output;
        internal TensorView GradX;
        internal ArrayView<int> Index;
        internal ArrayView<int> Counts;
        internal long Rows;
        internal float Slope;
        internal bool HasLoss;
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Kind<TRow, TCode> : IKind
        where TRow : struct, IStorage
        where TCode : struct, IStorage
    {
        // As in ItemLauncher: two threads must not set an OpenCL kernel's arguments at once.
        private static readonly Lock s_gate = new();

        private readonly ItemLauncher<QuantizeCount<TCode>> _count;
        private readonly Lazy<Action<AcceleratorStream, KernelConfig, QuantizeArguments<TRow, TCode>>> _rows;
        private readonly Lazy<Action<AcceleratorStream, KernelConfig, QuantizeArguments<TRow, TCode>, RowLanes>>[] _lanes;

        internal Kind(Quantize owner)
        {
            Accelerator a = owner._accelerator;
            _count = new(a, owner._facts);
            _rows = new(() => a.LoadKernel<QuantizeArguments<TRow, TCode>>(QuantizeKernel.Rows));
            _lanes =
            [
                new(() => a.LoadKernel<QuantizeArguments<TRow, TCode>, RowLanes>(QuantizeKernel.Lanes<TRow, TCode, ScalarAccess>)),
                new(() => a.LoadKernel<QuantizeArguments<TRow, TCode>, RowLanes>(QuantizeKernel.Lanes<TRow, TCode, PacketAccess>)),
            ];
        }

        public unsafe void Count(Quantize owner, AcceleratorStream stream, in Call call)
        {
            if (call.Rows == 0)
            {
                return;
            }

            if (owner._walk == RowWalk.Host)
            {
                int* counts = call.Counts.Length > 0 ? (int*)call.Counts.LoadEffectiveAddressAsPtr() : null;
                HostQuantize.Count(
                    OnHost(owner, call), call.Rows, counts, (int*)owner.UsedView.LoadEffectiveAddressAsPtr());
                return;
            }

            long items = (call.Rows + QuantizeCount<TCode>.Fold - 1) / QuantizeCount<TCode>.Fold;
            var work = new QuantizeCount<TCode>
            {
                Codes = CodesOf(owner, call),
                Counts = call.Counts,
                Used = owner.UsedView,
                Items = items,
                HasCounts = call.Counts.Length > 0 ? 1 : 0,
            };
            _count.Run(stream, work, 0, items, grain: 64);
        }

        public void Rows(Quantize owner, AcceleratorStream stream, in Call call)
        {
            if (owner._walk == RowWalk.Host)
            {
                RowsOnHost(owner, call);
                return;
            }

            var t = new QuantizeArguments<TRow, TCode>
            {
                Codes = CodesOf(owner, call),
                X = Stored.Of<TRow>(call.X),
                Grad = Stored.Of<TRow>(call.Grad),
                Output = Stored.Of<TRow>(call.Output),
                GradX = Stored.Of<TRow>(call.GradX),
                Sums = owner.NumbersView,
                Used = owner.UsedView,
                Slope = call.Slope,
                HasGrad = call.Grad.IsEmpty ? 0 : 1,
                HasOutput = call.Output.IsEmpty ? 0 : 1,
                HasGradX = call.GradX.IsEmpty ? 0 : 1,
                HasLoss = call.HasLoss ? 1 : 0,
            };
            bool packets = owner._walk == RowWalk.Lanes && owner.IsPacked(call);
            RowPlan plan = RowPlan.For(owner._facts, owner._walk, call.Rows, owner.Dimension, packets);
            lock (s_gate)
            {
                if (owner._walk == RowWalk.Rows)
                {
                    _rows.Value(stream, (plan.Groups, plan.GroupSize), t);
                }
                else
                {
                    _lanes[packets ? 1 : 0].Value(stream, (plan.Groups, plan.GroupSize), t, plan.Lanes);
                }
            }
        }

        private static CodeOfRow<TCode> CodesOf(Quantize owner, in Call call) => new()
        {
            Codes = Stored.Of<TCode>(call.Codes),
            Index = call.Index,
            Rows = call.Rows,
            CodeCount = owner.Codes,
            Dimension = owner.Dimension,
            Heads = owner.Heads,
        };

        private static unsafe HostCodes OnHost(Quantize owner, in Call call) => new()
        {
            Codes = new HostStored(call.Codes),
            Index = (int*)call.Index.LoadEffectiveAddressAsPtr(),
            CodeCount = owner.Codes,
            Dimension = owner.Dimension,
            Heads = owner.Heads,
        };

        private static unsafe void RowsOnHost(Quantize owner, in Call call)
        {
            var work = new HostQuantize
            {
                Codes = OnHost(owner, call),
                X = new HostStored(call.X),
                Grad = new HostStored(call.Grad),
                Output = new HostStored(call.Output),
                GradX = new HostStored(call.GradX),
                Sums = call.HasLoss ? (float*)owner.NumbersView.LoadEffectiveAddressAsPtr() : null,
                Used = (int*)owner.UsedView.LoadEffectiveAddressAsPtr(),
                Slope = call.Slope,
            };
            HostPool.Run(work, call.Rows, HostQuantize.Grain(owner.Dimension), owner._facts.Cores);
        }
    }
}
