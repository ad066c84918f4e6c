using ILGPU.Runtime;

namespace Kernels.Tests.Support;

/// <summary>Managed memory that calls allocate.</summary>
internal static class Allocations
{
    private const int Rounds = 10;
    private const int Calls = 5;

    /// <summary>
    /// Asserts that a call allocates nothing once it is warm, not even what a collection took from it: what a call
    /// allocates it allocates in every round. Once only the runtime's tables grow, and a lock gets its event when two
    /// threads, here two tests, first want it at once.
    /// </summary>
    public static void AssertNone(Accelerator accelerator, Action call)
    {
        long least = long.MaxValue;
        for (int round = 0; round < Rounds && least != 0; round++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < Calls; i++)
            {
                GC.Collect(0);
                call();
            }

            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
            accelerator.Synchronize();
        }

        Assert.Equal(0, least);
    }
}
