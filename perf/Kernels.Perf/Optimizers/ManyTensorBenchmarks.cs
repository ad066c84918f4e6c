using BenchmarkDotNet.Attributes;
using Kernels.Optimizers;
using Kernels.Perf.Support;

namespace Kernels.Perf.Optimizers;

/// <summary>AdamW over many tensors: one launch here, one or ten per tensor elsewhere.</summary>
public partial class ManyTensorBenchmarks
{
    private const int Steps = 4;

    private Session _session = null!;
    private Optimizer _uniform = null!;
    private Optimizer _mixed = null!;

    /// <summary>Tensors.</summary>
    [Params(4096, 1024, 1)]
    public int Tensors { get; set; }

    /// <summary>Parameters in all.</summary>
    public int Length => Tensors * Each;

    private int Each => Tensors switch { 4096 => 256, 1024 => 4096, _ => 8_388_608 };

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        float[] values = Bench.Values(Each, 1);
        var options = new AdamWOptions();
        AdamWOptions[] groups = [options, options with { WeightDecay = 0 }];
        _uniform = Create(options, i => options);
        _mixed = Create(options, i => groups[i % 2]);
        SetupPeers(values);

        Optimizer Create(AdamWOptions all, Func<int, AdamWOptions> own)
        {
            var optimizer = new Optimizer(
                _session, all,
                [.. Enumerable.Range(0, Tensors).Select(i => new Parameter($"p{i}", values) { Options = own(i) })]);
            for (int i = 0; i < Tensors; i++)
            {
                optimizer.SetGradient($"p{i}", values);
            }

            return optimizer;
        }
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _uniform.Dispose();
        _mixed.Dispose();
        _session.Dispose();
    }

    /// <summary>Ours, the same options for all.</summary>
    [Benchmark(Baseline = true, OperationsPerInvoke = Steps)]
    public void Ours() => Run(_uniform);

    /// <summary>Ours, two sets of options in turn.</summary>
    [Benchmark(OperationsPerInvoke = Steps)]
    public void OursTwoGroups() => Run(_mixed);

    partial void SetupPeers(float[] values);

    private void Run(Optimizer optimizer)
    {
        for (int step = 0; step < Steps; step++)
        {
            optimizer.Step();
        }

        _session.Synchronize();
    }
}
