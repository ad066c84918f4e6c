namespace Kernels.Tools.Benchmarks;

/// <summary>One call that was measured.</summary>
/// <param name="Name">The operation, and which of its calls where there are several.</param>
/// <param name="Shape">The lengths and options that were asked for, as in <c>n=4096 k=16384 d=64</c>.</param>
/// <param name="Cost">What the call must do at least.</param>
/// <param name="Time">How long it took.</param>
/// <param name="Stream">How long a walk with the same reads and writes and hardly any arithmetic took, by turns with it.</param>
/// <param name="Peak">Operations in a second of a large product of matrices on the device.</param>
internal sealed record BenchResult(string Name, string Shape, Cost Cost, Quantiles Time, Quantiles Stream, double Peak)
{
    /// <summary>The least time that the reads and writes, or the arithmetic, would take.</summary>
    internal double Floor => Math.Max(Stream.Median, Cost.Operations / Peak);

    /// <summary>Whether it is the arithmetic that sets the least time.</summary>
    internal bool IsArithmetic => Cost.Operations / Peak > Stream.Median;

    /// <summary>The least time as a share of the time it took.</summary>
    internal double Share => Floor / Time.Median;
}
