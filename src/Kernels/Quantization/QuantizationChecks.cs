using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.Quantization;

/// <summary>The checks that what works on quantized matrices shares.</summary>
internal static class QuantizationChecks
{
    /// <summary>The accelerator and the layout that an object is made for.</summary>
    internal static void Made(Accelerator accelerator, CodebookLayout layout)
    {
        Require.NotNull(accelerator);
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        Require.NotNull(layout);
    }

    /// <summary>A matrix of fewer than 2^31 weights.</summary>
    internal static void Shape(int rows, int columns)
    {
        Require.AtLeast(rows, 1);
        Require.AtLeast(columns, 1);
        Require.InRange((double)rows * columns, 1, int.MaxValue + 1.0, nameof(columns));
    }

    /// <summary>Scales as the layout wants them; none where it has none.</summary>
    internal static void Scales(
        Accelerator accelerator, CodebookLayout layout, TensorView view,
        [CallerArgumentExpression(nameof(view))] string? name = null)
    {
        Require.Tensor(accelerator, layout.ScaleCount, view, name);
        if (layout.ScaleCount > 0 && view.Storage != layout.ScaleStorage)
        {
            throw new ArgumentException($"The storage must be {layout.ScaleStorage}, and is {view.Storage}.", name);
        }
    }

    /// <summary>Codebooks as the layout wants them.</summary>
    internal static void Codebook(
        Accelerator accelerator, CodebookLayout layout, TensorView view,
        [CallerArgumentExpression(nameof(view))] string? name = null) =>
        LinearChecks.Floats(accelerator, layout.CodebookLength, view, name);

    /// <summary>The codes of a layout, one byte each.</summary>
    internal static void Index(
        Accelerator accelerator, CodebookLayout layout, ArrayView<byte> view,
        [CallerArgumentExpression(nameof(view))] string? name = null) =>
        Require.Tensor(accelerator, layout.CodeCount, view, name);

    /// <summary>The packed codes of a layout; planar ones are read as 32-bit words.</summary>
    internal static void Packed(
        Accelerator accelerator, CodebookLayout layout, ArrayView<byte> view,
        [CallerArgumentExpression(nameof(view))] string? name = null)
    {
        Require.Tensor(accelerator, layout.PackedBytes, view, name);
        if (layout.Format.Order == PackingOrder.Planar && TensorView.IndexOf(view) % 4 != 0)
        {
            throw new ArgumentException(
                "Codes in planar order must begin with a multiple of 4 bytes, and begin with byte "
                + $"{TensorView.IndexOf(view)} of their buffer.",
                name);
        }
    }

    /// <summary>Codebooks of single numbers, finite and ascending.</summary>
    internal static void Ascending(
        CodebookLayout layout, ReadOnlySpan<float> codebook,
        [CallerArgumentExpression(nameof(codebook))] string? name = null)
    {
        Require.Length(layout.CodebookLength, codebook.Length, name);
        for (int i = 0; i < codebook.Length; i++)
        {
            if (!float.IsFinite(codebook[i]))
            {
                throw new ArgumentException($"The codes must be finite; {i} is {codebook[i]}.", name);
            }

            if (layout.Length == 1 && i % layout.Codes > 0 && codebook[i] < codebook[i - 1])
            {
                throw new ArgumentException(
                    $"The codes must ascend; {codebook[i]} follows {codebook[i - 1]} at {i}.", name);
            }
        }
    }
}
