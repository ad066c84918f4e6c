using ILGPU;
using ILGPU.Runtime;

namespace Kernels.Optimizers;

/// <summary>A small array on the device that is renewed from the host again and again, without an allocation.</summary>
internal sealed class StagedArray<T>(Accelerator accelerator, int length) : IDisposable
    where T : unmanaged
{
    private readonly PageLockedArray1D<T> _host = accelerator.AllocatePageLocked1D<T>(length);
    private readonly MemoryBuffer1D<T, Stride1D.Dense> _device = accelerator.Allocate1D<T>(length);

    internal ArrayView<T> View => _device.View;

    /// <summary>Copies the values and waits for the copy.</summary>
    internal void Upload(AcceleratorStream stream, ReadOnlySpan<T> values)
    {
        values.CopyTo(_host.Span);
        View.CopyFrom(stream, _host.ArrayView);
        stream.Synchronize();
    }

    public void Dispose()
    {
        _host.Dispose();
        _device.Dispose();
    }
}
