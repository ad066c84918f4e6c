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
/// The rotation trick on the caller's accelerator: in place of the straight-through estimator, the gradient turns and scales
/// as the row does on its way to its code.
/// </summary>
/// <remarks>
/// Source: Fifty et al. 2024, arXiv:2410.06424, section 4. With u = z / |z|, q = e / |e|, w = (u + q) / |u + q| and
/// s = |e| / |z|, all taken as constants, the output s (z - 2 (w.z) w + 2 (u.z) q) is e, and is written as e itself; the
/// gradient is dz = s (g - 2 (w.g) w + 2 (q.g) u).
/// Defined here where the paper is not: a row z = 0 has no direction, and dz = g, plain straight-through; else for a code
/// e = 0, dz = 0; for u = -q (|u + q| below 2^-17, which is all rounding), w = 0. The norms neither overflow nor underflow.
/// Made once, called often: a call allocates nothing, does not synchronize, and may be made from several threads. The order
/// of the sums is fixed by the sizes: the same call gives the same bits on a device. A row without a code (index -1, or any
/// that is not of a code) has output and gradient 0. NaN and infinity do not leave their row.
/// The gradient of the commitment comes on top by <see cref="Quantize"/>, with this one as its incoming gradient.
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class Rotate
{
    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly RowWalk _walk;
    private readonly StoragePairs<IKind> _kinds;

    /// <summary>Prepares passes of one shape.</summary>
    /// <param name="accelerator">Where the tensors lie.</param>
    /// <param name="maxRows">The most rows of a call, 1 to 2^30.</param>
    /// <param name="codes">Codes of each codebook, 1 to 2^30.</param>
    /// <param name="dimension">Length of a code, 1 to 2^20.</param>
    /// <param name="heads">Codebooks; each has its own part of every row. 1 to 65,536.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is out of range.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public Rotate(Accelerator accelerator, int maxRows, int codes, int dimension, int heads = 1)
        : this(accelerator, maxRows, codes, dimension, heads, walk: null)
    {
    }

    /// <summary>With a walk that the device would not choose itself, for tests.</summary>
    internal Rotate(Accelerator accelerator, int maxRows, int codes, int dimension, int heads, RowWalk? walk)
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
    }

    private interface IKind
    {
        void Run(Rotate owner, AcceleratorStream stream, in Call call);
    }

    /// <summary>The most rows of a call.</summary>
    public int MaxRows { get; }

    /// <summary>Codes of each codebook.</summary>
    public int Codes { get; }

    /// <summary>Length of a code.</summary>
    public int Dimension { get; }

    /// <summary>Codebooks.</summary>
    public int Heads { get; }

    /// <summary>Enqueues the output: the code of each row.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="x">The rows z, [rows, heads, dimension], row-major.</param>
    /// <param name="codes">The codebooks, [heads, codes, dimension], row-major.</param>
    /// <param name="index">The code e of each row, [rows, heads]; -1, or any that is not of a code: none.</param>
    /// <param name="rows">Rows, 0 to <see cref="MaxRows"/>.</param>
    /// <param name="output">
    /// Out: e, [rows, heads, dimension], stored as the rows are; 0 without a code. May be <paramref name="x"/> itself.
    /// </param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">
    /// A length, storage, accelerator or stream does not fit, or an output overlaps another tensor.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">The number of rows is out of range.</exception>
    /// <exception cref="ObjectDisposedException">A buffer, the stream or the accelerator is disposed.</exception>
    public void Forward(
        AcceleratorStream stream, TensorView x, TensorView codes, ArrayView<int> index, int rows, TensorView output)
    {
        Check(stream, x, codes, index, rows);
        Require.Tensor(_accelerator, x.Length, output);
        Run(stream, x, codes, index, rows, default, default, output);
    }

    /// <summary>Enqueues the gradient to the rows and, where asked for, the output in the same pass.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="x">The rows z, [rows, heads, dimension], row-major.</param>
    /// <param name="codes">The codebooks, [heads, codes, dimension], row-major.</param>
    /// <param name="index">The code e of each row, [rows, heads]; -1, or any that is not of a code: none.</param>
    /// <param name="rows">Rows, 0 to <see cref="MaxRows"/>.</param>
    /// <param name="grad">The gradient g that comes to the output, [rows, heads, dimension], stored as the rows are.</param>
    /// <param name="gradX">
    /// Out: the gradient to the rows, [rows, heads, dimension], stored as they are; 0 without a code. May be
    /// <paramref name="x"/> or <paramref name="grad"/> itself.
    /// </param>
    /// <param name="output">Out, where given: as of <see cref="Forward"/>.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">
    /// A length, storage, accelerator or stream does not fit, or an output overlaps another tensor.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">The number of rows is out of range.</exception>
    /// <exception cref="ObjectDisposedException">A buffer, the stream or the accelerator is disposed.</exception>
    public void Backward(
        AcceleratorStream stream, TensorView x, TensorView codes, ArrayView<int> index, int rows, TensorView grad,
        TensorView gradX, TensorView output = default)
    {
        Check(stream, x, codes, index, rows);
        Require.Tensor(_accelerator, x.Length, grad);
        Require.Tensor(_accelerator, x.Length, gradX);
        Run(stream, x, codes, index, rows, grad, gradX, output);
    }

    private void Check(AcceleratorStream stream, TensorView x, TensorView codes, ArrayView<int> index, int rows)
    {
        LinearChecks.Call(_accelerator, stream);
        Require.InRange(rows, 0, MaxRows + 1.0);
        Require.Tensor(_accelerator, (long)rows * Heads * Dimension, x);
        Require.Tensor(_accelerator, (long)Heads * Codes * Dimension, codes);
        LinearChecks.Floats(_accelerator, (long)rows * Heads, LinearChecks.Bytes(index), nameof(index));
    }

    private void Run(
        AcceleratorStream stream, TensorView x, TensorView codes, ArrayView<int> index, int rows, TensorView grad,
        TensorView gradX, TensorView output)
    {
        RowChecks.Like(_accelerator, x, grad, nameof(grad));
        RowChecks.Like(_accelerator, x, gradX, nameof(gradX));
        RowChecks.Like(_accelerator, x, output, nameof(output));
        RowChecks.Apart(
        [
            (x, nameof(x)), (codes, nameof(codes)), (LinearChecks.Bytes(index), nameof(index)), (grad, nameof(grad)),
            (output, nameof(output)), (gradX, nameof(gradX)),
        ]);
        if (rows == 0)
        {
            return;
        }

        var call = new Call
        {
            X = x,
            Codes = codes,
            Grad = grad,
            Output = output,
            GradX = gradX,
            Index = index,
            Rows = (long)rows * Heads,
        };
        _kinds.For(x.Storage, codes.Storage).Run(this, stream, call);
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Loader(Rotate owner) : IStoragePairLoader<IKind>
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
        internal long Rows;
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Kind<TRow, TCode> : IKind
        where TRow : struct, IStorage
        where TCode : struct, IStorage
    {
        // As in ItemLauncher: two threads must not set an OpenCL kernel's arguments at once.
        private static readonly Lock s_gate = new();

        private readonly Lazy<Action<AcceleratorStream, KernelConfig, RotateArguments<TRow, TCode>>> _rows;
        private readonly Lazy<Action<AcceleratorStream, KernelConfig, RotateArguments<TRow, TCode>, RowLanes>>[] _lanes;

        internal Kind(Rotate owner)
        {
            Accelerator a = owner._accelerator;
            _rows = new(() => a.LoadKernel<RotateArguments<TRow, TCode>>(RotateKernel.Rows));
            _lanes =
            [
                new(() => a.LoadKernel<RotateArguments<TRow, TCode>, RowLanes>(RotateKernel.Lanes<TRow, TCode, ScalarAccess>)),
                new(() => a.LoadKernel<RotateArguments<TRow, TCode>, RowLanes>(RotateKernel.Lanes<TRow, TCode, PacketAccess>)),
            ];
        }

        public void Run(Rotate owner, AcceleratorStream stream, in Call call)
        {
            if (owner._walk == RowWalk.Host)
            {
                OnHost(owner, call);
                return;
            }

            var t = new RotateArguments<TRow, TCode>
            {
                Codes = new CodeOfRow<TCode>
                {
                    Codes = Stored.Of<TCode>(call.Codes),
                    Index = call.Index,
                    Rows = call.Rows,
                    CodeCount = owner.Codes,
                    Dimension = owner.Dimension,
                    Heads = owner.Heads,
                },
                X = Stored.Of<TRow>(call.X),
                Grad = Stored.Of<TRow>(call.Grad),
                Output = Stored.Of<TRow>(call.Output),
                GradX = Stored.Of<TRow>(call.GradX),
                HasOutput = call.Output.IsEmpty ? 0 : 1,
                HasGradX = call.GradX.IsEmpty ? 0 : 1,
            };
            bool packets = owner._walk == RowWalk.Lanes && owner.Dimension % 4 == 0
                && Alignment.IsPacked(owner._accelerator, call.X) && Alignment.IsPacked(owner._accelerator, call.Codes)
                && Alignment.IsPacked(owner._accelerator, call.Grad) && Alignment.IsPacked(owner._accelerator, call.Output)
                && Alignment.IsPacked(owner._accelerator, call.GradX);
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

        private static unsafe void OnHost(Rotate owner, in Call call)
        {
            var work = new HostRotate
            {
                Codes = new HostCodes
                {
                    Codes = new HostStored(call.Codes),
                    Index = (int*)call.Index.LoadEffectiveAddressAsPtr(),
                    CodeCount = owner.Codes,
                    Dimension = owner.Dimension,
                    Heads = owner.Heads,
                },
                X = new HostStored(call.X),
                Grad = new HostStored(call.Grad),
                Output = new HostStored(call.Output),
                GradX = new HostStored(call.GradX),
            };
            HostPool.Run(work, call.Rows, HostQuantize.Grain(owner.Dimension), owner._facts.Cores);
        }
    }
}
