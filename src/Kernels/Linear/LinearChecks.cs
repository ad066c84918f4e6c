using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Validation;

namespace Kernels.Linear;

/// <summary>The checks that the dense layers share beside <see cref="Require"/>.</summary>
internal static class LinearChecks
{
    /// <summary>Largest size of a dimension: tile edges must not leave 32 bits.</summary>
    internal const int MaxSize = 1 << 30;

    /// <summary>The accelerator and the stream can be used together.</summary>
    internal static void Call(Accelerator accelerator, AcceleratorStream stream)
    {
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        Require.Stream(accelerator, stream);
    }

    /// <summary>A dimension.</summary>
    internal static void Size(int value, [CallerArgumentExpression(nameof(value))] string? name = null) =>
        Require.InRange(value, 0, MaxSize + 1.0, name);

    /// <summary>A dimension that may not be empty.</summary>
    internal static void PositiveSize(int value, [CallerArgumentExpression(nameof(value))] string? name = null) =>
        Require.InRange(value, 1, MaxSize + 1.0, name);

    /// <summary>An F32 tensor of this length on the accelerator.</summary>
    internal static void Floats(
        Accelerator accelerator, long length, TensorView view,
        [CallerArgumentExpression(nameof(view))] string? name = null)
    {
        Require.Tensor(accelerator, length, view, name);
        if (length > 0 && view.Storage != Storage.F32)
        {
            throw new ArgumentException($"The storage must be F32, and is {view.Storage}.", name);
        }
    }

    /// <summary>Two tensors of one call are the same, or share no byte.</summary>
    internal static void SameOrApart(TensorView first, TensorView second, string firstName, string secondName)
    {
        if (first != second)
        {
            Require.Apart(first, second, firstName, secondName);
        }
    }

    /// <summary>A tensor of 32-bit integers as a tensor of the same bytes, for the checks of place and overlap.</summary>
    internal static TensorView Bytes(ArrayView<int> view) => view.Length == 0 ? default : (TensorView)view.Cast<float>();
}
