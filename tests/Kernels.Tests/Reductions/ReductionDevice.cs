using ILGPU.Runtime;
using Kernels.Launching;
using Kernels.Tests.Support;

namespace Kernels.Tests.Reductions;

/// <summary>The device that KERNELS_DEVICE names, and CPU accelerators with warps of 32, one of each per run.</summary>
internal static class ReductionDevice
{
    private static readonly Lazy<Accelerator> s_warps = new(() => TestDevices.CreateWarp(32, 64));

    internal static Accelerator Chosen => TestDevices.Session.Accelerator;

    /// <summary>A CPU accelerator with warps of 32 and groups of up to 64: runs the kernels themselves, slowly.</summary>
    internal static Accelerator Warps => s_warps.Value;

    internal static DeviceFacts AsGpu => DeviceFacts.Of(Warps) with { Class = DeviceClass.Gpu };

    internal static DeviceFacts AsOpenClCpu => DeviceFacts.Of(Warps) with { Class = DeviceClass.OpenClCpu };

    /// <summary>The chosen device in its own walk, and where it runs kernels in each of the others.</summary>
    internal static IEnumerable<(Accelerator Accelerator, DeviceFacts Facts)> Walks(bool tiny)
    {
        yield return (Chosen, DeviceFacts.Of(Chosen));
        if (Chosen.AcceleratorType != AcceleratorType.CPU)
        {
            yield return (Chosen, DeviceFacts.Of(Chosen) with { Class = DeviceClass.Gpu });
            yield return (Chosen, DeviceFacts.Of(Chosen) with { Class = DeviceClass.OpenClCpu });
            yield return (Chosen, DeviceFacts.Of(Chosen) with { Class = DeviceClass.Gpu, MaxGroup = 32, MaxGrid = 20 });
        }
        else if (tiny)
        {
            yield return (Warps, AsGpu);
            yield return (Warps, AsOpenClCpu);
        }
    }
}

/// <summary>Numbers for tests.</summary>
internal static class Numbers
{
    /// <summary>Signed numbers whose sizes are spread evenly over the powers of ten.</summary>
    internal static float[] LogUniform(int count, int seed, double least = 1e-3, double largest = 1e3)
    {
        var random = new Random(seed);
        var values = new float[count];
        for (int i = 0; i < count; i++)
        {
            double size = Math.Exp(Math.Log(least) + random.NextDouble() * Math.Log(largest / least));
            values[i] = (float)(random.Next(2) == 0 ? size : -size);
        }

        return values;
    }
}
