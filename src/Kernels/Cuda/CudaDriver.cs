using System.Runtime.InteropServices;
using ILGPU.Runtime.Cuda;

namespace Kernels.Cuda;

/// <summary>
/// The entry points of NVIDIA's driver that a primary context needs. ILGPU's own binding has neither primary contexts
/// nor the shared memory beyond 48 KiB.
/// </summary>
internal sealed unsafe class CudaDriver
{
    private const int NonBlocking = 1;
    private const int ErrorLog = 5;
    private const int ErrorLogBytes = 6;
    private const int StaticSharedBytes = 1;
    private const int MaxDynamicSharedBytes = 8;

    private static readonly Lazy<CudaDriver> s_instance = new(() => new CudaDriver(), LazyThreadSafetyMode.PublicationOnly);

    private readonly delegate* unmanaged<nint*, int, int> _primaryRetain;
    private readonly delegate* unmanaged<int, int> _primaryRelease;
    private readonly delegate* unmanaged<nint, int> _push;
    private readonly delegate* unmanaged<nint*, int> _pop;
    private readonly delegate* unmanaged<int> _synchronize;
    private readonly delegate* unmanaged<int*, int, int, int> _deviceAttribute;
    private readonly delegate* unmanaged<nint*, nuint, int> _allocate;
    private readonly delegate* unmanaged<nint, int> _free;
    private readonly delegate* unmanaged<nint, nint, nuint, nint, int> _copy;
    private readonly delegate* unmanaged<nint, byte, nuint, nint, int> _fill;
    private readonly delegate* unmanaged<void*, int, nint, int> _pointerAttribute;
    private readonly delegate* unmanaged<nint*, uint, int> _streamCreate;
    private readonly delegate* unmanaged<nint, int> _streamDestroy;
    private readonly delegate* unmanaged<nint, int> _streamSynchronize;
    private readonly delegate* unmanaged<nint*, byte*, uint, int*, void**, int> _moduleLoad;
    private readonly delegate* unmanaged<nint, int> _moduleUnload;
    private readonly delegate* unmanaged<nint*, nint, byte*, int> _moduleFunction;
    private readonly delegate* unmanaged<int*, int, nint, int> _functionAttribute;
    private readonly delegate* unmanaged<nint, int, int, int> _setFunctionAttribute;
    private readonly delegate* unmanaged<
        nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int> _launch;

    private readonly delegate* unmanaged<int*, nint, int, nuint, int> _activeGroups;
    private readonly delegate* unmanaged<int*, int*, nint, nint, nuint, int, int> _groupSize;
    private readonly delegate* unmanaged<int, byte**, int> _errorText;

    private CudaDriver()
    {
        string name = OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1";
        if (!NativeLibrary.TryLoad(name, out nint library))
        {
            throw new InvalidOperationException($"There is no CUDA driver here: {name} cannot be loaded.");
        }

        _errorText = (delegate* unmanaged<int, byte**, int>)Find("cuGetErrorString");
        _primaryRetain = (delegate* unmanaged<nint*, int, int>)Find("cuDevicePrimaryCtxRetain");
        _primaryRelease = (delegate* unmanaged<int, int>)Find("cuDevicePrimaryCtxRelease_v2");
        _push = (delegate* unmanaged<nint, int>)Find("cuCtxPushCurrent_v2");
        _pop = (delegate* unmanaged<nint*, int>)Find("cuCtxPopCurrent_v2");
        _synchronize = (delegate* unmanaged<int>)Find("cuCtxSynchronize");
        _deviceAttribute = (delegate* unmanaged<int*, int, int, int>)Find("cuDeviceGetAttribute");
        _allocate = (delegate* unmanaged<nint*, nuint, int>)Find("cuMemAlloc_v2");
        _free = (delegate* unmanaged<nint, int>)Find("cuMemFree_v2");
        _copy = (delegate* unmanaged<nint, nint, nuint, nint, int>)Find("cuMemcpyAsync");
        _fill = (delegate* unmanaged<nint, byte, nuint, nint, int>)Find("cuMemsetD8Async");
        _pointerAttribute = (delegate* unmanaged<void*, int, nint, int>)Find("cuPointerGetAttribute");
        _streamCreate = (delegate* unmanaged<nint*, uint, int>)Find("cuStreamCreate");
        _streamDestroy = (delegate* unmanaged<nint, int>)Find("cuStreamDestroy_v2");
        _streamSynchronize = (delegate* unmanaged<nint, int>)Find("cuStreamSynchronize");
        _moduleLoad = (delegate* unmanaged<nint*, byte*, uint, int*, void**, int>)Find("cuModuleLoadDataEx");
        _moduleUnload = (delegate* unmanaged<nint, int>)Find("cuModuleUnload");
        _moduleFunction = (delegate* unmanaged<nint*, nint, byte*, int>)Find("cuModuleGetFunction");
        _functionAttribute = (delegate* unmanaged<int*, int, nint, int>)Find("cuFuncGetAttribute");
        _setFunctionAttribute = (delegate* unmanaged<nint, int, int, int>)Find("cuFuncSetAttribute");
        _launch = (delegate* unmanaged<
            nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int>)Find("cuLaunchKernel");
        _activeGroups = (delegate* unmanaged<int*, nint, int, nuint, int>)Find(
            "cuOccupancyMaxActiveBlocksPerMultiprocessor");
        _groupSize = (delegate* unmanaged<int*, int*, nint, nint, nuint, int, int>)Find(
            "cuOccupancyMaxPotentialBlockSize");

        nint Find(string entry) => NativeLibrary.TryGetExport(library, entry, out nint address)
            ? address
            : throw new InvalidOperationException($"The CUDA driver here has no {entry}; a newer one is needed.");
    }

    /// <summary>The driver of this process.</summary>
    /// <exception cref="InvalidOperationException">There is none, or it is too old.</exception>
    internal static CudaDriver Instance => s_instance.Value;

    /// <summary>Keeps the device's primary context alive, and makes it where there is none yet.</summary>
    internal nint RetainPrimary(int device)
    {
        nint context;
        Check(_primaryRetain(&context, device), "retain the primary context");
        return context;
    }

    internal int ReleasePrimary(int device) => _primaryRelease(device);

    internal void Push(nint context) => Check(_push(context), "enter the primary context");

    internal bool TryPush(nint context) => context != 0 && _push(context) == 0;

    internal void Pop()
    {
        nint context;
        _ = _pop(&context);
    }

    internal void Synchronize() => Check(_synchronize(), "wait for the device");

    internal int DeviceAttribute(int device, int attribute)
    {
        int value;
        Check(_deviceAttribute(&value, attribute, device), "ask the device for an attribute");
        return value;
    }

    internal nint Allocate(long bytes)
    {
        nint pointer;
        Check(_allocate(&pointer, (nuint)bytes), $"allocate {bytes} bytes");
        return pointer;
    }

    internal int Free(nint pointer) => _free(pointer);

    internal void Copy(nint target, nint source, long bytes, nint stream) =>
        Check(_copy(target, source, (nuint)bytes, stream), $"copy {bytes} bytes");

    internal void Fill(nint target, byte value, long bytes, nint stream) =>
        Check(_fill(target, value, (nuint)bytes, stream), $"fill {bytes} bytes");

    /// <summary>What the driver knows of a pointer; false where it does not know that, or not the pointer.</summary>
    internal bool TryPointerAttribute(nint pointer, int attribute, out nint value)
    {
        nint found = 0; // some attributes are of four bytes
        bool isKnown = _pointerAttribute(&found, attribute, pointer) == 0;
        value = found;
        return isKnown;
    }

    internal nint CreateStream()
    {
        nint stream;
        Check(_streamCreate(&stream, NonBlocking), "create a stream");
        return stream;
    }

    internal int DestroyStream(nint stream) => _streamDestroy(stream);

    internal void Synchronize(nint stream) => Check(_streamSynchronize(stream), "wait for a stream");

    /// <summary>Loads PTX, a text that ends with a zero.</summary>
    internal nint LoadModule(ReadOnlySpan<byte> ptx)
    {
        const int LogBytes = 4096;
        byte* log = stackalloc byte[LogBytes];
        log[0] = 0;
        int* options = stackalloc int[2] { ErrorLog, ErrorLogBytes };
        void** values = stackalloc void*[2] { log, (void*)LogBytes };
        nint module;
        fixed (byte* text = ptx)
        {
            int error = _moduleLoad(&module, text, 2, options, values);
            if (error != 0)
            {
                throw Failure(error, "load a kernel", Marshal.PtrToStringUTF8((nint)log));
            }
        }

        return module;
    }

    internal int UnloadModule(nint module) => _moduleUnload(module);

    internal nint Function(nint module, ReadOnlySpan<byte> name)
    {
        nint function;
        fixed (byte* text = name)
        {
            Check(_moduleFunction(&function, module, text), "find a kernel in its module");
        }

        return function;
    }

    /// <summary>Bytes of shared memory that a kernel takes whatever its launch asks for.</summary>
    internal int SharedBytes(nint function)
    {
        int bytes;
        Check(_functionAttribute(&bytes, StaticSharedBytes, function), "ask a kernel for its shared memory");
        return bytes;
    }

    /// <summary>Lets launches of a kernel ask for so many bytes of shared memory.</summary>
    internal void AllowShared(nint function, int bytes) => Check(
        _setFunctionAttribute(function, MaxDynamicSharedBytes, bytes), $"allow {bytes} bytes of shared memory");

    /// <summary>Launches with parameters that lie packed one after the other.</summary>
    internal void Launch(
        nint function, ILGPU.Index3D grid, ILGPU.Index3D group, int sharedBytes, nint stream, nint arguments, int bytes)
    {
        nint size = bytes;
        // CU_LAUNCH_PARAM_BUFFER_POINTER, CU_LAUNCH_PARAM_BUFFER_SIZE, CU_LAUNCH_PARAM_END
        void** packed = stackalloc void*[5] { (void*)1, (void*)arguments, (void*)2, &size, null };
        int error = _launch(
            function, (uint)grid.X, (uint)grid.Y, (uint)grid.Z, (uint)group.X, (uint)group.Y, (uint)group.Z,
            (uint)sharedBytes, stream, null, packed);
        if (error != 0)
        {
            throw Failure(error, $"launch {grid} groups of {group} items with {sharedBytes} bytes of shared memory");
        }
    }

    internal int ActiveGroups(nint function, int groupSize, int sharedBytes)
    {
        int groups;
        Check(_activeGroups(&groups, function, groupSize, (nuint)sharedBytes), "estimate how many groups fit");
        return groups;
    }

    /// <summary>The group size that fills a multiprocessor best, and the fewest groups that fill the device.</summary>
    internal (int GroupSize, int Groups) GroupSize(nint function, int sharedBytes, int most)
    {
        int groups;
        int size;
        Check(_groupSize(&groups, &size, function, 0, (nuint)sharedBytes, most), "estimate a group size");
        return (size, groups);
    }

    private void Check(int error, string what)
    {
        if (error != 0)
        {
            throw Failure(error, what);
        }
    }

    private CudaException Failure(int error, string what, string? log = null)
    {
        byte* text;
        string meaning = _errorText(error, &text) == 0 ? Marshal.PtrToStringUTF8((nint)text)! : "unknown error";
        string more = string.IsNullOrWhiteSpace(log) ? "" : $" {log.Trim()}";
        return new CudaException($"The CUDA driver could not {what}: {meaning} ({error}).{more}", new CudaException((CudaError)error));
    }
}
