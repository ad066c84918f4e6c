using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Perf.Support;
using Kernels.Quantization;

namespace Kernels.Perf.Quantization;

/// <summary>The objective of a layer of 1,024 x 1,024 with 1,024 rows of activations, by H: 2^31 operations.</summary>
public class ReconstructionBenchmarks
{
    private const int Size = 1_024;

    private Session _session = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _activations = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _weights = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _value = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _grad = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _objective = null!;
    private Reconstruction _reconstruction = null!;
    private Reconstruction _plain = null!;

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        Accelerator accelerator = _session.Accelerator;
        _activations = Bench.Tensor(_session, Size * Size, 1);
        _weights = Bench.Tensor(_session, Size * Size, 2);
        _value = Bench.Tensor(_session, Size * Size, 3);
        _grad = accelerator.Allocate1D<float>(Size * Size);
        _objective = accelerator.Allocate1D<float>(1);
        _reconstruction = new Reconstruction(accelerator, Size, Size, Size);
        _plain = new Reconstruction(accelerator, Size, Size, 0);
        _reconstruction.SetActivations(_session.Stream, _activations.View);
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _reconstruction.Dispose();
        _plain.Dispose();
        _activations.Dispose();
        _weights.Dispose();
        _value.Dispose();
        _grad.Dispose();
        _objective.Dispose();
        _session.Dispose();
    }

    /// <summary>With activations.</summary>
    [Benchmark(Baseline = true)]
    public void Objective() => Run(_reconstruction);

    /// <summary>Without.</summary>
    [Benchmark]
    public void OfWeights() => Run(_plain);

    private void Run(Reconstruction reconstruction)
    {
        reconstruction.Evaluate(_session.Stream, _weights.View, _value.View, _grad.View, _objective.View);
        _session.Synchronize();
    }
}
