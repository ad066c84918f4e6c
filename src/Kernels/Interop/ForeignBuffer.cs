using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;

namespace Kernels.Interop;

/// <summary>What has to be done once when memory of somebody else is no longer used.</summary>
internal sealed class Release(Action? action)
{
    private Action? _action = action;

    /// <summary>The action, to whom asks first.</summary>
    internal Action? Take() => Interlocked.Exchange(ref _action, null);
}

/// <summary>
/// Host memory of somebody else. A view keeps it; who forgets to dispose of it leaves that to the collector.
/// </summary>
internal sealed class ForeignHostBuffer : CPUMemoryBuffer
{
    private readonly Release? _release;

    internal ForeignHostBuffer(Accelerator accelerator, nint address, long length, int elementBytes, Release release)
        : base(accelerator, length, elementBytes)
    {
        NativePtr = address;
        _release = release;
    }

    /// <inheritdoc/>
    protected override void DisposeAcceleratorObject(bool disposing)
    {
        NativePtr = 0;
        _release?.Take()?.Invoke();
    }
}

/// <summary>Memory of a CUDA device that somebody else has allocated in the accelerator's context.</summary>
internal sealed class ForeignCudaBuffer : MemoryBuffer
{
    private readonly Release? _release;

    internal ForeignCudaBuffer(Accelerator accelerator, nint address, long length, int elementBytes, Release release)
        : base(accelerator, length, elementBytes)
    {
        NativePtr = address;
        _release = release;
    }

    /// <inheritdoc/>
    protected override void MemSet(AcceleratorStream stream, byte value, in ArrayView<byte> targetView) =>
        CudaMemoryBuffer.CudaMemSet(stream as CudaStream, value, targetView);

    /// <inheritdoc/>
    protected override void CopyTo(
        AcceleratorStream stream, in ArrayView<byte> sourceView, in ArrayView<byte> targetView) =>
        CudaMemoryBuffer.CudaCopy(stream as CudaStream, sourceView, targetView);

    /// <inheritdoc/>
    protected override void CopyFrom(
        AcceleratorStream stream, in ArrayView<byte> sourceView, in ArrayView<byte> targetView) =>
        CudaMemoryBuffer.CudaCopy(stream as CudaStream, sourceView, targetView);

    /// <inheritdoc/>
    protected override void DisposeAcceleratorObject(bool disposing)
    {
        NativePtr = 0;
        _release?.Take()?.Invoke();
    }
}
