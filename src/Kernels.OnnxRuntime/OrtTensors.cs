using System.Reflection;
using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using Kernels.Interop;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Half = ILGPU.Half;

namespace Kernels.OnnxRuntime;

/// <summary>
/// Values of ONNX Runtime as tensors of the library, and the other way round, without a copy. Both are in host memory: of a
/// CPU accelerator on one side, of the CPU on the other.
/// </summary>
/// <remarks>
/// On a GPU nothing can be shared: ILGPU's accelerator and ONNX Runtime's provider have a context each, and neither can
/// read the other's memory.
/// <example><code>
/// using var outputs = model.Run(options, inputs, ["y"]);
/// using ForeignTensor y = outputs[0].AsTensor(session.Accelerator);
/// nearest.Search(session.Stream, y.View, codes.View, index.View, rows: (int)y.Shape[0]);
/// </code></example>
/// </remarks>
public static class OrtTensors
{
    // A value that is disposed of says nothing of it, and ends the process when it is asked for its type.
    private static readonly FieldInfo? s_disposed = typeof(OrtValue).GetField(
        "_disposed", BindingFlags.Instance | BindingFlags.NonPublic);

    private static readonly ConditionalWeakTable<OrtValue, MemoryBuffer> s_buffers = [];

    /// <summary>A value as a tensor: the same memory.</summary>
    /// <param name="value">A tensor on the CPU. It must not be disposed of before the tensor.</param>
    /// <param name="accelerator">A CPU accelerator.</param>
    /// <param name="owned">Whether the value is disposed of with the tensor.</param>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ArgumentException">
    /// The value is no tensor, on another device, of a type that the library does not know, or larger than 2^31 - 1 bytes,
    /// which ONNX Runtime's C# interface does not reach; or the accelerator is not a CPU accelerator.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The value or the accelerator is disposed.</exception>
    public static unsafe ForeignTensor AsTensor(this OrtValue value, Accelerator accelerator, bool owned = false)
    {
        ArgumentNullException.ThrowIfNull(value);
        ArgumentNullException.ThrowIfNull(accelerator);
        ObjectDisposedException.ThrowIf(s_disposed?.GetValue(value) is true, value);
        if (!value.IsTensor)
        {
            throw new ArgumentException($"The value must be a dense tensor, and is {value.OnnxType}.", nameof(value));
        }

        if (accelerator is not CPUAccelerator)
        {
            throw new ArgumentException(
                $"The accelerator must be of the kind CPU, where the value is, and is {accelerator.AcceleratorType}.",
                nameof(accelerator));
        }

        using OrtMemoryInfo memory = value.GetTensorMemoryInfo();
        if (memory.Name is not ("Cpu" or "CudaPinned"))
        {
            throw new ArgumentException(
                $"The value must be in memory of the CPU, and is in that of {memory.Name}, device {memory.Id}.",
                nameof(value));
        }

        OrtTensorTypeAndShapeInfo info = value.GetTensorTypeAndShape();
        ElementType type = info.ElementDataType switch
        {
            TensorElementType.Float => ElementType.F32,
            TensorElementType.Float16 => ElementType.F16,
            TensorElementType.BFloat16 => ElementType.BF16,
            TensorElementType.Int32 => ElementType.I32,
            TensorElementType.Int64 => ElementType.I64,
            TensorElementType.UInt8 => ElementType.U8,
            _ => throw new ArgumentException(
                "The elements must be of the type Float, Float16, BFloat16, Int32, Int64 or UInt8, and are "
                + $"{info.ElementDataType}.",
                nameof(value)),
        };
        if (info.ElementCount > int.MaxValue / BytesOf(info.ElementDataType))
        {
            throw new ArgumentException(
                $"The value must have at most {int.MaxValue} bytes, and has {info.ElementCount} elements of {type}.",
                nameof(value));
        }

        fixed (byte* first = value.GetTensorMutableRawData())
        {
            // The memory is native, or pinned by the value.
            return new ForeignTensor(
                accelerator, (nint)first, type, info.Shape, owned ? value.Dispose : () => GC.KeepAlive(value));
        }
    }

    /// <summary>A tensor as a value, to be an input or an output of a model: the same memory.</summary>
    /// <typeparam name="T">
    /// <see cref="float"/>, <see cref="Half"/>, <see cref="ushort"/> (BF16), <see cref="int"/>, <see cref="long"/> or
    /// <see cref="byte"/>.
    /// </typeparam>
    /// <param name="view">The tensor, on a CPU accelerator. Its buffer must not be disposed of before the value.</param>
    /// <param name="shape">Lengths of its dimensions.</param>
    /// <returns>The value, to be disposed of. It keeps the buffer from being collected.</returns>
    /// <exception cref="ArgumentException">
    /// The tensor is on another accelerator or of another type, or the shape has not as many elements.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">A length is negative.</exception>
    /// <exception cref="ObjectDisposedException">The buffer is disposed.</exception>
    public static OrtValue AsOrtValue<T>(this ArrayView<T> view, params long[] shape)
        where T : unmanaged
    {
        ArgumentNullException.ThrowIfNull(shape);
        TensorElementType type = default(T) switch
        {
            float => TensorElementType.Float,
            Half => TensorElementType.Float16,
            ushort => TensorElementType.BFloat16,
            int => TensorElementType.Int32,
            long => TensorElementType.Int64,
            byte => TensorElementType.UInt8,
            _ => throw new ArgumentException(
                "The elements must be of the type Single, Half, UInt16 (bfloat16), Int32, Int64 or Byte, and are "
                + $"{typeof(T).Name}.",
                nameof(view)),
        };
        MemoryBuffer buffer = ((IArrayView)view).Buffer
            ?? throw new ArgumentException("The view has no buffer.", nameof(view));
        ObjectDisposedException.ThrowIf(buffer.IsDisposed, buffer);
        if (buffer.Accelerator is not CPUAccelerator)
        {
            throw new ArgumentException(
                "The tensor must lie on a CPU accelerator, and lies on "
                + $"{buffer.Accelerator.Name} ({buffer.Accelerator.AcceleratorType}).",
                nameof(view));
        }

        CheckShape(shape, view.Length);
        OrtValue value = OrtValue.CreateTensorValueWithData(
            OrtMemoryInfo.DefaultInstance, type, shape, view.LoadEffectiveAddressAsPtr(), view.LengthInBytes);
        s_buffers.Add(value, buffer);
        return value;
    }

    private static int BytesOf(TensorElementType type) => type switch
    {
        TensorElementType.UInt8 => 1,
        TensorElementType.Float16 or TensorElementType.BFloat16 => 2,
        TensorElementType.Int64 => 8,
        _ => 4,
    };

    private static void CheckShape(long[] shape, long length)
    {
        Int128 elements = 1;
        foreach (long dimension in shape)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(dimension, nameof(shape));
            elements = elements > long.MaxValue && dimension != 0 ? elements : elements * dimension;
        }

        if (elements != length)
        {
            throw new ArgumentException(
                $"The shape must have the {length} elements of the view, and is [{string.Join(", ", shape)}].",
                nameof(shape));
        }
    }
}
