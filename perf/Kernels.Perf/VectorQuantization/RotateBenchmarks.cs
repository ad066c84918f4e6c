using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Perf.Support;
using Kernels.VectorQuantization;

namespace Kernels.Perf.VectorQuantization;

/// <summary>The rotation trick; bytes are for each component of the rows.</summary>
public partial class RotateBenchmarks
{
    /// <summary>Codes; few enough to stay in the cache.</summary>
    private const int Codes = 1024;

    private Session _session = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _x = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _codes = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _grad = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _gradX = null!;
    private MemoryBuffer1D<int, Stride1D.Dense> _index = null!;
    private Rotate _rotate = null!;

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
        _gradX = _session.Accelerator.Allocate1D<float>(Length);
        var random = new Random(4);
        int[] index = [.. Enumerable.Range(0, Rows).Select(_ => random.Next(Codes))];
        _index = _session.Accelerator.Allocate1D(index);
        _rotate = new Rotate(_session.Accelerator, Rows, Codes, Dimension);
        SetupPeers(_x.GetAsArray1D(), _codes.GetAsArray1D(), _grad.GetAsArray1D(), index);
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _x.Dispose();
        _codes.Dispose();
        _grad.Dispose();
        _gradX.Dispose();
        _index.Dispose();
        _session.Dispose();
    }

    /// <summary>The gradient: rows and incoming gradient are read, the outgoing one is written.</summary>
    [Benchmark(Baseline = true)]
    [Moves(12)]
    public void Backward()
    {
        _rotate.Backward(_session.Stream, _x.View, _codes.View, _index.View, Rows, _grad.View, _gradX.View);
        _session.Synchronize();
    }

    partial void SetupPeers(float[] x, float[] codes, float[] grad, int[] index);
}
