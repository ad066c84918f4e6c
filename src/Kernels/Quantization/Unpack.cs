using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Quantization;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.Quantization;

/// <summary>Takes codes out of their bits, on the caller's accelerator.</summary>
/// <remarks>Load once, unpack often. A call allocates nothing and does not wait. Exact.</remarks>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed class Unpack
{
    private readonly Accelerator _accelerator;
    private readonly Decoder<CodeTarget> _decoder;

    /// <summary>Prepares unpacking of one layout.</summary>
    /// <param name="accelerator">Where the codes lie.</param>
    /// <param name="layout">The rows, the codes of a row, and the format.</param>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public Unpack(Accelerator accelerator, CodebookLayout layout)
    {
        QuantizationChecks.Made(accelerator, layout);
        _accelerator = accelerator;
        Layout = layout;
        _decoder = new Decoder<CodeTarget>(accelerator, layout);
    }

    /// <summary>What is unpacked.</summary>
    public CodebookLayout Layout { get; }

    /// <summary>Enqueues the unpacking.</summary>
    /// <param name="stream">A stream of the accelerator.</param>
    /// <param name="packed"><see cref="CodebookLayout.PackedBytes"/> bytes, from a multiple of 4 bytes on in planar order.
    /// Bits that are no code count as k - 1.</param>
    /// <param name="index">Out: the codes, [rows, columns / length], 0 to k - 1.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
    /// <exception cref="ArgumentException">A length, accelerator or stream does not fit, or the views overlap.</exception>
    /// <exception cref="ObjectDisposedException">A buffer, the stream or the accelerator is disposed.</exception>
    public void Run(AcceleratorStream stream, ArrayView<byte> packed, ArrayView<byte> index)
    {
        LinearChecks.Call(_accelerator, stream);
        QuantizationChecks.Packed(_accelerator, Layout, packed);
        QuantizationChecks.Index(_accelerator, Layout, index);
        Require.Apart([TensorRange.Of(packed, nameof(packed)), TensorRange.Of(index, nameof(index))]);
        _decoder.Run(stream, packed, new CodeTarget { Index = index }, 0, Layout.Rows);
    }
}
