namespace Kernels.Adapters.Tests.Support;

/// <summary>For tests that measure the memory of the process: nothing else runs beside them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = nameof(Alone);

    // ILGPU forgets disposed objects only every few thousand: a weak reference for each until then.
    private const long ManagedRoom = 1 << 20;

    /// <summary>Bytes that a cycle uses: what is left behind by 10,000 of them is far more than the noise.</summary>
    internal const int CycleBytes = 1 << 16;

    private const long ProcessRoom = 10_000L * CycleBytes / 2;

    /// <summary>Asserts that a cycle that is run 10,000 times leaves nothing behind, neither managed nor native.</summary>
    internal static void AssertFlat(Action cycle)
    {
        Run(cycle, 10_000); // tables have their size then
        (long managed, long process) = Memory();
        Run(cycle, 10_000);
        (long managedAfter, long processAfter) = Memory();
        Assert.InRange(managedAfter - managed, long.MinValue, ManagedRoom);
        Assert.InRange(processAfter - process, long.MinValue, ProcessRoom);
    }

    private static void Run(Action cycle, int times)
    {
        for (int i = 0; i < times; i++)
        {
            cycle();
        }
    }

    private static (long Managed, long Process) Memory()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return (GC.GetTotalMemory(forceFullCollection: true), Environment.WorkingSet);
    }
}
