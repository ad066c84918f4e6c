using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Perf.Support;
using Kernels.VectorQuantization;

namespace Kernels.Perf.VectorQuantization;

/// <summary>What follows a search: output, losses, gradient and histogram; bytes are for each component of the rows.</summary>
public partial class QuantizeBenchmarks
{
    private Session _session = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _x = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _codes = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _output = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _grad = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _gradX = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _loss = null!;
    private MemoryBuffer1D<int, Stride1D.Dense> _index = null!;
    private MemoryBuffer1D<int, Stride1D.Dense> _counts = null!;
    private Quantize _quantize = null!;

    /// <summary>Codes; few enough to stay in the cache.</summary>
    private const int Codes = 1024;

    /// <summary>Components of all rows.</summary>
    [Params(1 << 22)]
    public int Length { get; set; }

    /// <summary>Length of a code.</summary>
    [Params(8, 32, 256)]
    public int Dimension { get; set; }

    private int Rows => Length / Dimension;

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        _x = Bench.Tensor(_session, Length, 1);
        _codes = Bench.Tensor(_session, (long)Codes * Dimension, 2);
        _grad = Bench.Tensor(_session, Length, 3);
        _output = _session.Accelerator.Allocate1D<float>(Length);
        _gradX = _session.Accelerator.Allocate1D<float>(Length);
        _loss = _session.Accelerator.Allocate1D<float>(2);
        _counts = _session.Accelerator.Allocate1D<int>(Codes);
        var random = new Random(4);
        int[] index = [.. Enumerable.Range(0, Rows).Select(_ => random.Next(Codes))];
        _index = _session.Accelerator.Allocate1D(index);
        _quantize = new Quantize(_session.Accelerator, Rows, Codes, Dimension);
        SetupPeers(_x.GetAsArray1D(), _codes.GetAsArray1D(), index);
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _quantize.Dispose();
        _x.Dispose();
        _codes.Dispose();
        _output.Dispose();
        _grad.Dispose();
        _gradX.Dispose();
        _loss.Dispose();
        _index.Dispose();
        _counts.Dispose();
        _session.Dispose();
    }

    /// <summary>All of it: x is read, output and gradient are written.</summary>
    [Benchmark(Baseline = true)]
    [Moves(12)]
    public void Quantizing()
    {
        _quantize.Apply(
            _session.Stream, _x.View, _codes.View, _index.View, Rows, _output.View, _loss.View, _gradX.View, _counts.View);
        _session.Synchronize();
    }

    /// <summary>The gradient alone, on top of an incoming one.</summary>
    [Benchmark]
    [Moves(12)]
    public void Gradient()
    {
        _quantize.Apply(
            _session.Stream, _x.View, _codes.View, _index.View, Rows, gradX: _gradX.View, grad: _grad.View);
        _session.Synchronize();
    }

    /// <summary>The output alone.</summary>
    [Benchmark]
    [Moves(4)]
    public void Output()
    {
        _quantize.Apply(_session.Stream, _x.View, _codes.View, _index.View, Rows, _output.View);
        _session.Synchronize();
    }

    partial void SetupPeers(float[] x, float[] codes, int[] index);
}
