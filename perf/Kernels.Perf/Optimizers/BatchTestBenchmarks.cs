using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Optimizers;
using Kernels.Perf.Support;

namespace Kernels.Perf.Optimizers;

/// <summary>The tests of the batch size over the gradients of 64 samples; the bytes are those of a number of them.</summary>
public class BatchTestBenchmarks
{
    private const int Samples = 64;
    private const int Runs = 4;

    private Session _session = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _gradients = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _statistic = null!;
    private BatchTest _test = null!;

    /// <summary>Numbers in all: 64 samples.</summary>
    [Params(8_388_608)]
    public int Length { get; set; }

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        _gradients = Bench.Tensor(_session, Length, 1);
        _statistic = _session.Accelerator.Allocate1D<float>(1);
        _test = new BatchTest(_session.Accelerator, Samples, Length / Samples);
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _gradients.Dispose();
        _statistic.Dispose();
        _test.Dispose();
        _session.Dispose();
    }

    /// <summary>The norm test: means, then deviations.</summary>
    [Benchmark(OperationsPerInvoke = Runs), Moves(8)]
    public void Norm() => Run(BatchTestKind.Norm);

    /// <summary>The coordinate-wise test.</summary>
    [Benchmark(OperationsPerInvoke = Runs), Moves(8)]
    public void Coordinate() => Run(BatchTestKind.Coordinate);

    /// <summary>The inner-product test: one pass more.</summary>
    [Benchmark(OperationsPerInvoke = Runs), Moves(12)]
    public void InnerProduct() => Run(BatchTestKind.InnerProduct);

    /// <summary>The augmented test: two passes more still.</summary>
    [Benchmark(OperationsPerInvoke = Runs), Moves(20)]
    public void Augmented() => Run(BatchTestKind.Augmented);

    private void Run(BatchTestKind kind)
    {
        var options = new BatchTestOptions { Kind = kind };
        for (int i = 0; i < Runs; i++)
        {
            _test.Run(_session.Stream, _gradients.View, Samples, _statistic.View, options);
        }

        _session.Synchronize();
    }
}
