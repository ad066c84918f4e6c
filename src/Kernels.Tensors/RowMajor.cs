using System.Buffers;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using Kernels.Interop;

namespace Kernels.Tensors;

/// <summary>
/// The elements of tensors of System.Numerics.Tensors as the spans and views that the calls of the library take. Nothing
/// is copied, so a tensor must be contiguous and row-major; another one is refused by name (<c>ToDenseTensor</c> makes
/// one).
/// </summary>
public static class RowMajor
{
    /// <summary>The elements in row-major order.</summary>
    /// <param name="tensor">A contiguous, row-major tensor.</param>
    /// <exception cref="ArgumentException">The tensor is not contiguous, or has more than 2^31 - 1 elements.</exception>
    public static Span<T> AsRowMajorSpan<T>(this TensorSpan<T> tensor) => Span(tensor, nameof(tensor));

    /// <summary>The elements in row-major order.</summary>
    /// <param name="tensor">A contiguous, row-major tensor.</param>
    /// <exception cref="ArgumentException">The tensor is not contiguous, or has more than 2^31 - 1 elements.</exception>
    public static ReadOnlySpan<T> AsRowMajorSpan<T>(this ReadOnlyTensorSpan<T> tensor) => Span(tensor, nameof(tensor));

    /// <summary>The elements in row-major order.</summary>
    /// <param name="tensor">A contiguous, row-major tensor.</param>
    /// <exception cref="ArgumentNullException"><paramref name="tensor"/> is null.</exception>
    /// <exception cref="ArgumentException">The tensor is not contiguous, or has more than 2^31 - 1 elements.</exception>
    public static Span<T> AsRowMajorSpan<T>(this Tensor<T> tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        return Span(tensor.AsTensorSpan(), nameof(tensor));
    }

    /// <summary>Pins a tensor, so that a CPU accelerator can use it in its place.</summary>
    /// <typeparam name="T">
    /// <see cref="float"/>, <see cref="Half"/>, <see cref="ushort"/> (BF16), <see cref="int"/>, <see cref="long"/> or
    /// <see cref="byte"/>.
    /// </typeparam>
    /// <param name="tensor">A contiguous, row-major tensor.</param>
    /// <param name="accelerator">A CPU accelerator.</param>
    /// <returns>The tensor for the calls of the library. It stays pinned until this is disposed of.</returns>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ArgumentException">
    /// The tensor is not contiguous or of another type, or the accelerator is not a CPU accelerator.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public static unsafe ForeignTensor Pin<T>(this Tensor<T> tensor, Accelerator accelerator)
        where T : unmanaged
    {
        ArgumentNullException.ThrowIfNull(tensor);
        ArgumentNullException.ThrowIfNull(accelerator);
        if (accelerator is not CPUAccelerator)
        {
            throw new ArgumentException(
                $"The accelerator must be of the kind CPU, where the tensor is, and is {accelerator.AcceleratorType}.",
                nameof(accelerator));
        }

        ElementType type = default(T) switch
        {
            float => ElementType.F32,
            Half => ElementType.F16,
            ushort => ElementType.BF16,
            int => ElementType.I32,
            long => ElementType.I64,
            byte => ElementType.U8,
            _ => throw new ArgumentException(
                "The elements must be of the type Single, Half, UInt16 (bfloat16), Int32, Int64 or Byte, and are "
                + $"{typeof(T).Name}.",
                nameof(tensor)),
        };
        CheckStrides(tensor.Lengths, tensor.Strides, tensor.FlattenedLength, nameof(tensor));
        MemoryHandle handle = tensor.GetPinnedHandle();
        try
        {
            long[] shape = Array.ConvertAll(tensor.Lengths.ToArray(), length => (long)length);

            // The handle, and the tensor's own reference, are to the array, whose part the tensor may be.
            TensorSpan<T> span = tensor.AsTensorSpan();
            fixed (T* first = &span.GetPinnableReference())
            {
                return new ForeignTensor(accelerator, (nint)first, type, shape, () => handle.Dispose());
            }
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    internal static Span<T> Span<T>(TensorSpan<T> tensor, string name)
    {
        int length = Length(tensor.Lengths, tensor.Strides, tensor.FlattenedLength, name);
        return length == 0 ? [] : MemoryMarshal.CreateSpan(ref tensor.GetPinnableReference(), length);
    }

    internal static ReadOnlySpan<T> Span<T>(ReadOnlyTensorSpan<T> tensor, string name)
    {
        int length = Length(tensor.Lengths, tensor.Strides, tensor.FlattenedLength, name);
        return length == 0 ? [] : MemoryMarshal.CreateReadOnlySpan(in tensor.GetPinnableReference(), length);
    }

    internal static string Text(ReadOnlySpan<nint> numbers) => $"[{string.Join(", ", numbers.ToArray())}]";

    private static int Length(ReadOnlySpan<nint> lengths, ReadOnlySpan<nint> strides, nint length, string name)
    {
        CheckStrides(lengths, strides, length, name);
        return length <= int.MaxValue
            ? (int)length
            : throw new ArgumentException($"The tensor must have at most {int.MaxValue} elements, and has {length}.", name);
    }

    private static void CheckStrides(ReadOnlySpan<nint> lengths, ReadOnlySpan<nint> strides, nint length, string name)
    {
        if (length == 0)
        {
            return;
        }

        nint wanted = 1;
        for (int i = lengths.Length - 1; i >= 0; i--)
        {
            if (lengths[i] != 1 && strides[i] != wanted)
            {
                throw new ArgumentException(
                    $"The strides must be those of contiguous rows of the shape {Text(lengths)}, and are {Text(strides)}.",
                    name);
            }

            wanted *= lengths[i];
        }
    }
}
