using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Perf.Support;
using Kernels.VectorQuantization;

namespace Kernels.Perf.VectorQuantization;

/// <summary>Residual vector quantization with eight stages, and beside it the eight searches alone.</summary>
public class ResidualBenchmarks
{
    private const int Stages = 8;
    private const int Codes = 1024;
    private const int Dimension = 128;

    private Session _session = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _x = null!;
    private MemoryBuffer1D<int, Stride1D.Dense> _index = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _output = null!;
    private ResidualCodebook _book = null!;
    private Codebook _single = null!;

    /// <summary>Rows.</summary>
    [Params(4096)]
    public int Rows { get; set; }

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        _x = Bench.Tensor(_session, (long)Rows * Dimension, 1);
        _output = _session.Accelerator.Allocate1D<float>((long)Rows * Dimension);
        _index = _session.Accelerator.Allocate1D<int>((long)Rows * Stages);
        _book = new ResidualCodebook(_session, Stages, Codes, Dimension);
        _single = new Codebook(_session, Codes, Dimension);
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _single.Dispose();
        _book.Dispose();
        _x.Dispose();
        _output.Dispose();
        _index.Dispose();
        _session.Dispose();
    }

    /// <summary>All indices of every row.</summary>
    [Benchmark(Baseline = true)]
    public void Encode()
    {
        _book.Encode(_x.View, _index.View);
        _session.Synchronize();
    }

    /// <summary>As many searches of the same rows.</summary>
    [Benchmark]
    public void SearchesAlone()
    {
        ArrayView<int> all = _index.View;
        for (int stage = 0; stage < Stages; stage++)
        {
            _single.Encode(_x.View, all.SubView((long)stage * Rows, Rows));
        }

        _session.Synchronize();
    }

    /// <summary>The sums of the codes.</summary>
    [Benchmark]
    public void Decode()
    {
        _book.Decode(_index.View, _output.View);
        _session.Synchronize();
    }
}
