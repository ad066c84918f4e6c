using ILGPU.Runtime.CPU;

namespace Kernels.Adapters.Tests.Support;

/// <summary>The CPU accelerator, and the device under test that <c>KERNELS_DEVICE</c> names; each one for the run.</summary>
internal static class TestSessions
{
    private static readonly Lazy<Session> s_cpu = new(() => Session.Open("cpu"));

    private static readonly Lazy<Session> s_tested = new(() =>
        Environment.GetEnvironmentVariable("KERNELS_DEVICE") is { } name ? Session.Open(name) : Cpu);

    internal static Session Cpu => s_cpu.Value;

    internal static Session Tested => s_tested.Value;

    /// <summary>Whether the device under test is ILGPU's CPU accelerator.</summary>
    internal static bool IsCpu => Tested.Accelerator is CPUAccelerator;
}
