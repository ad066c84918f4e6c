using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.OpenCL;

namespace Kernels.Validation;

/// <summary>The bytes of a buffer that one argument uses, whatever the type of its elements.</summary>
internal readonly struct TensorRange
{
    private TensorRange(MemoryBuffer? buffer, long begin, long end, string name)
    {
        Buffer = buffer;
        Begin = begin;
        End = end;
        Name = name;
    }

    private MemoryBuffer? Buffer { get; }

    /// <summary>First byte.</summary>
    internal long Begin { get; }

    private long End { get; }

    private string Name { get; }

    internal static TensorRange Of(TensorView view, string name) => new(
        view.Buffer, view.Index * view.ElementBytes, (view.Index + view.Length) * view.ElementBytes, name);

    internal static TensorRange Of(ArrayView<byte> view, string name)
    {
        long index = IndexOf(view);
        return new(BufferOf(view), index, index + view.Length, name);
    }

    /// <summary>As <see cref="Require.Tensor"/>: length, accelerator, alive and within reach.</summary>
    internal static TensorRange Checked(Accelerator accelerator, long length, ArrayView<byte> view, string name)
    {
        Require.Length(length, view.Length, name);
        TensorRange range = Of(view, name);
        if (view.Length == 0)
        {
            return range;
        }

        if (range.Buffer is not { } buffer)
        {
            throw new ArgumentException("The view has no buffer.", name);
        }

        ObjectDisposedException.ThrowIf(buffer.IsDisposed, buffer);
        if (!ReferenceEquals(buffer.Accelerator, accelerator))
        {
            throw new ArgumentException(
                $"The tensor must lie on {accelerator.Name}, and lies on {buffer.Accelerator.Name}.", name);
        }

        if (accelerator is CLAccelerator && range.Begin > int.MaxValue)
        {
            throw new ArgumentException(
                $"On OpenCL a view must start at most {int.MaxValue} elements into its buffer, and starts at "
                + $"{range.Begin}.",
                name);
        }

        return range;
    }

    /// <summary>No two of the ranges share a byte.</summary>
    internal static void RequireApart(ReadOnlySpan<TensorRange> ranges)
    {
        for (int second = 1; second < ranges.Length; second++)
        {
            for (int first = 0; first < second; first++)
            {
                TensorRange a = ranges[first];
                TensorRange b = ranges[second];
                if (a.Begin < a.End && b.Begin < b.End && ReferenceEquals(a.Buffer, b.Buffer)
                    && a.Begin < b.End && b.Begin < a.End)
                {
                    throw new ArgumentException(
                        $"{a.Name} and {b.Name} must not overlap; both use bytes {Math.Max(a.Begin, b.Begin)} on of the "
                        + "same buffer.",
                        b.Name);
                }
            }
        }
    }

    /// <summary>Whether accesses of so many bytes are aligned from the start on.</summary>
    internal bool IsAligned(Accelerator accelerator, int bytes)
    {
        // An OpenCL buffer is a handle; its memory starts at a multiple of 128 bytes.
        long start = accelerator is CLAccelerator || Buffer is null ? 0 : Buffer.NativePtr;
        return (start + Begin) % bytes == 0;
    }

    // Through a constrained generic, so that the explicitly implemented properties are read without boxing.
    private static MemoryBuffer? BufferOf<TView>(TView view)
        where TView : struct, IArrayView => view.Buffer;

    private static long IndexOf<TView>(TView view)
        where TView : struct, IContiguousArrayView => view.Index;
}
