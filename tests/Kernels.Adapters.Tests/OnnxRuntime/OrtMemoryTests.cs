using ILGPU;
using ILGPU.Runtime;
using Kernels.Adapters.Tests.Support;
using Kernels.OnnxRuntime;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Kernels.Adapters.Tests.OnnxRuntime;

[Collection(Alone.Name)]
public sealed class OrtMemoryTests
{
    private static Accelerator Cpu => TestSessions.Cpu.Accelerator;

    [OrtFact]
    public void Ten_thousand_values_as_tensors_leave_no_memory_behind() => Alone.AssertFlat(() =>
    {
        OrtValue value = OrtValue.CreateAllocatedTensorValue(
            OrtAllocator.DefaultInstance, TensorElementType.UInt8, [Alone.CycleBytes]);
        value.GetTensorMutableRawData().Fill(1);
        value.AsTensor(Cpu, owned: true).Dispose();
    });

    [OrtFact]
    public void Ten_thousand_views_as_values_leave_no_memory_behind()
    {
        using MemoryBuffer1D<byte, Stride1D.Dense> buffer = Cpu.Allocate1D<byte>(Alone.CycleBytes);
        ArrayView<byte> view = buffer.View;
        Alone.AssertFlat(() => view.AsOrtValue(Alone.CycleBytes).AsTensor(Cpu, owned: true).Dispose());
    }
}
