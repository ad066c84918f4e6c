using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Linear;
using Kernels.DeviceCode.Quantization;
using Kernels.Launching;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.Quantization;

/// <summary>Products with a packed matrix Q, y = act(C0 + bias + x Q^T), on the caller's accelerator.</summary>
/// <remarks>
/// <para>
/// Source: JLCM (arXiv:2309.17361), see <see cref="CodebookLayout"/>; partial sums as in LUT-GEMM (arXiv:2206.09557) and
/// AQLM (arXiv:2401.06118). Three ways. For few vectors x weights are looked up where they are multiplied, and never stored.
/// Of codes of several weights, partial sums are: for each value of a code what it makes of its columns of x, computed once
/// for all rows of a codebook, so that a row costs a lookup and an addition a code. For more vectors some rows at a time
/// are dequantized into scratch memory and multiplied as a dense matrix. From how many on was measured; codebooks or scales
/// of blocks, and digits or a codebook for each row where a code has several weights, always go the last way.
/// </para>
/// <para>
/// Load once, multiply often. A call allocates nothing and does not wait (a kernel is compiled when it is first used). It
/// may use the object's scratch memory, so calls of one object must be on one stream. Same input, same bits on a device.
/// </para>
/// <example><code>
/// using var product = new QuantizedProduct(accelerator, layout);
/// product.Multiply(stream, x.View, 1, packed.View, codebook.View, scale.View, y.View);
/// </code></example>
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class QuantizedProduct : IDisposable
{
    private static readonly Lock s_gate = new(); // as in ItemLauncher

    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly Dequantize _dequantize;
    private readonly MatMul _matMul;
    private readonly ScopeMemory _codebooks;
    private readonly ScopeMemory _scales;
    private readonly PackedFormat _format;
    private readonly MemoryBuffer1D<float, Stride1D.Dense>? _slab;
    private readonly MemoryBuffer1D<float, Stride1D.Dense>? _sums;
    private readonly int _slabRows;
    private readonly PartialSums? _partialSums;
    private readonly QuantizedProductWay _way;
    private readonly int _mostVectors; // that go this way; more go by slabs
    private readonly Lock _loading = new();
    private readonly Passes?[] _passes = new Passes?[3];
    private bool _isDisposed;

    /// <summary>Prepares one layout, and scratch memory where there may be many vectors.</summary>
    /// <param name="accelerator">Where the matrix lies.</param>
    /// <param name="layout">What it consists of; in planar order.</param>
    /// <param name="maxVectors">The most vectors of a call, at least 1.</param>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ArgumentException">The codes are in linear order.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There are no vectors, or more than 2^30.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public QuantizedProduct(Accelerator accelerator, CodebookLayout layout, int maxVectors = 1)
        : this(accelerator, layout, maxVectors, way: null)
    {
    }

    /// <summary>A way that all vectors go, for tests; by slabs where the layout does not suit it.</summary>
    internal QuantizedProduct(Accelerator accelerator, CodebookLayout layout, int maxVectors, QuantizedProductWay? way)
    {
        QuantizationChecks.Made(accelerator, layout);
        LinearChecks.PositiveSize(maxVectors);
        if (layout.Format.Order != PackingOrder.Planar)
        {
            throw new ArgumentException(
                $"The codes must be in {PackingOrder.Planar} order, and are in {layout.Format.Order}.", nameof(layout));
        }

        _accelerator = accelerator;
        Layout = layout;
        MaxVectors = maxVectors;
        _facts = DeviceFacts.Of(accelerator);
        _format = PackedFormats.Of(layout);
        _mostVectors = QuantizedProductPlan.MostVectors(layout, _facts.Class, way, out _way);
        _codebooks = new ScopeMemory(accelerator, layout.Codebooks, layout.Rows);
        _scales = new ScopeMemory(accelerator, layout.Scales, layout.Rows);
        _dequantize = new Dequantize(accelerator, layout);
        _matMul = new MatMul(accelerator);
        if (_way == QuantizedProductWay.PartialSums && _mostVectors > 0)
        {
            _partialSums = new PartialSums(accelerator, layout, Math.Min(maxVectors, _mostVectors));
        }

        if (maxVectors > _mostVectors)
        {
            _slabRows = QuantizedProductPlan.SlabRows(layout.Rows, layout.Columns);
            _slab = accelerator.Allocate1D<float>((long)_slabRows * layout.Columns);
            _sums = accelerator.Allocate1D<float>((long)_slabRows * maxVectors);
        }
    }

    /// <summary>What is multiplied.</summary>
    public CodebookLayout Layout { get; }

    /// <summary>The most vectors of a call.</summary>
    public int MaxVectors { get; }

    /// <summary>Enqueues y = act(C0 + bias + x Q^T), where C0 is y if accumulating and 0 otherwise.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="x">[n, columns], F32.</param>
    /// <param name="n">Vectors, 0 to <see cref="MaxVectors"/>.</param>
    /// <param name="packed"><see cref="CodebookLayout.PackedBytes"/> bytes, from a multiple of 4 bytes on. Bits that are no
    /// code count as k - 1.</param>
    /// <param name="codebook">[codebooks, k, length], F32.</param>
    /// <param name="scale">[scales], of the layout's storage; nothing if there are none.</param>
    /// <param name="y">[n, rows], F32, written; read as well if accumulating.</param>
    /// <param name="bias">[rows], F32; none by default.</param>
    /// <param name="activation">Applied to every element.</param>
    /// <param name="accumulate">Whether what y holds is added, before the activation.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, storage, accelerator or stream does not fit, or y overlaps an
    /// input.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There are too many vectors, or no such activation.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Multiply(
        AcceleratorStream stream, TensorView x, int n, ArrayView<byte> packed, TensorView codebook, TensorView scale,
        TensorView y, TensorView bias = default, Activation activation = Activation.None, bool accumulate = false)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        Require.InRange(n, 0, MaxVectors + 1.0);
        Require.Defined(activation);
        QuantizationChecks.Packed(_accelerator, Layout, packed);
        QuantizationChecks.Codebook(_accelerator, Layout, codebook);
        QuantizationChecks.Scales(_accelerator, Layout, scale);
        LinearChecks.Floats(_accelerator, (long)n * Layout.Columns, x);
        LinearChecks.Floats(_accelerator, (long)n * Layout.Rows, y);
        LinearChecks.Floats(_accelerator, bias.IsEmpty ? 0 : Layout.Rows, bias);
        TensorRange written = TensorRange.Of(y, nameof(y));
        Require.Apart([TensorRange.Of(packed, nameof(packed)), written]);
        Require.Apart([TensorRange.Of(x, nameof(x)), written]);
        Require.Apart([TensorRange.Of(codebook, nameof(codebook)), written]);
        Require.Apart([TensorRange.Of(scale, nameof(scale)), written]);
        Require.Apart([TensorRange.Of(bias, nameof(bias)), written]);
        if (n == 0)
        {
            return;
        }

        var t = new QuantizedProductArguments
        {
            Q = new RowCodebooks
            {
                Words = packed.Cast<uint>(),
                Codebook = codebook.As<float>(),
                Format = _format,
                Scope = _codebooks.Table,
                Scale = ScaleTables.Of(Layout, _scales.Table, scale),
            },
            X = x.As<float>(),
            Y = y.As<float>(),
            Bias = bias.As<float>(),
            Rows = Layout.Rows,
            Columns = Layout.Columns,
            HasBias = bias.IsEmpty ? 0 : 1,
            Accumulate = accumulate ? 1 : 0,
        };
        Passes passes = For(activation);
        if (n <= _mostVectors && _partialSums is not null)
        {
            passes.End(stream, t, _partialSums.Run(stream, t, n), 0, Layout.Rows, n, _partialSums.Parts, isUnscaled: true);
            return;
        }

        if (n <= _mostVectors)
        {
            passes.Look(stream, t, n);
            return;
        }

        for (int first = 0; first < Layout.Rows; first += _slabRows)
        {
            int rows = Math.Min(_slabRows, Layout.Rows - first);
            TensorView slab = _slab!.View.SubView(0, (long)rows * Layout.Columns);
            ArrayView<float> sums = _sums!.View.SubView(0, (long)rows * n);
            _dequantize.Rows(stream, packed, codebook, scale, slab, first, rows);
            _matMul.Multiply(stream, slab, false, x, true, sums, rows, n, Layout.Columns);
            passes.End(stream, t, sums, first, rows, n, 1, isUnscaled: false);
        }
    }

    /// <summary>Frees the scratch memory; enqueued work must have ended.</summary>
    public void Dispose()
    {
        _isDisposed = true;
        _dequantize.Dispose();
        _codebooks.Dispose();
        _scales.Dispose();
        _partialSums?.Dispose();
        _slab?.Dispose();
        _sums?.Dispose();
    }

    private Passes For(Activation activation)
    {
        if (Volatile.Read(ref _passes[(int)activation]) is { } loaded)
        {
            return loaded;
        }

        lock (_loading)
        {
            return _passes[(int)activation] ??= activation switch
            {
                Activation.None => new Passes<Identity>(this),
                Activation.Relu => new Passes<Relu>(this),
                _ => new Passes<Gelu>(this),
            };
        }
    }

    private abstract class Passes
    {
        internal abstract void Look(AcceleratorStream stream, in QuantizedProductArguments t, int n);

        internal abstract void End(
            AcceleratorStream stream, in QuantizedProductArguments t, ArrayView<float> sums, int firstRow, int rows, int n,
            int parts, bool isUnscaled);
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Passes<TActivation> : Passes
        where TActivation : struct, IActivation
    {
        private readonly DeviceFacts _facts;
        private readonly int _sixteenCodes;
        private readonly Action<AcceleratorStream, KernelConfig, QuantizedProductArguments, int, int>? _rows;
        private readonly Action<AcceleratorStream, KernelConfig, QuantizedProductArguments, int, int, int>? _sixteens;
        private readonly ItemLauncher<ProductEndWork<TActivation>>? _end;

        internal Passes(QuantizedProduct product)
        {
            _facts = product._facts;
            PackedFormat format = product._format;
            if (product._slab is not null || product._partialSums is not null)
            {
                _end = new ItemLauncher<ProductEndWork<TActivation>>(product._accelerator, _facts);
            }

            if (_facts.Class == DeviceClass.Host || product._way != QuantizedProductWay.Looked || product._mostVectors == 0)
            {
                return;
            }

            if (_facts.Class == DeviceClass.OpenClCpu && format.FieldBits > 0)
            {
                _sixteenCodes = format.SixteenCodes;
                _sixteens = LoadSixteens(product._accelerator, format.FieldBits);
            }
            else
            {
                _rows = LoadRows(product._accelerator, format.FieldBits);
            }
        }

        internal override void Look(AcceleratorStream stream, in QuantizedProductArguments t, int n)
        {
            if (_facts.Class == DeviceClass.Host)
            {
                HostBlocks.Multiply<TActivation>(t, n, _facts.Cores);
                return;
            }

            if (_sixteens is not null)
            {
                for (long first = 0; first < t.Rows; first += _facts.MaxGrid)
                {
                    lock (s_gate)
                    {
                        _sixteens(
                            stream, new KernelConfig((int)Math.Min(t.Rows - first, _facts.MaxGrid), 1), t, n,
                            _sixteenCodes, (int)first);
                    }
                }

                return;
            }

            int each = Math.Min(
                _facts.Class == DeviceClass.Gpu ? DeviceCode.Quantization.QuantizedProduct.MaxGroupRows : 1,
                _facts.MaxGroup / PackedFormat.Lanes);
            int rowGroups = (t.Rows + each - 1) / each;
            long groups = (long)rowGroups * n;
            for (long first = 0; first < groups; first += _facts.MaxGrid)
            {
                var config = new KernelConfig(
                    new Index3D((int)Math.Min(groups - first, _facts.MaxGrid), 1, 1),
                    new Index3D(PackedFormat.Lanes, each, 1));
                lock (s_gate)
                {
                    _rows!(stream, config, t, rowGroups, (int)first);
                }
            }
        }

        internal override void End(
            AcceleratorStream stream, in QuantizedProductArguments t, ArrayView<float> sums, int firstRow, int rows, int n,
            int parts, bool isUnscaled)
        {
            var work = new ProductEndWork<TActivation>
            {
                Product = t,
                Sums = sums,
                Parts = parts,
                FirstRow = firstRow,
                SlabRows = rows,
                Vectors = n,
                IsUnscaled = isUnscaled ? 1 : 0,
            };
            _end!.Run(stream, work, 0, (long)rows * n);
        }

        private static Action<AcceleratorStream, KernelConfig, QuantizedProductArguments, int, int> LoadRows(
            Accelerator accelerator, int bits) => accelerator.LoadKernel<QuantizedProductArguments, int, int>(bits switch
            {
                1 => DeviceCode.Quantization.QuantizedProduct.Rows<Fields<Bits1>, TActivation>,
                2 => DeviceCode.Quantization.QuantizedProduct.Rows<Fields<Bits2>, TActivation>,
                3 => DeviceCode.Quantization.QuantizedProduct.Rows<Fields<Bits3>, TActivation>,
                4 => DeviceCode.Quantization.QuantizedProduct.Rows<Fields<Bits4>, TActivation>,
                5 => DeviceCode.Quantization.QuantizedProduct.Rows<Fields<Bits5>, TActivation>,
                6 => DeviceCode.Quantization.QuantizedProduct.Rows<Fields<Bits6>, TActivation>,
                7 => DeviceCode.Quantization.QuantizedProduct.Rows<Fields<Bits7>, TActivation>,
                8 => DeviceCode.Quantization.QuantizedProduct.Rows<Fields<Bits8>, TActivation>,
                _ => DeviceCode.Quantization.QuantizedProduct.Rows<Digits, TActivation>,
            });

        private static Action<AcceleratorStream, KernelConfig, QuantizedProductArguments, int, int, int> LoadSixteens(
            Accelerator accelerator, int bits) =>
            accelerator.LoadKernel<QuantizedProductArguments, int, int, int>(bits switch
            {
                1 => DeviceCode.Quantization.QuantizedProduct.RowSixteens<Bits1, TActivation>,
                2 => DeviceCode.Quantization.QuantizedProduct.RowSixteens<Bits2, TActivation>,
                3 => DeviceCode.Quantization.QuantizedProduct.RowSixteens<Bits3, TActivation>,
                4 => DeviceCode.Quantization.QuantizedProduct.RowSixteens<Bits4, TActivation>,
                5 => DeviceCode.Quantization.QuantizedProduct.RowSixteens<Bits5, TActivation>,
                6 => DeviceCode.Quantization.QuantizedProduct.RowSixteens<Bits6, TActivation>,
                7 => DeviceCode.Quantization.QuantizedProduct.RowSixteens<Bits7, TActivation>,
                _ => DeviceCode.Quantization.QuantizedProduct.RowSixteens<Bits8, TActivation>,
            });
    }
}
