using System.Runtime.InteropServices;
using Kernels.Interop;

namespace Kernels.Tests.Interop;

/// <summary>
/// A producer of DLPack structures, written byte by byte after dlpack.h, that counts the calls of its deleter.
/// </summary>
internal sealed class Managed : IDisposable
{
    // Offsets on a 64-bit machine. DLTensor: data, device (kind, index), ndim, type (code, bits, lanes), shape, strides,
    // byte_offset; 48 bytes.
    internal const int Data = 0, Kind = 8, Index = 12, Dimensions = 16, Code = 20, Bits = 21, Lanes = 22, Shape = 24;
    internal const int Strides = 32, ByteOffset = 40;

    private readonly Deleter _deleter;
    private readonly nint _memory;
    private readonly nint _structure;
    private readonly nint _numbers;
    private readonly nint _tensor;

    /// <summary>A CPU tensor of binary32 numbers, in row-major order with strides.</summary>
    internal Managed(DLPackForm form, float[] values, params long[] shape)
    {
        _deleter = _ => Deleted++;
        _memory = Marshal.AllocHGlobal(4 * Math.Max(values.Length, 1));
        Marshal.Copy(values, 0, _memory, values.Length);
        _numbers = Marshal.AllocHGlobal(Math.Max(16 * shape.Length, 1));
        Marshal.Copy(shape, 0, _numbers, shape.Length);
        long stride = 1;
        for (int i = shape.Length - 1; i >= 0; i--)
        {
            Marshal.WriteInt64(_numbers, (shape.Length + i) * 8, stride);
            stride *= shape[i];
        }

        _structure = Marshal.AllocHGlobal(80);
        nint deleter = Marshal.GetFunctionPointerForDelegate(_deleter);
        if (form == DLPackForm.Legacy)
        {
            _tensor = _structure;
            Marshal.WriteIntPtr(_structure, 48, 0x1234);
            Marshal.WriteIntPtr(_structure, 56, deleter);
        }
        else
        {
            _tensor = _structure + 32;
            Marshal.WriteInt32(_structure, 0, 1);
            Marshal.WriteInt32(_structure, 4, 1);
            Marshal.WriteIntPtr(_structure, 8, 0x1234);
            Marshal.WriteIntPtr(_structure, 16, deleter);
            Marshal.WriteInt64(_structure, 24, 0);
        }

        Set(Data, _memory);
        Set(Kind, 1);
        Set(Index, 0);
        Set(Dimensions, shape.Length);
        Set(Code, (byte)2);
        Set(Bits, (byte)32);
        Set(Lanes, (short)1);
        Set(Shape, shape.Length == 0 ? 0 : _numbers);
        Set(Strides, shape.Length == 0 ? 0 : _numbers + (8 * shape.Length));
        Set(ByteOffset, 0L);
    }

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate void Deleter(nint self);

    /// <summary>How often the deleter was called.</summary>
    internal int Deleted { get; private set; }

    internal nint Pointer => _structure;

    internal nint Address => _memory;

    internal void Set(int offset, nint value) => Marshal.WriteIntPtr(_tensor, offset, value);

    internal void Set(int offset, long value) => Marshal.WriteInt64(_tensor, offset, value);

    internal void Set(int offset, int value) => Marshal.WriteInt32(_tensor, offset, value);

    internal void Set(int offset, short value) => Marshal.WriteInt16(_tensor, offset, value);

    internal void Set(int offset, byte value) => Marshal.WriteByte(_tensor, offset, value);

    /// <summary>A length, or after them a stride.</summary>
    internal void SetNumber(int place, long value) => Marshal.WriteInt64(_numbers, 8 * place, value);

    /// <summary>What lies before the tensor of the versioned form.</summary>
    internal void SetHead(int offset, int value) => Marshal.WriteInt32(_structure, offset, value);

    internal void SetDeleter(DLPackForm form, nint deleter) =>
        Marshal.WriteIntPtr(_structure, form == DLPackForm.Legacy ? 56 : 16, deleter);

    internal float[] Values(int count)
    {
        float[] values = new float[count];
        Marshal.Copy(_memory, values, 0, count);
        return values;
    }

    public void Dispose()
    {
        Marshal.FreeHGlobal(_structure);
        Marshal.FreeHGlobal(_numbers);
        Marshal.FreeHGlobal(_memory);
        GC.KeepAlive(_deleter);
    }
}
