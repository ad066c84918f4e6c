using System.Runtime.CompilerServices;
using ILGPU.Runtime;
using Kernels.DeviceCode.Reductions;
using Kernels.Tests.Support;

namespace Kernels.Tests.Launching;

/// <summary>A kernel is loaded once for an accelerator, however often what launches it is made anew.</summary>
public sealed class LoadedKernelsTests
{
    [Fact]
    public void A_kernel_that_nobody_holds_stays_loaded()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        WeakReference launcher = Load(accelerator);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        Assert.NotNull(launcher.Target);
        Assert.Same(launcher.Target, Load(accelerator).Target);
    }

    [Fact]
    public void Another_accelerator_has_its_own() => Assert.NotSame(Load(TestDevices.Warp(2)).Target, Load(TestDevices.Warp(64)).Target);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static WeakReference Load(Accelerator accelerator) =>
        new(accelerator.LoadKernel<StridedSum, long>(Walks.Items));
}
