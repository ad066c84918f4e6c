using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.Quantization;

/// <summary>The checks that the launchers around quantized matrices share.</summary>
internal static class QuantizationChecks
{
    /// <summary>An accelerator and a layout to prepare for.</summary>
    internal static void Prepare(Accelerator accelerator, CodebookLayout layout)
    {
        Require.NotNull(accelerator);
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        Require.NotNull(layout);
    }

    /// <summary>The codes of a layout, one byte each.</summary>
    internal static void Index(
        Accelerator accelerator, CodebookLayout layout, ArrayView<byte> index,
        [CallerArgumentExpression(nameof(index))] string? name = null) =>
        Require.Tensor(accelerator, layout.CodeCount, index, name);

    /// <summary>The packed codes of a layout; planar ones are read as 32-bit words.</summary>
    internal static void Packed(
        Accelerator accelerator, CodebookLayout layout, ArrayView<byte> packed,
        [CallerArgumentExpression(nameof(packed))] string? name = null)
    {
        Require.Tensor(accelerator, layout.PackedBytes, packed, name);
        if (layout.Format.Order == PackingOrder.Planar && TensorView.IndexOf(packed) % 4 != 0)
        {
            throw new ArgumentException(
                "Codes in planar order must begin with a multiple of 4 bytes, and begin with byte "
                + $"{TensorView.IndexOf(packed)} of their buffer.",
                name);
        }
    }

    /// <summary>The codebooks and scales of a layout.</summary>
    internal static void Numbers(
        Accelerator accelerator, CodebookLayout layout, TensorView codebook, TensorView scale)
    {
        LinearChecks.Floats(accelerator, layout.CodebookLength, codebook);
        Require.Tensor(accelerator, layout.ScaleCount, scale);
        if (layout.ScaleCount > 0 && scale.Storage != layout.ScaleStorage)
        {
            throw new ArgumentException(
                $"The scales must be {layout.ScaleStorage}, and are {scale.Storage}.", nameof(scale));
        }
    }
}
