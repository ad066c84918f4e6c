using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Optimizers;

namespace Kernels.Tools.Operations;

/// <summary>F32 numbers, or integers of 32 bits, in device memory, for operations over launchers.</summary>
internal sealed class DeviceTensor : IDisposable
{
    private const long MaxLength = 1 << 28;

    private readonly Session _session;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _buffer;

    /// <summary>Zeros, at the place past an aligned address that the case asks for.</summary>
    /// <exception cref="BadInputException">The case asks for more elements than an operation of the tool may have.</exception>
    internal DeviceTensor(OperationContext context, long length)
    {
        if (length > MaxLength)
        {
            throw new BadInputException($"The case asks for a tensor of {length} elements; at most {MaxLength} are taken.");
        }

        _session = context.Session;
        int shift = length == 0 ? 0 : context.Shift;
        _buffer = _session.Accelerator.Allocate1D<float>(shift + length);
        _buffer.MemSetToZero(_session.Stream);
        Floats = shift == 0 ? _buffer.View : _buffer.View.SubView(shift, length);
    }

    /// <summary>These values.</summary>
    internal DeviceTensor(OperationContext context, ReadOnlySpan<float> values)
        : this(context, values.Length) => Upload(values);

    /// <summary>These integers, bit for bit.</summary>
    internal DeviceTensor(OperationContext context, ReadOnlySpan<int> values)
        : this(context, MemoryMarshal.Cast<int, float>(values))
    {
    }

    internal ArrayView<float> Floats { get; }

    /// <summary>The same memory as integers.</summary>
    internal ArrayView<int> Integers => Floats.Length == 0 ? default : Floats.Cast<int>();

    internal TensorView View => Floats;

    internal void Upload(ReadOnlySpan<float> values) => TensorCopy.Upload(_session.Stream, values, View);

    internal void Download(Span<float> values) => TensorCopy.Download(_session.Stream, View, values);

    internal float[] ToArray()
    {
        var values = new float[Floats.Length];
        Download(values);
        return values;
    }

    internal int[] ToIntegers() => [.. MemoryMarshal.Cast<float, int>(ToArray())];

    public void Dispose() => _buffer.Dispose();
}
