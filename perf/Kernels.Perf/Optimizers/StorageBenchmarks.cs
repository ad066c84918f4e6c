using BenchmarkDotNet.Attributes;
using Kernels.Optimizers;
using Kernels.Perf.Support;

namespace Kernels.Perf.Optimizers;

/// <summary>AdamW in the storages of mixed-precision training.</summary>
public class StorageBenchmarks
{
    private const int Steps = 8;

    private readonly List<Optimizer> _optimizers = [];
    private Session _session = null!;

    /// <summary>Parameters.</summary>
    [Params(8_388_608)]
    public int Length { get; set; }

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        float[] values = Bench.Values(Length, 1);
        foreach (OptimizerSettings settings in new[]
        {
            new OptimizerSettings(),
            new OptimizerSettings { Parameters = Storage.BF16, Gradients = Storage.BF16 },
            new OptimizerSettings { Parameters = Storage.BF16, Gradients = Storage.BF16, Master = true },
            new OptimizerSettings { Parameters = Storage.F16, Gradients = Storage.F16 },
            new OptimizerSettings { Parameters = Storage.BF16, Gradients = Storage.BF16, StochasticRounding = true },
            new OptimizerSettings { StateStorage = StateStorage.EightBit },
        })
        {
            var optimizer = new Optimizer(_session, new AdamWOptions(), [new Parameter("p", values)], settings);
            optimizer.SetGradient("p", values);
            _optimizers.Add(optimizer);
        }
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _optimizers.ForEach(o => o.Dispose());
        _session.Dispose();
    }

    /// <summary>Everything F32.</summary>
    [Benchmark(Baseline = true, OperationsPerInvoke = Steps), Moves(28)]
    public void F32() => Run(0);

    /// <summary>BF16 parameters and gradients, F32 state.</summary>
    [Benchmark(OperationsPerInvoke = Steps), Moves(22)]
    public void BF16() => Run(1);

    /// <summary>F32 master, BF16 gradients and copy.</summary>
    [Benchmark(OperationsPerInvoke = Steps), Moves(28)]
    public void MasterWithBF16() => Run(2);

    /// <summary>F16 parameters and gradients, F32 state.</summary>
    [Benchmark(OperationsPerInvoke = Steps), Moves(22)]
    public void F16() => Run(3);

    /// <summary>BF16, rounded stochastically.</summary>
    [Benchmark(OperationsPerInvoke = Steps), Moves(22)]
    public void StochasticBF16() => Run(4);

    /// <summary>Everything F32 but the state, which is in 8 bits; it moves 16.06 bytes.</summary>
    [Benchmark(OperationsPerInvoke = Steps), Moves(16)]
    public void EightBitState() => Run(5);

    private void Run(int i)
    {
        for (int step = 0; step < Steps; step++)
        {
            _optimizers[i].Step();
        }

        _session.Synchronize();
    }
}
