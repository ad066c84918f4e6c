using System.Numerics.Tensors;
using Kernels.Adapters.Tests.Support;
using Kernels.Tensors;

namespace Kernels.Adapters.Tests.Tensors;

[Collection(Alone.Name)]
public sealed class PinMemoryTests
{
    [Fact]
    public void Ten_thousand_pinned_tensors_leave_no_memory_behind() =>
        Alone.AssertFlat(() => Tensor.CreateFromShape<byte>([Alone.CycleBytes]).Pin(TestSessions.Cpu.Accelerator).Dispose());
}
