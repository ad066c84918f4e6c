using ILGPU;
using ILGPU.Runtime;

namespace Kernels.VectorQuantization;

/// <summary>Device memory that grows with the largest batch; growing waits for the session's stream.</summary>
internal sealed class GrowingBuffer<T>(Session session) : IDisposable
    where T : unmanaged
{
    private MemoryBuffer1D<T, Stride1D.Dense>? _buffer;

    /// <summary>The first elements; what was in them is lost where the buffer has to grow.</summary>
    internal ArrayView<T> First(long length)
    {
        if (length == 0)
        {
            return default;
        }

        if (_buffer is null || _buffer.Length < length)
        {
            session.Stream.Synchronize();
            _buffer?.Dispose();
            _buffer = null;
            _buffer = session.Accelerator.Allocate1D<T>(length);
        }

        ArrayView<T> all = _buffer.View;
        return all.SubView(0, length);
    }

    /// <summary>Enqueues zeros over all of it, since not every device can clear a part.</summary>
    internal void Clear() => _buffer?.MemSetToZero(session.Stream);

    public void Dispose()
    {
        _buffer?.Dispose();
        _buffer = null;
    }
}
