using ILGPU;
using ILGPU.Runtime;

namespace Kernels.Cuda;

/// <summary>The primary context is current as long as this lives; then what the thread had is again.</summary>
internal readonly ref struct Entered
{
    private readonly CudaDriver _driver;

    internal Entered(CudaDriver driver, nint context)
    {
        ObjectDisposedException.ThrowIf(context == 0, typeof(PrimaryContext));
        driver.Push(context);
        _driver = driver;
    }

    public void Dispose() => _driver.Pop();
}

/// <summary>Memory in a primary context: allocated there by us, or by somebody else and only borrowed.</summary>
internal sealed class PrimaryBuffer : MemoryBuffer
{
    private readonly PrimaryAccelerator _accelerator;
    private readonly bool _isOurs;

    /// <summary>Allocates.</summary>
    internal PrimaryBuffer(PrimaryAccelerator accelerator, long length, int elementBytes)
        : base(accelerator, length, elementBytes)
    {
        _accelerator = accelerator;
        _isOurs = true;
        if (LengthInBytes > 0)
        {
            using Entered entered = accelerator.Enter();
            NativePtr = accelerator.Driver.Allocate(LengthInBytes);
        }
    }

    /// <summary>Borrows.</summary>
    internal PrimaryBuffer(PrimaryAccelerator accelerator, nint pointer, long length, int elementBytes)
        : base(accelerator, length, elementBytes)
    {
        _accelerator = accelerator;
        NativePtr = pointer;
    }

    protected override void MemSet(AcceleratorStream stream, byte value, in ArrayView<byte> targetView)
    {
        nint handle = _accelerator.HandleOf(stream);
        using Entered entered = _accelerator.Enter();
        _accelerator.Driver.Fill(AddressOf(targetView), value, targetView.Length, handle);
    }

    protected override void CopyTo(
        AcceleratorStream stream, in ArrayView<byte> sourceView, in ArrayView<byte> targetView) =>
        Copy(stream, sourceView, targetView);

    protected override void CopyFrom(
        AcceleratorStream stream, in ArrayView<byte> sourceView, in ArrayView<byte> targetView) =>
        Copy(stream, sourceView, targetView);

    protected override void DisposeAcceleratorObject(bool disposing)
    {
        if (_isOurs && NativePtr != 0)
        {
            _accelerator.Quietly(NativePtr, static (driver, pointer) => driver.Free(pointer));
        }

        NativePtr = 0;
    }

    private static nint AddressOf(in ArrayView<byte> view) =>
        TensorView.BufferOf(view)!.NativePtr + (nint)TensorView.IndexOf(view);

    // The driver tells memory of the host from memory of the device by the address.
    private void Copy(AcceleratorStream stream, in ArrayView<byte> source, in ArrayView<byte> target)
    {
        nint handle = _accelerator.HandleOf(stream);
        using Entered entered = _accelerator.Enter();
        _accelerator.Driver.Copy(AddressOf(target), AddressOf(source), target.Length, handle);
    }
}

/// <summary>A stream in a primary context: the caller's, or made by us.</summary>
internal sealed class PrimaryStream : AcceleratorStream
{
    private readonly PrimaryAccelerator _accelerator;
    private readonly bool _isOurs;

    internal PrimaryStream(PrimaryAccelerator accelerator, nint handle, bool isOurs)
        : base(accelerator)
    {
        _accelerator = accelerator;
        _isOurs = isOurs;
        Handle = handle;
    }

    internal nint Handle { get; private set; }

    public override void Synchronize()
    {
        using Entered entered = _accelerator.Enter();
        _accelerator.Driver.Synchronize(Handle);
    }

    protected override ProfilingMarker AddProfilingMarkerInternal() =>
        throw new NotSupportedException("Time work in a primary context with events of the driver.");

    protected override void DisposeAcceleratorObject(bool disposing)
    {
        if (_isOurs)
        {
            _accelerator.Quietly(Handle, static (driver, handle) => driver.DestroyStream(handle));
        }

        Handle = 0;
    }
}

/// <summary>Memory of the host that is not locked: copies from and to it are right, and no faster.</summary>
internal sealed class UnlockedScope<T> : PageLockScope<T>
    where T : unmanaged
{
    internal UnlockedScope(Accelerator accelerator, nint address, long length)
        : base(accelerator, length) => AddrOfLockedObject = address;

    protected override void DisposeAcceleratorObject(bool disposing)
    {
    }
}
