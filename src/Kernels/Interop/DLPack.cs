using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;
using Kernels.Validation;

namespace Kernels.Interop;

/// <summary>Which of DLPack's two structures a pointer is to.</summary>
public enum DLPackForm
{
    /// <summary><c>DLManagedTensor</c>: Python's capsule <c>dltensor</c>.</summary>
    Legacy,

    /// <summary><c>DLManagedTensorVersioned</c> of version 1: Python's capsule <c>dltensor_versioned</c>.</summary>
    Versioned,
}

/// <summary>
/// Tensors to and from other libraries through DLPack, the structure in which PyTorch, JAX, NumPy, CuPy, TensorFlow and
/// others pass tensors without a copy.
/// </summary>
/// <remarks>
/// Source: dmlc/dlpack, <c>dlpack.h</c>, version 1. Tensors must be contiguous and row-major, on a CPU or a CUDA device.
/// Work on a stream is not waited for: synchronize before a tensor goes to somebody else.
/// <example><code>
/// nint managed = DLPack.Export(buffer.View, [rows, 64], DLPackForm.Versioned, owner: buffer);
/// using ForeignTensor tensor = DLPack.Import(session.Accelerator, managed, DLPackForm.Versioned);
/// </code></example>
/// </remarks>
public static unsafe class DLPack
{
    /// <summary>Takes a tensor over from another library. Its deleter is called once, whatever happens.</summary>
    /// <param name="accelerator">Where it is to be used: a CPU accelerator, or that of its CUDA device.</param>
    /// <param name="managed">
    /// The structure, which belongs to the tensor from now on: its deleter is called by
    /// <see cref="ForeignTensor.Dispose"/>, or before this call throws.
    /// </param>
    /// <param name="form">Which structure it is.</param>
    /// <param name="acceptReadOnly">
    /// Whether a tensor that must not be written is taken. Who takes it has to see that no operation writes to it.
    /// </param>
    /// <exception cref="ArgumentNullException">
    /// <paramref name="accelerator"/> is null; or <paramref name="managed"/> is, which has no deleter to call.
    /// </exception>
    /// <exception cref="ArgumentException">
    /// The version, type, device, shape, strides or address of the tensor is not one that can be used here.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The form is none; the deleter is not called, since nobody knows where it is.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The accelerator is disposed.</exception>
    public static ForeignTensor Import(
        Accelerator accelerator, nint managed, DLPackForm form, bool acceptReadOnly = false)
    {
        if (managed == 0)
        {
            throw new ArgumentNullException(nameof(managed));
        }

        Require.Defined(form);
        nint deleter = form == DLPackForm.Legacy
            ? ((DLManagedTensor*)managed)->Deleter
            : ((DLManagedTensorVersioned*)managed)->Deleter;
        try
        {
            Require.NotNull(accelerator);
            DLTensor tensor = form == DLPackForm.Legacy
                ? ((DLManagedTensor*)managed)->Tensor
                : Current((DLManagedTensorVersioned*)managed, acceptReadOnly);
            CheckDevice(accelerator, tensor.Device);
            ElementType type = TypeOf(tensor.Type);
            ReadOnlySpan<long> shape = ShapeOf(tensor);
            long length = ForeignTensor.LengthOf(shape, ElementTypes.Bytes(type), nameof(managed));
            CheckStrides(tensor, shape, length);
            nint address = AddressOf(tensor, type, length);
            return new ForeignTensor(accelerator, address, type, shape, () => Delete(deleter, managed));
        }
        catch
        {
            Delete(deleter, managed);
            throw;
        }
    }

    /// <summary>Gives a tensor of floating-point numbers to another library.</summary>
    /// <param name="view">The tensor, on a CPU or a CUDA accelerator.</param>
    /// <param name="shape">Lengths of its dimensions.</param>
    /// <param name="form">Which structure to make.</param>
    /// <param name="owner">
    /// What is disposed of when the other library calls the deleter: the buffer, where the tensor is given away. Null
    /// where it stays the caller's, who must not dispose of the buffer before. Either way the buffer is not collected.
    /// It must not throw.
    /// </param>
    /// <returns>The structure. Who gets it must call its deleter, once.</returns>
    /// <exception cref="ArgumentException">
    /// The tensor is on another kind of accelerator, or the shape has not as many elements.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">A length is negative, or the form is none.</exception>
    /// <exception cref="ObjectDisposedException">The buffer is disposed.</exception>
    public static nint Export(TensorView view, ReadOnlySpan<long> shape, DLPackForm form, IDisposable? owner) =>
        Export(view.Buffer, view.Index, view.Length, ElementTypes.Of(view.Storage), shape, form, owner, nameof(view));

    /// <summary>Gives a tensor of any type to another library.</summary>
    /// <typeparam name="T">As <see cref="ElementType"/> says: <see cref="int"/> for I32.</typeparam>
    /// <param name="view">The tensor, on a CPU or a CUDA accelerator.</param>
    /// <param name="shape">Lengths of its dimensions.</param>
    /// <param name="form">Which structure to make.</param>
    /// <param name="owner">What is disposed of when the other library calls the deleter; null: nothing.</param>
    /// <returns>The structure. Who gets it must call its deleter, once.</returns>
    /// <exception cref="ArgumentException">
    /// The tensor is of another type or on another kind of accelerator, or the shape has not as many elements.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">A length is negative, or the form is none.</exception>
    /// <exception cref="ObjectDisposedException">The buffer is disposed.</exception>
    public static nint Export<T>(ArrayView<T> view, ReadOnlySpan<long> shape, DLPackForm form, IDisposable? owner)
        where T : unmanaged
    {
        ElementType type = ElementTypes.Of<T>() ?? throw new ArgumentException(
            $"The elements must be one of {string.Join(", ", Enum.GetNames<ElementType>())}, and are {typeof(T).Name}.",
            nameof(view));
        return Export(TensorView.BufferOf(view), TensorView.IndexOf(view), view.Length, type, shape, form, owner, nameof(view));
    }

    private static nint Export(
        MemoryBuffer? buffer, long index, long length, ElementType type, ReadOnlySpan<long> shape, DLPackForm form,
        IDisposable? owner, string name)
    {
        if (buffer is null)
        {
            throw new ArgumentException("The view has no buffer.", name);
        }

        ObjectDisposedException.ThrowIf(buffer.IsDisposed, buffer);
        Require.Defined(form);
        int bytes = ElementTypes.Bytes(type);
        if (ForeignTensor.LengthOf(shape, bytes, nameof(shape)) != length)
        {
            throw new ArgumentException(
                $"The shape must have the {length} elements of the view, and is {ForeignTensor.Text(shape)}.",
                nameof(shape));
        }

        DLDevice device = buffer.Accelerator switch
        {
            CPUAccelerator => new DLDevice { Kind = DLDevice.Cpu },
            CudaAccelerator cuda => new DLDevice { Kind = DLDevice.Cuda, Index = cuda.DeviceId },
            _ => throw new ArgumentException(
                "The tensor must lie on a CPU or a CUDA accelerator, and lies on "
                + $"{buffer.Accelerator.Name} ({buffer.AcceleratorType}).",
                name),
        };

        int head = form == DLPackForm.Legacy ? sizeof(DLManagedTensor) : sizeof(DLManagedTensorVersioned);
        byte* block = (byte*)NativeMemory.Alloc((nuint)(head + (2 * sizeof(long) * shape.Length)));
        var tensor = new DLTensor
        {
            Data = length == 0 ? 0 : buffer.NativePtr + (nint)(index * bytes),
            Device = device,
            Dimensions = shape.Length,
            Type = CodeOf(type),
            Shape = (long*)(block + head),
            Strides = (long*)(block + head) + shape.Length,
        };
        shape.CopyTo(new Span<long>(tensor.Shape, shape.Length));
        for (int i = shape.Length - 1; i >= 0; i--)
        {
            tensor.Strides[i] = i == shape.Length - 1 ? 1 : tensor.Strides[i + 1] * shape[i + 1];
        }

        nint context = GCHandle.ToIntPtr(GCHandle.Alloc(new Exported(buffer, owner)));
        if (form == DLPackForm.Legacy)
        {
            delegate* unmanaged[Cdecl]<DLManagedTensor*, void> deleter = &DeleteLegacy;
            *(DLManagedTensor*)block = new DLManagedTensor { Tensor = tensor, Context = context, Deleter = (nint)deleter };
        }
        else
        {
            delegate* unmanaged[Cdecl]<DLManagedTensorVersioned*, void> deleter = &DeleteVersioned;
            *(DLManagedTensorVersioned*)block = new DLManagedTensorVersioned
            {
                Major = DLManagedTensorVersioned.KnownMajor,
                Context = context,
                Deleter = (nint)deleter,
                Tensor = tensor,
            };
        }

        return (nint)block;
    }

    private static DLTensor Current(DLManagedTensorVersioned* managed, bool acceptReadOnly)
    {
        if (managed->Major != DLManagedTensorVersioned.KnownMajor)
        {
            throw Refused(
                $"version must be {DLManagedTensorVersioned.KnownMajor}.x, and is {managed->Major}.{managed->Minor}");
        }

        return acceptReadOnly || (managed->Flags & DLManagedTensorVersioned.ReadOnly) == 0
            ? managed->Tensor
            : throw Refused("memory must be writable, and is read-only; acceptReadOnly takes it as it is");
    }

    private static void CheckDevice(Accelerator accelerator, DLDevice device)
    {
        bool fits = accelerator switch
        {
            CPUAccelerator => device.Kind is DLDevice.Cpu or DLDevice.CudaHost,
            CudaAccelerator cuda => device.Kind == DLDevice.Cuda && device.Index == cuda.DeviceId,
            _ => false,
        };
        if (!fits)
        {
            string wanted = accelerator switch
            {
                CPUAccelerator => "1 (CPU) or 3 (pinned memory)",
                CudaAccelerator cuda => $"2 (CUDA) with index {cuda.DeviceId}",
                _ => "that of a CPU or a CUDA accelerator",
            };
            throw Refused(
                $"device must be {wanted} to be used on {accelerator.Name} ({accelerator.AcceleratorType}), and is "
                + $"{device.Kind} with index {device.Index}");
        }
    }

    private static ElementType TypeOf(DLDataType type) => (type.Code, type.Bits, type.Lanes) switch
    {
        (0, 32, 1) => ElementType.I32,
        (0, 64, 1) => ElementType.I64,
        (1, 8, 1) => ElementType.U8,
        (2, 32, 1) => ElementType.F32,
        (2, 16, 1) => ElementType.F16,
        (4, 16, 1) => ElementType.BF16,
        _ => throw Refused(
            $"type must be one of {string.Join(", ", Enum.GetNames<ElementType>())}, and has the code {type.Code}, "
            + $"{type.Bits} bits and {type.Lanes} lanes"),
    };

    private static DLDataType CodeOf(ElementType type) => new()
    {
        Code = type switch
        {
            ElementType.I32 or ElementType.I64 => 0,
            ElementType.U8 => 1,
            ElementType.BF16 => 4,
            _ => 2,
        },
        Bits = (byte)(8 * ElementTypes.Bytes(type)),
        Lanes = 1,
    };

    private static ReadOnlySpan<long> ShapeOf(in DLTensor tensor) =>
        tensor.Dimensions >= 0 && (tensor.Dimensions == 0 || tensor.Shape != null)
            ? new ReadOnlySpan<long>(tensor.Shape, tensor.Dimensions)
            : throw Refused(
                $"shape must be given for at least 0 dimensions, and is 0x{(nint)tensor.Shape:X} for {tensor.Dimensions}");

    private static void CheckStrides(in DLTensor tensor, ReadOnlySpan<long> shape, long length)
    {
        if (tensor.Strides == null || length == 0)
        {
            return;
        }

        long wanted = 1;
        for (int i = shape.Length - 1; i >= 0; i--)
        {
            if (shape[i] != 1 && tensor.Strides[i] != wanted)
            {
                throw Refused(
                    $"strides must be those of contiguous rows of the shape {ForeignTensor.Text(shape)}, and are "
                    + ForeignTensor.Text(new ReadOnlySpan<long>(tensor.Strides, shape.Length)));
            }

            wanted *= shape[i];
        }
    }

    private static nint AddressOf(in DLTensor tensor, ElementType type, long length)
    {
        if (length == 0)
        {
            return 0;
        }

        ulong data = (ulong)tensor.Data;
        ulong bytes = (ulong)(length * ElementTypes.Bytes(type));
        bool fits = data != 0 && tensor.ByteOffset <= ulong.MaxValue - data
            && bytes <= ulong.MaxValue - data - tensor.ByteOffset
            && (data + tensor.ByteOffset) % (ulong)ElementTypes.Bytes(type) == 0;
        return fits
            ? (nint)(data + tensor.ByteOffset)
            : throw Refused(
                $"address must be a multiple of an element's {ElementTypes.Bytes(type)} bytes with room for {bytes} behind "
                + $"it, and is 0x{data:X} + {tensor.ByteOffset}");
    }

    private static ArgumentException Refused(string what, string name = "managed") => new($"The tensor's {what}.", name);

    private static void Delete(nint deleter, nint managed)
    {
        if (deleter != 0)
        {
            ((delegate* unmanaged[Cdecl]<nint, void>)deleter)(managed);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void DeleteLegacy(DLManagedTensor* self) => Delete(self->Context, self);

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void DeleteVersioned(DLManagedTensorVersioned* self) => Delete(self->Context, self);

    private static void Delete(nint context, void* block)
    {
        var handle = GCHandle.FromIntPtr(context);
        var exported = (Exported)handle.Target!;
        handle.Free();
        NativeMemory.Free(block);
        exported.Owner?.Dispose();
    }

    /// <summary>What must live as long as an exported tensor.</summary>
    private sealed record Exported(MemoryBuffer Buffer, IDisposable? Owner);
}
