using System.Runtime.ExceptionServices;
using ILGPU.Runtime;
using Kernels.Tests.Support;
using Xunit.Abstractions;

namespace Kernels.Tests.Cuda;

/// <summary>Tests that need a CUDA driver, or one that is simulated.</summary>
internal static class CudaOnly
{
    /// <summary>
    /// Runs the test on a thread of its own, on which no context is current; where the device under test is another
    /// one, says so and ends.
    /// </summary>
    internal static void Run(ITestOutputHelper output, Action test)
    {
        if (TestDevices.Session.Accelerator.AcceleratorType != AcceleratorType.Cuda)
        {
            output.WriteLine($"Nothing is tested: the device is {TestDevices.Session.Device}, and this is about CUDA.");
            return;
        }

        Run(test);
    }

    /// <summary>Runs all at once, each on a thread of its own, and waits for them.</summary>
    internal static void Run(params Action[] tests)
    {
        var failures = new Exception?[tests.Length];
        Thread[] threads = [.. tests.Select((test, i) => new Thread(() => failures[i] = Record.Exception(test)))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        if (failures.FirstOrDefault(failure => failure is not null) is { } first)
        {
            ExceptionDispatchInfo.Throw(first);
        }
    }
}
