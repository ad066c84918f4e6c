using System.Globalization;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;
using Kernels.Validation;
using Half = ILGPU.Half;

namespace Kernels.Interop;

/// <summary>
/// A contiguous, row-major tensor in memory that another library owns, to be used by the operations of this one in its
/// place: nothing is copied.
/// </summary>
/// <remarks>
/// On a CPU accelerator it is host memory. On a CUDA accelerator it is memory of the device, allocated in the
/// accelerator's own context: that of another context is refused, since no kernel of the accelerator could read it.
/// OpenCL has handles instead of addresses, and is refused.
/// <example><code>
/// using var tensor = new ForeignTensor(session.Accelerator, address, ElementType.F32, [rows, 64], release);
/// nearest.Search(session.Stream, tensor.View, codes, index, rows);
/// </code></example>
/// </remarks>
public sealed class ForeignTensor : IDisposable
{
    private readonly MemoryBuffer _buffer;
    private readonly Release _release;
    private readonly long[] _shape;

    /// <summary>Makes a tensor of memory.</summary>
    /// <param name="accelerator">A CPU accelerator, or a CUDA accelerator in whose context the memory is.</param>
    /// <param name="address">Of the first element, a multiple of an element's bytes; anything if there is none.</param>
    /// <param name="type">What the elements are.</param>
    /// <param name="shape">Lengths of the dimensions, each at least 0; none means a single number.</param>
    /// <param name="release">
    /// Called once, by <see cref="Dispose"/>; by the end of the accelerator, if it comes first; or by the collector, when
    /// neither the tensor nor a view of it is left. Not called if this constructor throws.
    /// </param>
    /// <exception cref="ArgumentNullException"><paramref name="accelerator"/> is null.</exception>
    /// <exception cref="ArgumentException">
    /// There is no such memory on the accelerator, the address is not aligned, or the tensor has more than 2^63 - 1 bytes.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">A length is negative, or the type is none.</exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public ForeignTensor(
        Accelerator accelerator, nint address, ElementType type, ReadOnlySpan<long> shape, Action? release = null)
    {
        Require.NotNull(accelerator);
        ObjectDisposedException.ThrowIf(accelerator.IsDisposed, accelerator);
        Require.Defined(type);
        int bytes = ElementTypes.Bytes(type);
        Length = LengthOf(shape, bytes, nameof(shape));
        if (Length == 0)
        {
            address = 0;
        }
        else if (address == 0 || (nuint)address % (nuint)bytes != 0
            || (ulong)address > ulong.MaxValue - ((ulong)Length * (ulong)bytes))
        {
            throw new ArgumentException(
                $"The address must be a multiple of {bytes} bytes with room for {Text(Length * bytes)} behind it, and is "
                + $"0x{address:X}.",
                nameof(address));
        }

        Accelerator = accelerator;
        Type = type;
        _shape = [.. shape];
        _release = new Release(release);
        _buffer = accelerator switch
        {
            CPUAccelerator => new ForeignHostBuffer(accelerator, address, Length, bytes, _release),
            CudaAccelerator cuda when Length == 0 || CudaOwnership.IsOf(cuda, address) =>
                new ForeignCudaBuffer(accelerator, address, Length, bytes, _release),
            CudaAccelerator => throw new ArgumentException(
                $"The memory must be allocated in the context of {accelerator.Name}, which ILGPU has made for itself, and "
                + $"0x{address:X} is not: copy it, or have it allocated while that context is current.",
                nameof(address)),
            _ => throw new ArgumentException(
                $"The accelerator must be of the kind CPU or CUDA, and is {accelerator.AcceleratorType}, which knows no "
                + "addresses.",
                nameof(accelerator)),
        };
    }

    /// <summary>Where the tensor can be used.</summary>
    public Accelerator Accelerator { get; }

    /// <summary>What the elements are.</summary>
    public ElementType Type { get; }

    /// <summary>Lengths of the dimensions, slowest first.</summary>
    public IReadOnlyList<long> Shape => _shape;

    /// <summary>Number of elements.</summary>
    public long Length { get; }

    /// <summary>The tensor, for the operations of the library.</summary>
    /// <exception cref="InvalidOperationException">The elements are integers: use <see cref="As{T}"/>.</exception>
    /// <exception cref="ObjectDisposedException">This or the accelerator is disposed.</exception>
    public TensorView View => Type switch
    {
        ElementType.F32 => As<float>(),
        ElementType.F16 => As<Half>(),
        ElementType.BF16 => As<ushort>(),
        _ => throw new InvalidOperationException(
            $"The elements must be {Storage.F32}, {Storage.F16} or {Storage.BF16}, and are {Type}."),
    };

    /// <summary>The elements in their type in memory.</summary>
    /// <typeparam name="T">As <see cref="ElementType"/> says: <see cref="int"/> for I32.</typeparam>
    /// <exception cref="InvalidOperationException">The elements are of another type.</exception>
    /// <exception cref="ObjectDisposedException">This or the accelerator is disposed.</exception>
    public ArrayView<T> As<T>()
        where T : unmanaged
    {
        ObjectDisposedException.ThrowIf(_buffer.IsDisposed, this);
        return ElementTypes.Of<T>() == Type
            ? new ArrayView<T>(_buffer, 0, Length)
            : throw new InvalidOperationException($"The elements are {Type}, not {typeof(T).Name}.");
    }

    /// <summary>
    /// Gives the memory back. Enqueued work must have ended; a call with a view of it is refused from now on.
    /// </summary>
    public void Dispose()
    {
        // Taken first: the buffer would call it with the accelerator locked.
        Action? release = _release.Take();
        try
        {
            _buffer.Dispose();
        }
        finally
        {
            release?.Invoke();
        }
    }

    /// <summary>Type and shape, as in <c>F32[128, 64]</c>.</summary>
    public override string ToString() => $"{Type}{Text(_shape)}";

    /// <summary>Number of elements of a shape.</summary>
    internal static long LengthOf(ReadOnlySpan<long> shape, int elementBytes, string name)
    {
        foreach (long dimension in shape)
        {
            Require.AtLeast(dimension, 0, name);
        }

        if (shape.Contains(0))
        {
            return 0;
        }

        long length = 1;
        foreach (long dimension in shape)
        {
            if (length > long.MaxValue / elementBytes / dimension)
            {
                throw new ArgumentException(
                    $"The tensor must have at most 2^63 - 1 bytes, and its shape is {Text(shape)}.", name);
            }

            length *= dimension;
        }

        return length;
    }

    internal static string Text(ReadOnlySpan<long> numbers) =>
        $"[{string.Join(", ", Array.ConvertAll(numbers.ToArray(), Text))}]";

    private static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);
}
