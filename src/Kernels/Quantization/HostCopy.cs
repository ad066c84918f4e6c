using ILGPU;
using ILGPU.Runtime;
using Kernels.Optimizers;

namespace Kernels.Quantization;

/// <summary>Numbers of the host on the device, for one call.</summary>
internal sealed class HostCopy : IDisposable
{
    private readonly MemoryBuffer1D<byte, Stride1D.Dense>? _bytes;

    internal HostCopy(Accelerator accelerator, ReadOnlySpan<float> values, Storage storage)
    {
        if (values.IsEmpty)
        {
            return;
        }

        _bytes = accelerator.Allocate1D<byte>(values.Length * (storage == Storage.F32 ? 4L : 2L));
        ArrayView<byte> bytes = _bytes.View;
        View = storage switch
        {
            Storage.F32 => bytes.Cast<float>(),
            Storage.F16 => bytes.Cast<ILGPU.Half>(),
            _ => bytes.Cast<ushort>(),
        };
        TensorCopy.Upload(accelerator.DefaultStream, values, View);
    }

    /// <summary>The copy; default if there are no numbers.</summary>
    internal TensorView View { get; }

    public void Dispose() => _bytes?.Dispose();
}
