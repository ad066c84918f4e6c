using ILGPU.Runtime;
using ILGPU.Runtime.OpenCL;

namespace Kernels.Launching;

/// <summary>What kind of device decides how work is laid out on it.</summary>
internal enum DeviceClass
{
    /// <summary>ILGPU's CPU accelerator: element-wise work runs on the host's SIMD units, the rest in few fat items.</summary>
    Host,

    /// <summary>An OpenCL device on a CPU: the compiler vectorises across the items of a group.</summary>
    OpenClCpu,

    /// <summary>A GPU: coalesced 128-bit accesses.</summary>
    Gpu,
}

/// <summary>What the plans need to know of a device; can be invented for tests.</summary>
/// <param name="Class">How work is laid out.</param>
/// <param name="Cores">Multiprocessors, or cores of a CPU.</param>
/// <param name="WarpSize">Items that run in lockstep.</param>
/// <param name="MaxGroup">Largest number of items in a group.</param>
/// <param name="MaxGrid">Largest number of groups in a launch.</param>
/// <param name="SharedBytes">Shared memory of a group, bytes.</param>
internal sealed record DeviceFacts(
    DeviceClass Class, int Cores, int WarpSize, int MaxGroup, long MaxGrid, long SharedBytes)
{
    internal static DeviceFacts Of(Accelerator accelerator)
    {
        DeviceClass kind = accelerator switch
        {
            { AcceleratorType: AcceleratorType.CPU } => DeviceClass.Host,
            CLAccelerator { Device: CLDevice { DeviceType: CLDeviceType.CL_DEVICE_TYPE_CPU } } => DeviceClass.OpenClCpu,
            _ => DeviceClass.Gpu,
        };
        return new DeviceFacts(
            kind,
            accelerator.NumMultiprocessors,
            accelerator.WarpSize,
            accelerator.MaxNumThreadsPerGroup,
            Math.Min(accelerator.MaxGridSize.X, int.MaxValue),
            accelerator.MaxSharedMemoryPerGroup);
    }
}
