using System.Runtime.CompilerServices;
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
        [CallerArgumentExpression(nameof(codes))] string? codesName = null)
    {
        Numbers(accelerator, maxRows, codes, heads, codesName);
        Require.InRange(dimension, 1, (1 << 20) + 1);
    }

    /// <summary>Rows and codes, of all heads, that can be numbered in 32 bits.</summary>
    internal static void Numbers(
        Accelerator accelerator, int maxRows, int codes, int heads,
        [CallerArgumentExpression(nameof(codes))] string? codesName = null)
    {
        Require.NotNull(accelerator);
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        Require.InRange(heads, 1, 65_537);
        Require.InRange(maxRows, 1, (LinearChecks.MaxSize / heads) + 1.0);
        Require.InRange(codes, 1, (LinearChecks.MaxSize / heads) + 1.0, codesName);
    }

    /// <summary>Rows, and a codebook with its moving sizes and sums that learns from them.</summary>
    internal static void Learned(
        Accelerator accelerator, TensorView x, TensorView index, TensorView codes, TensorView clusterSize,
        TensorView clusterSum, long entries, long all, int dimension, bool hasIndex = true)
    {
        Require.Tensor(accelerator, entries * dimension, x);
        LinearChecks.Floats(accelerator, hasIndex ? entries : 0, index);
        Require.Tensor(accelerator, all * dimension, codes);
        LinearChecks.Floats(accelerator, all, clusterSize);
        LinearChecks.Floats(accelerator, all * dimension, clusterSum);
        Require.Apart(
        [
            TensorRange.Of(codes, nameof(codes)), TensorRange.Of(clusterSize, nameof(clusterSize)),
            TensorRange.Of(clusterSum, nameof(clusterSum)),
        ]);
        foreach ((TensorView output, string name) in (ReadOnlySpan<(TensorView, string)>)
            [(codes, nameof(codes)), (clusterSize, nameof(clusterSize)), (clusterSum, nameof(clusterSum))])
        {
            Require.Apart(x, output, nameof(x), name);
            Require.Apart(index, output, nameof(index), name);
        }
    }
}
