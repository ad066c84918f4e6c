using ILGPU;
using ILGPU.Runtime;
using Kernels.Interop;
using Kernels.Tests.Support;

namespace Kernels.Tests.Interop;

[Collection(Alone.Name)]
public sealed class ForeignMemoryTests
{
    private const int CycleBytes = 1 << 16;

    [Fact]
    public void Ten_thousand_tensors_out_and_in_leave_no_memory_behind()
    {
        Accelerator cpu = TestDevices.Host.Accelerator;
        Cycle(2_000);
        (long managed, long process) = Memory();
        Cycle(10_000);
        (long managedAfter, long processAfter) = Memory();

        // ILGPU forgets disposed objects only every few thousand: a weak reference for each until then.
        Assert.InRange(managedAfter - managed, long.MinValue, 1 << 20);
        Assert.InRange(processAfter - process, long.MinValue, 10_000L * CycleBytes / 2);

        void Cycle(int times)
        {
            for (int i = 0; i < times; i++)
            {
                MemoryBuffer1D<byte, Stride1D.Dense> buffer = cpu.Allocate1D<byte>(CycleBytes);
                buffer.MemSetToZero();
                var form = (DLPackForm)(i & 1);
                nint tensor = DLPack.Export<byte>(buffer.View, [CycleBytes], form, owner: buffer);
                DLPack.Import(cpu, tensor, form).Dispose();
            }
        }
    }

    private static (long Managed, long Process) Memory()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return (GC.GetTotalMemory(forceFullCollection: true), Environment.WorkingSet);
    }
}
