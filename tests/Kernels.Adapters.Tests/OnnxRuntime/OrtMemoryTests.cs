using ILGPU;
using ILGPU.Runtime;
using Kernels.Adapters.Tests.Support;
using Kernels.OnnxRuntime;
using Microsoft.ML.OnnxRuntime;

namespace Kernels.Adapters.Tests.OnnxRuntime;

[Collection(Alone.Name)]
public sealed class OrtMemoryTests
{
    [OrtFact]
    public void Ten_thousand_values_and_tensors_leave_no_memory_behind()
    {
        Accelerator cpu = TestSessions.Cpu.Accelerator;
        using MemoryBuffer1D<float, Stride1D.Dense> buffer = cpu.Allocate1D<float>(6);
        ArrayView<float> view = buffer.View;
        Alone.AssertFlat(() =>
        {
            OrtValue value = view.AsOrtValue(2, 3);
            value.AsTensor(cpu, owned: true).Dispose();
        });
    }
}
