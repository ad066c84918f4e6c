using ILGPU.Runtime;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.VectorQuantization;

/// <summary>The checks that passes over rows with known codes share.</summary>
internal static class RowChecks
{
    /// <summary>The sizes that such a pass is made for.</summary>
    internal static void Sizes(
        [System.Diagnostics.CodeAnalysis.NotNull] Accelerator? accelerator, int maxRows, int codes, int dimension, int heads)
    {
        Require.NotNull(accelerator);
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        LinearChecks.PositiveSize(maxRows);
        LinearChecks.PositiveSize(codes);
        Require.InRange(dimension, 1, (1 << 20) + 1);
        Require.InRange(heads, 1, 65_537);
    }

    /// <summary>A tensor that is not given, or has the length and the storage of the rows.</summary>
    internal static void Like(Accelerator accelerator, TensorView x, TensorView view, string name)
    {
        if (view.IsEmpty)
        {
            return;
        }

        Require.Tensor(accelerator, x.Length, view, name);
        if (view.Length > 0 && view.Storage != x.Storage)
        {
            throw new ArgumentException($"The storage must be that of x, {x.Storage}, and is {view.Storage}.", name);
        }
    }

    /// <summary>A tensor of 32-bit numbers that is not given, or has this length.</summary>
    internal static void Optional(Accelerator accelerator, long length, TensorView view, string name)
    {
        if (!view.IsEmpty && view.Length != 0)
        {
            LinearChecks.Floats(accelerator, length, view, name);
        }
    }

    /// <summary>
    /// No output shares a byte with another tensor, but that of a pass over the elements may lie in the place of the rows
    /// or, the gradient, of the incoming one.
    /// </summary>
    /// <param name="tensors">x, codes, index, grad, then output and gradX, then other outputs.</param>
    internal static void Apart(ReadOnlySpan<(TensorView View, string Name)> tensors)
    {
        const int X = 0, Grad = 3, Output = 4, GradX = 5;
        for (int second = Output; second < tensors.Length; second++)
        {
            for (int first = 0; first < second; first++)
            {
                bool mayBeSame = (first == X && second is Output or GradX) || (first == Grad && second == GradX);
                if (!mayBeSame || tensors[first].View != tensors[second].View)
                {
                    Require.Apart(tensors[first].View, tensors[second].View, tensors[first].Name, tensors[second].Name);
                }
            }
        }
    }
}
