using ILGPU.Runtime;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.VectorQuantization;

/// <summary>The checks that the launchers around a codebook share.</summary>
internal static class CodebookChecks
{
    /// <summary>A shape whose rows and codes, of all heads, can be numbered in 32 bits.</summary>
    internal static void Shape(
        Accelerator accelerator, int maxRows, int codes, int dimension, int heads,
        [System.Runtime.CompilerServices.CallerArgumentExpression(nameof(codes))] string? codesName = null)
    {
        Require.NotNull(accelerator);
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        Require.InRange(heads, 1, 65_537);
        Require.InRange(maxRows, 1, (LinearChecks.MaxSize / heads) + 1.0);
        Require.InRange(codes, 1, (LinearChecks.MaxSize / heads) + 1.0, codesName);
        Require.InRange(dimension, 1, (1 << 20) + 1);
    }
}
