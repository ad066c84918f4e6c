using System.Runtime.InteropServices;

namespace Kernels.Tests.Cuda;

/// <summary>
/// Somebody else who uses the driver: allocates in the device's primary context as PyTorch or ONNX Runtime do, and knows
/// nothing of this library or of ILGPU.
/// </summary>
internal sealed class ForeignUser : IDisposable
{
    private readonly nint _primary;
    private readonly List<nint> _memory = [];
    private readonly List<nint> _streams = [];

    internal ForeignUser()
    {
        Check(cuInit(0));
        Check(cuDevicePrimaryCtxRetain(out _primary, 0));
    }

    /// <summary>The context that is current on this thread; 0 where none is.</summary>
    internal static nint Current
    {
        get
        {
            Check(cuCtxGetCurrent(out nint context));
            return context;
        }
    }

    /// <summary>The primary context.</summary>
    internal nint Primary => _primary;

    /// <summary>Makes a context, and leaves it current.</summary>
    internal static nint CreateContext()
    {
        Check(cuCtxCreate_v2(out nint context, 0, 0));
        return context;
    }

    internal static void DestroyContext(nint context) => Check(cuCtxDestroy_v2(context));

    internal static void Push(nint context) => Check(cuCtxPushCurrent_v2(context));

    internal static void Pop() => Check(cuCtxPopCurrent_v2(out _));

    internal nint Allocate<T>(ReadOnlySpan<T> values)
        where T : unmanaged
    {
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(values);
        Push(_primary);
        Check(cuMemAlloc_v2(out nint pointer, (nuint)bytes.Length));
        Check(cuMemcpyHtoD_v2(pointer, bytes.ToArray(), (nuint)bytes.Length));
        Pop();
        _memory.Add(pointer);
        return pointer;
    }

    internal T[] Read<T>(nint pointer, int length)
        where T : unmanaged
    {
        byte[] bytes = new byte[MemoryMarshal.AsBytes<T>(new T[length]).Length];
        Push(_primary);
        Check(cuMemcpyDtoH_v2(bytes, pointer, (nuint)bytes.Length));
        Pop();
        return MemoryMarshal.Cast<byte, T>(bytes).ToArray();
    }

    internal nint CreateStream()
    {
        Push(_primary);
        Check(cuStreamCreate(out nint stream, 1));
        Pop();
        _streams.Add(stream);
        return stream;
    }

    internal void Wait(nint stream)
    {
        Push(_primary);
        Check(cuStreamSynchronize(stream));
        Pop();
    }

    public void Dispose()
    {
        Push(_primary);
        _streams.ForEach(stream => Check(cuStreamDestroy_v2(stream)));
        _memory.ForEach(pointer => Check(cuMemFree_v2(pointer)));
        Pop();
        Check(cuDevicePrimaryCtxRelease_v2(0));
    }

    private static void Check(int error) => Assert.Equal(0, error);

    [DllImport("cuda")]
    private static extern int cuInit(uint flags);

    [DllImport("cuda")]
    private static extern int cuDevicePrimaryCtxRetain(out nint context, int device);

    [DllImport("cuda")]
    private static extern int cuDevicePrimaryCtxRelease_v2(int device);

    [DllImport("cuda")]
    private static extern int cuCtxCreate_v2(out nint context, uint flags, int device);

    [DllImport("cuda")]
    private static extern int cuCtxDestroy_v2(nint context);

    [DllImport("cuda")]
    private static extern int cuCtxGetCurrent(out nint context);

    [DllImport("cuda")]
    private static extern int cuCtxPushCurrent_v2(nint context);

    [DllImport("cuda")]
    private static extern int cuCtxPopCurrent_v2(out nint context);

    [DllImport("cuda")]
    private static extern int cuMemAlloc_v2(out nint pointer, nuint bytes);

    [DllImport("cuda")]
    private static extern int cuMemFree_v2(nint pointer);

    [DllImport("cuda")]
    private static extern int cuMemcpyHtoD_v2(nint target, byte[] source, nuint bytes);

    [DllImport("cuda")]
    private static extern int cuMemcpyDtoH_v2(byte[] target, nint source, nuint bytes);

    [DllImport("cuda")]
    private static extern int cuStreamCreate(out nint stream, uint flags);

    [DllImport("cuda")]
    private static extern int cuStreamDestroy_v2(nint stream);

    [DllImport("cuda")]
    private static extern int cuStreamSynchronize(nint stream);
}
