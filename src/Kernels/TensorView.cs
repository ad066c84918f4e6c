using ILGPU;
using ILGPU.Runtime;
using Half = ILGPU.Half;

namespace Kernels;

/// <summary>
/// A contiguous tensor in the memory of an accelerator: the caller's own view and how its numbers are kept.
/// Converts from <c>ArrayView&lt;float&gt;</c> (F32), <c>ArrayView&lt;Half&gt;</c> (F16) and
/// <c>ArrayView&lt;ushort&gt;</c> (BF16). Nothing is copied; the buffer must outlive the call.
/// </summary>
public readonly struct TensorView : IEquatable<TensorView>
{
    private TensorView(MemoryBuffer? buffer, long index, long length, Storage storage)
    {
        Buffer = buffer;
        Index = index;
        Length = length;
        Storage = storage;
    }

    /// <summary>Number of elements.</summary>
    public long Length { get; }

    /// <summary>How the elements are kept.</summary>
    public Storage Storage { get; }

    /// <summary>Whether there is no buffer behind the view.</summary>
    public bool IsEmpty => Buffer is null;

    /// <summary>Bytes of one element: 4 or 2.</summary>
    public int ElementBytes => Storage == Storage.F32 ? 4 : 2;

    internal MemoryBuffer? Buffer { get; }

    /// <summary>Elements before the view in its buffer.</summary>
    internal long Index { get; }

    /// <summary>Views a tensor of binary32 numbers.</summary>
    public static implicit operator TensorView(ArrayView<float> view) => From(view, Storage.F32);

    /// <summary>Views a tensor of binary16 numbers.</summary>
    public static implicit operator TensorView(ArrayView<Half> view) => From(view, Storage.F16);

    /// <summary>Views a tensor of bfloat16 numbers.</summary>
    public static implicit operator TensorView(ArrayView<ushort> view) => From(view, Storage.BF16);

    /// <summary>Views a tensor of binary32 numbers.</summary>
    public static implicit operator TensorView(ArrayView1D<float, Stride1D.Dense> view) =>
        From((ArrayView<float>)view, Storage.F32);

    /// <summary>Views a tensor of binary16 numbers.</summary>
    public static implicit operator TensorView(ArrayView1D<Half, Stride1D.Dense> view) =>
        From((ArrayView<Half>)view, Storage.F16);

    /// <summary>Views a tensor of bfloat16 numbers.</summary>
    public static implicit operator TensorView(ArrayView1D<ushort, Stride1D.Dense> view) =>
        From((ArrayView<ushort>)view, Storage.BF16);

    /// <summary>Same buffer, same place, same storage.</summary>
    public static bool operator ==(TensorView left, TensorView right) => left.Equals(right);

    /// <summary>Not the same tensor.</summary>
    public static bool operator !=(TensorView left, TensorView right) => !left.Equals(right);

    /// <inheritdoc/>
    public bool Equals(TensorView other) =>
        ReferenceEquals(Buffer, other.Buffer) && Index == other.Index && Length == other.Length
        && Storage == other.Storage;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is TensorView other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Buffer, Index, Length, Storage);

    /// <inheritdoc/>
    public override string ToString() => $"{Storage}[{Length}]";

    /// <summary>A part of the tensor.</summary>
    internal TensorView Slice(long first, long length) => new(Buffer, Index + first, length, Storage);

    /// <summary>The view in its raw type; the storage must fit it.</summary>
    internal ArrayView<T> As<T>()
        where T : unmanaged => Buffer is null ? default : new ArrayView<T>(Buffer, Index, Length);

    private static TensorView From<T>(ArrayView<T> view, Storage storage)
        where T : unmanaged => new(BufferOf(view), IndexOf(view), view.Length, storage);

    // Through a constrained generic, so that the explicitly implemented properties are read without boxing.
    internal static MemoryBuffer? BufferOf<TView>(TView view)
        where TView : struct, IArrayView => view.Buffer;

    internal static long IndexOf<TView>(TView view)
        where TView : struct, IContiguousArrayView => view.Index;
}
