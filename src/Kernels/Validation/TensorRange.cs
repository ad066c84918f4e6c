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

    internal string Name { get; }

    internal static TensorRange Of(TensorView view, string name) => new(
        view.Buffer, view.Index * view.ElementBytes, (view.Index + view.Length) * view.ElementBytes, name);

    internal static TensorRange Of(ArrayView<byte> view, string name)
    {
        long index = TensorView.IndexOf(view);
        return new(TensorView.BufferOf(view), index, index + view.Length, name);
    }

    /// <summary>Whether both use some byte.</summary>
    internal bool Overlaps(TensorRange other) =>
        Begin < End && other.Begin < other.End && To(other) is { } way && Begin < way + other.End && way + other.Begin < End;

    /// <summary>The first byte of this buffer that both use.</summary>
    internal long SharedWith(TensorRange other) => Math.Max(Begin, (To(other) ?? 0) + other.Begin);

    /// <summary>Whether accesses of so many bytes are aligned from the start on.</summary>
    internal bool IsAligned(Accelerator accelerator, int bytes)
    {
        // An OpenCL buffer is a handle; its memory starts at a multiple of 128 bytes.
        long start = accelerator is CLAccelerator || Buffer is null ? 0 : Buffer.NativePtr;
        return (start + Begin) % bytes == 0;
    }

    // The bytes from this buffer to the other. Buffers that only borrow memory may borrow the same; one of OpenCL is a
    // handle, and shares with no other.
    private long? To(TensorRange other) => Buffer is not { } own || other.Buffer is not { } others ? null
        : ReferenceEquals(own, others) ? 0
        : own.Accelerator is CLAccelerator || others.Accelerator is CLAccelerator ? null
        : others.NativePtr - own.NativePtr;
}
