using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using Kernels.Devices;

namespace Kernels.Tests.Support;

/// <summary>
/// The devices of a test run. <c>KERNELS_DEVICE</c> names the one under test (the CPU accelerator without it); CPU
/// accelerators with warps of 2, 32 and 64 run the device walks everywhere.
/// </summary>
public static class TestDevices
{
    private static readonly Lazy<Session> s_session = new(() => Session.Open(
        Environment.GetEnvironmentVariable(DeviceList.Variable) ?? "cpu"));

    private static readonly Lazy<Session> s_host = new(() => IsHost ? Session : Session.Open("cpu"));

    private static readonly Lazy<CPUAccelerator>[] s_warps =
    [
        // Groups of up to 256 items, so that a block of an arena fits one group.
        new(() => CreateWarp(2, 256)),
        new(() => CreateWarp(32, 256)),
        new(() => CreateWarp(64, 256)),
    ];

    /// <summary>Width of the warps of <see cref="Warp"/>.</summary>
    public static readonly int[] WarpSizes = [2, 32, 64];

    /// <summary>The device under test; one for the whole run.</summary>
    public static Session Session => s_session.Value;

    /// <summary>The CPU accelerator, for tests of what is the same on all devices.</summary>
    public static Session Host => s_host.Value;

    /// <summary>Whether the device under test is ILGPU's CPU accelerator.</summary>
    public static bool IsHost => Session.Accelerator.AcceleratorType == AcceleratorType.CPU;

    /// <summary>A CPU accelerator with warps of that size; one for the whole run.</summary>
    public static Accelerator Warp(int size) => s_warps[Array.IndexOf(WarpSizes, size)].Value;

    /// <summary>A CPU accelerator with warps of that size and groups of up to so many items.</summary>
    /// <remarks>Every item is a thread, and once a group had so many, all of them wake for every launch.</remarks>
    internal static CPUAccelerator CreateWarp(int size, int group)
    {
        Context context = Context.Create(builder => builder
            .EnableAlgorithms()
            .CPU(new CPUDevice(size, group / size, 1)));
        return context.GetCPUDevice(0).CreateCPUAccelerator(context, CPUAcceleratorMode.Parallel);
    }
}
