using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Linear;
using Kernels.Launching;
using Kernels.Validation;

namespace Kernels.Linear;

/// <summary>
/// Products of row-major matrices, C = act(C0 + bias + op(A) op(B)), on the caller's accelerator: a layer's forward
/// pass (Y = X W^T) and both of its gradients (dX = dY W, dW = dY^T X).
/// </summary>
/// <remarks>
/// <para>
/// Load once, multiply often. A call allocates nothing and does not synchronize (a kernel is compiled when its
/// combination of transposes and activation is first used), and may be made from several threads. On ILGPU's CPU
/// accelerator the product runs on the host's SIMD units and is done when the call returns.
/// </para>
/// <para>
/// Arithmetic is binary32. The products of an element are added in ascending k to C0 + bias, whatever the device and
/// the launch: the same call gives the same bits on a device.
/// </para>
/// <example><code>
/// var matMul = new MatMul(accelerator);
/// matMul.Multiply(stream, x.View, false, w.View, true, y.View, rows, outputs, inputs, bias.View, Activation.Relu);
/// matMul.Multiply(stream, dy.View, false, w.View, false, dx.View, rows, inputs, outputs);
/// matMul.Multiply(stream, dy.View, true, x.View, false, dw.View, outputs, inputs, rows);
/// </code></example>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class MatMul
{
    // As in ItemLauncher: two threads must not set an OpenCL kernel's arguments at once.
    private static readonly Lock s_gate = new();

    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly TileWalk _walk;
    private readonly Lock _loading = new();
    private readonly Action<AcceleratorStream, KernelConfig, MatMulArguments>?[] _tiles = new Action<
        AcceleratorStream, KernelConfig, MatMulArguments>?[24];

    private readonly Action<AcceleratorStream, KernelConfig, MatMulArguments, MatMulSlice>?[] _panels = new Action<
        AcceleratorStream, KernelConfig, MatMulArguments, MatMulSlice>?[12];

    /// <summary>Prepares products on an accelerator.</summary>
    /// <param name="accelerator">Where the matrices will lie.</param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public MatMul(Accelerator accelerator)
        : this(accelerator, walk: null)
    {
    }

    /// <summary>With a walk that the device would not choose itself, for tests.</summary>
    internal MatMul(Accelerator accelerator, TileWalk? walk)
    {
        Require.NotNull(accelerator);
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        _accelerator = accelerator;
        _facts = DeviceFacts.Of(accelerator);
        _walk = walk ?? TilePlan.WalkFor(_facts);
    }

    /// <summary>Enqueues C = act(C0 + bias + op(A) op(B)), where C0 is C if accumulating and 0 otherwise.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="a">A, row-major: op(A) is [m, k], so [k, m] if transposed. F32.</param>
    /// <param name="transposeA">Whether op(A) is the transpose of A.</param>
    /// <param name="b">B, row-major: op(B) is [k, n], so [n, k] if transposed. F32.</param>
    /// <param name="transposeB">Whether op(B) is the transpose of B.</param>
    /// <param name="c">C, [m, n], row-major, written; read as well if accumulating. F32.</param>
    /// <param name="m">Rows of C, 0 to 2^30.</param>
    /// <param name="n">Columns of C, 0 to 2^30.</param>
    /// <param name="k">Length of the inner products, 0 to 2^30; with 0 they are 0.</param>
    /// <param name="bias">[n], added to every row; none by default. F32.</param>
    /// <param name="activation">Applied to every element.</param>
    /// <param name="accumulate">Whether what C holds is added, before the activation.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">
    /// A length, storage, accelerator or stream does not fit, or C overlaps an input.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">A size or the activation is out of range.</exception>
    /// <exception cref="ObjectDisposedException">A buffer, the stream or the accelerator is disposed.</exception>
    public void Multiply(
        AcceleratorStream stream, TensorView a, bool transposeA, TensorView b, bool transposeB, TensorView c,
        int m, int n, int k, TensorView bias = default, Activation activation = Activation.None, bool accumulate = false)
    {
        LinearChecks.Call(_accelerator, stream);
        LinearChecks.Size(m);
        LinearChecks.Size(n);
        LinearChecks.Size(k);
        Require.Defined(activation);
        LinearChecks.Floats(_accelerator, (long)m * k, a);
        LinearChecks.Floats(_accelerator, (long)k * n, b);
        LinearChecks.Floats(_accelerator, (long)m * n, c);
        if (!bias.IsEmpty)
        {
            LinearChecks.Floats(_accelerator, n, bias);
        }

        Require.Apart(a, c, nameof(a), nameof(c));
        Require.Apart(b, c, nameof(b), nameof(c));
        Require.Apart(bias, c, nameof(bias), nameof(c));
        if (m == 0 || n == 0)
        {
            return;
        }

        TilePlan plan = TilePlan.For(_facts, _walk, m, n);
        if (_walk == TileWalk.Host)
        {
            MultiplyOnHost(plan, a, transposeA, b, transposeB, c, m, n, k, bias, activation, accumulate);
            return;
        }

        var t = new MatMulArguments
        {
            A = a.As<float>(),
            B = b.As<float>(),
            C = c.As<float>(),
            Bias = bias.As<float>(),
            M = m,
            N = n,
            K = k,
            HasBias = bias.IsEmpty ? 0 : 1,
            Accumulate = accumulate ? 1 : 0,
        };
        int sides = (transposeA ? 2 : 0) + (transposeB ? 1 : 0);
        if (_walk == TileWalk.Tile)
        {
            bool aligned = Alignment.IsPacked(_accelerator, a) && Alignment.IsPacked(_accelerator, b)
                && Alignment.IsPacked(_accelerator, c) && n % 4 == 0 && (transposeA ? m : k) % 4 == 0 && (transposeB ? k : n) % 4 == 0;
            lock (s_gate)
            {
                Tile(sides, aligned, activation)(stream, (plan.Groups, plan.GroupSize), t);
            }
            return;
        }

        var slice = new MatMulSlice { Blocks = plan.Blocks };
        do
        {
            slice.Depth = Math.Min(MatMulPanel.Depth, k - slice.First);
            bool last = slice.First + slice.Depth >= k;
            lock (s_gate)
            {
                Panel(sides, last ? activation : Activation.None)(stream, (plan.Groups, plan.GroupSize), t, slice);
            }
            slice.First += slice.Depth;
        }
        while (slice.First < k);
    }

    private unsafe void MultiplyOnHost(
        TilePlan plan, TensorView a, bool transposeA, TensorView b, bool transposeB, TensorView c,
        int m, int n, int k, TensorView bias, Activation activation, bool accumulate)
    {
        var product = new HostProduct
        {
            A = HostMemory.Floats(a),
            B = HostMemory.Floats(b),
            C = HostMemory.Floats(c),
            Bias = HostMemory.Floats(bias),
            M = m,
            N = n,
            K = k,
            TransposeA = transposeA,
            TransposeB = transposeB,
            Accumulate = accumulate,
        };
        switch (activation)
        {
            case Activation.Relu:
                HostMatMul.Run<Relu>(product, plan, _facts.Cores);
                break;
            case Activation.Gelu:
                HostMatMul.Run<Gelu>(product, plan, _facts.Cores);
                break;
            default:
                HostMatMul.Run<Identity>(product, plan, _facts.Cores);
                break;
        }
    }

    private Action<AcceleratorStream, KernelConfig, MatMulArguments> Tile(int sides, bool aligned, Activation activation)
    {
        int slot = (((int)activation * 2) + (aligned ? 1 : 0)) * 4 + sides;
        if (Volatile.Read(ref _tiles[slot]) is { } loaded)
        {
            return loaded;
        }

        lock (_loading)
        {
            return _tiles[slot] ??= sides switch
            {
                0 => LoadTile<AlongDepth, AcrossDepth>(aligned, activation),
                1 => LoadTile<AlongDepth, AlongDepth>(aligned, activation),
                2 => LoadTile<AcrossDepth, AcrossDepth>(aligned, activation),
                _ => LoadTile<AcrossDepth, AlongDepth>(aligned, activation),
            };
        }
    }

    private Action<AcceleratorStream, KernelConfig, MatMulArguments> LoadTile<TA, TB>(bool aligned, Activation activation)
        where TA : struct, ISide
        where TB : struct, ISide => _accelerator.LoadKernel<MatMulArguments>((aligned, activation) switch
        {
            (false, Activation.None) => MatMulTile.Multiply<TA, TB, ScalarAccess, Identity>,
            (false, Activation.Relu) => MatMulTile.Multiply<TA, TB, ScalarAccess, Relu>,
            (false, _) => MatMulTile.Multiply<TA, TB, ScalarAccess, Gelu>,
            (true, Activation.None) => MatMulTile.Multiply<TA, TB, PacketAccess, Identity>,
            (true, Activation.Relu) => MatMulTile.Multiply<TA, TB, PacketAccess, Relu>,
            (true, _) => MatMulTile.Multiply<TA, TB, PacketAccess, Gelu>,
        });

    private Action<AcceleratorStream, KernelConfig, MatMulArguments, MatMulSlice> Panel(int sides, Activation activation)
    {
        int slot = ((int)activation * 4) + sides;
        if (Volatile.Read(ref _panels[slot]) is { } loaded)
        {
            return loaded;
        }

        lock (_loading)
        {
            return _panels[slot] ??= sides switch
            {
                0 => LoadPanel<AlongDepth, AcrossDepth>(activation),
                1 => LoadPanel<AlongDepth, AlongDepth>(activation),
                2 => LoadPanel<AcrossDepth, AcrossDepth>(activation),
                _ => LoadPanel<AcrossDepth, AlongDepth>(activation),
            };
        }
    }

    private Action<AcceleratorStream, KernelConfig, MatMulArguments, MatMulSlice> LoadPanel<TA, TB>(Activation activation)
        where TA : struct, ISide
        where TB : struct, ISide => _accelerator.LoadKernel<MatMulArguments, MatMulSlice>(activation switch
        {
            Activation.None => MatMulPanel.Multiply<TA, TB, Identity>,
            Activation.Relu => MatMulPanel.Multiply<TA, TB, Relu>,
            _ => MatMulPanel.Multiply<TA, TB, Gelu>,
        });
}
