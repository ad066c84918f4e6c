using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Optimizers;

namespace Kernels.Tools.Operations;

/// <summary>F32 numbers, or integers of 32 bits, in device memory, for operations over launchers.</summary>
internal sealed class DeviceTensor : IDisposable
{
    private readonly Session _session;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _buffer;

    /// <summary>Zeros.</summary>
    internal DeviceTensor(Session session, long length)
    {
        _session = session;
        _buffer = session.Accelerator.Allocate1D<float>(length);
        _buffer.MemSetToZero(session.Stream);
    }

    /// <summary>These values.</summary>
    internal DeviceTensor(Session session, ReadOnlySpan<float> values)
        : this(session, values.Length) => Upload(values);

    /// <summary>These integers, bit for bit.</summary>
    internal DeviceTensor(Session session, ReadOnlySpan<int> values)
        : this(session, MemoryMarshal.Cast<int, float>(values))
    {
    }

    internal ArrayView<float> Floats => _buffer.View;

    /// <summary>The same memory as integers.</summary>
    internal ArrayView<int> Integers => _buffer.Length == 0 ? default : Floats.Cast<int>();

    internal TensorView View => _buffer.View;

    internal void Upload(ReadOnlySpan<float> values) => TensorCopy.Upload(_session.Stream, values, View);

    internal void Download(Span<float> values) => TensorCopy.Download(_session.Stream, View, values);

    internal float[] ToArray()
    {
        var values = new float[_buffer.Length];
        Download(values);
        return values;
    }

    internal int[] ToIntegers() => [.. MemoryMarshal.Cast<float, int>(ToArray())];

    public void Dispose() => _buffer.Dispose();
}
