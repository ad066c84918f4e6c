using BenchmarkDotNet.Attributes;
using Kernels.Optimizers;
using Kernels.Perf.Support;

namespace Kernels.Perf.Optimizers;

/// <summary>AdamW on ILGPU's CPU accelerator.</summary>
public class HostBenchmarks
{
    private const int Steps = 16;

    private Session _session = null!;
    private Optimizer _optimizer = null!;

    /// <summary>Parameters.</summary>
    [Params(1_048_576, 8_388_608)]
    public int Length { get; set; }

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open("cpu");
        float[] values = Bench.Values(Length, 1);
        _optimizer = new Optimizer(_session, new AdamWOptions(), [new Parameter("p", values)]);
        _optimizer.SetGradient("p", values);
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _optimizer.Dispose();
        _session.Dispose();
    }

    /// <summary>AdamW.</summary>
    [Benchmark(OperationsPerInvoke = Steps), Moves(28)]
    public void AdamW()
    {
        for (int step = 0; step < Steps; step++)
        {
            _optimizer.Step();
        }
    }
}
