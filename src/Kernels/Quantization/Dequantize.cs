using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Quantization;
using Kernels.DeviceCode.Storage;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.Quantization;

/// <summary>The weights that packed codes stand for, W = s C[I], on the caller's accelerator.</summary>
/// <remarks>
/// Source: JLCM (arXiv:2309.17361), see <see cref="CodebookLayout"/>. Load once, dequantize often. A call allocates
/// nothing and does not wait (a kernel is compiled when its storage is first used). Exact without scales; one rounded
/// product with them, and one rounding to a storage of 16 bits. Same input, same bits.
/// </remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class Dequantize : IDisposable
{
    private readonly Accelerator _accelerator;
    private readonly Lock _loading = new();
    private readonly ScopeMemory _codebooks;
    private readonly ScopeMemory _scales;
    private readonly Decode?[] _decoders = new Decode?[3];
    private bool _isDisposed;

    /// <summary>Prepares one layout; where there are groups of rows, allocates a number for each row.</summary>
    /// <param name="accelerator">Where the matrix lies.</param>
    /// <param name="layout">What it consists of.</param>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public Dequantize(Accelerator accelerator, CodebookLayout layout)
    {
        QuantizationChecks.Made(accelerator, layout);
        _accelerator = accelerator;
        Layout = layout;
        _codebooks = new ScopeMemory(accelerator, layout.Codebooks, layout.Rows);
        _scales = new ScopeMemory(accelerator, layout.Scales, layout.Rows);
    }

    private delegate void Decode(
        AcceleratorStream stream, ArrayView<byte> packed, TensorView codebook, in ScaleTable scale, TensorView w,
        int firstRow, int rows);

    /// <summary>What is dequantized.</summary>
    public CodebookLayout Layout { get; }

    /// <summary>Enqueues the dequantization.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="packed"><see cref="CodebookLayout.PackedBytes"/> bytes, from a multiple of 4 bytes on in planar order.
    /// Bits that are no code count as k - 1.</param>
    /// <param name="codebook">[codebooks, k, length], F32.</param>
    /// <param name="scale">[scales], of the layout's storage; nothing if there are none.</param>
    /// <param name="w">Out: [rows, columns], F32, F16 or BF16.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, storage, accelerator or stream does not fit, or W overlaps an
    /// input.</exception>
    /// <exception cref="ObjectDisposedException">This, a buffer, the stream or the accelerator is disposed.</exception>
    public void Run(
        AcceleratorStream stream, ArrayView<byte> packed, TensorView codebook, TensorView scale, TensorView w)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        LinearChecks.Call(_accelerator, stream);
        QuantizationChecks.Packed(_accelerator, Layout, packed);
        QuantizationChecks.Codebook(_accelerator, Layout, codebook);
        QuantizationChecks.Scales(_accelerator, Layout, scale);
        Require.Tensor(_accelerator, Layout.WeightCount, w);
        TensorRange written = TensorRange.Of(w, nameof(w));
        Require.Apart([TensorRange.Of(packed, nameof(packed)), written]);
        Require.Apart([TensorRange.Of(codebook, nameof(codebook)), written]);
        Require.Apart([TensorRange.Of(scale, nameof(scale)), written]);
        Rows(stream, packed, codebook, scale, w, 0, Layout.Rows);
    }

    /// <summary>Some rows, into a tensor that begins with them; unchecked, and all rows in linear order.</summary>
    internal void Rows(
        AcceleratorStream stream, ArrayView<byte> packed, TensorView codebook, TensorView scale, TensorView w, int firstRow,
        int rows) => For(w.Storage)(
            stream, packed, codebook, ScaleTables.Of(Layout, _scales.Table, scale), w, firstRow, rows);

    /// <summary>Frees what tells the groups of rows; enqueued work must have ended.</summary>
    public void Dispose()
    {
        _isDisposed = true;
        _codebooks.Dispose();
        _scales.Dispose();
    }

    private Decode For(Storage storage)
    {
        if (Volatile.Read(ref _decoders[(int)storage]) is { } loaded)
        {
            return loaded;
        }

        lock (_loading)
        {
            return _decoders[(int)storage] ??= storage switch
            {
                Storage.F32 => Load<F32>(),
                Storage.F16 => Load<F16>(),
                _ => Load<BF16>(),
            };
        }
    }

    private Decode Load<TStorage>()
        where TStorage : struct, IStorage
    {
        if (RowDequantizer.Suits(Layout))
        {
            var rows = new RowDequantizer<TStorage>(_accelerator, Layout, _codebooks.Table);
            return rows.Run;
        }

        var any = new Decoder<WeightTarget<TStorage>>(_accelerator, Layout);
        return (AcceleratorStream stream, ArrayView<byte> packed, TensorView codebook, in ScaleTable scale, TensorView w,
            int firstRow, int rows) => any.Run(
                stream, packed, WeightTargets.Of<TStorage>(Layout, codebook, _codebooks.Table, scale, w, firstRow), firstRow,
                rows);
    }
}
