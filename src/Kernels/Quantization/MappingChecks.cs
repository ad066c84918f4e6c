using ILGPU;
using ILGPU.Runtime;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.Quantization;

/// <summary>The checks that passes over a mapping share.</summary>
internal static class MappingChecks
{
    /// <summary>The accelerator is there, and a code has one number.</summary>
    internal static void Layout(Accelerator accelerator, CodebookLayout layout)
    {
        QuantizationChecks.Made(accelerator, layout);
        if (layout.Length != 1)
        {
            throw new ArgumentException($"A code must have one number, and has {layout.Length}.", nameof(layout));
        }
    }

    /// <summary>The codebooks, and the scales if the layout has any.</summary>
    internal static void Codes(Accelerator accelerator, CodebookLayout layout, TensorView codebook, TensorView scale)
    {
        LinearChecks.Floats(accelerator, layout.CodebookLength, codebook);
        LinearChecks.Floats(accelerator, layout.ScaleCount, scale);
    }

    /// <summary>A tensor that is not given, or has this length.</summary>
    internal static void Optional(Accelerator accelerator, long length, TensorView view, string name)
    {
        if (view.Length > 0)
        {
            LinearChecks.Floats(accelerator, length, view, name);
        }
    }

    /// <summary>As for floats.</summary>
    internal static void Optional(Accelerator accelerator, long length, ArrayView<byte> view, string name)
    {
        if (view.Length > 0)
        {
            Require.Tensor(accelerator, length, view, name);
        }
    }

    /// <summary>No output shares a byte with another tensor.</summary>
    /// <param name="outputs">Where the outputs begin.</param>
    /// <param name="ranges">The inputs, then the outputs.</param>
    internal static void Apart(int outputs, ReadOnlySpan<TensorRange> ranges)
    {
        for (int second = outputs; second < ranges.Length; second++)
        {
            for (int first = 0; first < second; first++)
            {
                Require.Apart([ranges[first], ranges[second]]);
            }
        }
    }
}
