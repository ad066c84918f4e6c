using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Perf.Support;
using Kernels.Quantization;

namespace Kernels.Perf.Quantization;

/// <summary>Rows of a matrix of 4096 x 4096 in groups, and in their new order: 8 bytes moved for each number.</summary>
public partial class RowGroupingBenchmarks
{
    private const int Rows = 4096;
    private const int Columns = 4096;

    private Session _session = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _weights = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _moved = null!;
    private Permute _permute = null!;
    private float[] _values = null!;

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        _values = Bench.Values((long)Rows * Columns, 1);
        _weights = _session.Accelerator.Allocate1D(_values);
        _moved = _session.Accelerator.Allocate1D<float>(_weights.Length);
        var random = new Random(2);
        int[] order = [.. Enumerable.Range(0, Rows).OrderBy(_ => random.Next())];
        _permute = new Permute(_session.Accelerator, order);
        SetupPeers(_values, order);
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _permute.Dispose();
        _weights.Dispose();
        _moved.Dispose();
        _session.Dispose();
    }

    /// <summary>The rows in another order.</summary>
    [Benchmark(Baseline = true)]
    public void PermuteRows()
    {
        _permute.Rows(_session.Stream, _weights.View, Columns, _moved.View);
        _session.Synchronize();
    }

    /// <summary>The columns in another order.</summary>
    [Benchmark]
    public void PermuteColumns()
    {
        _permute.Columns(_session.Stream, _weights.View, Rows, _moved.View);
        _session.Synchronize();
    }

    /// <summary>16 groups, on the host.</summary>
    [Benchmark]
    public void Grouping() => RowGrouping.Group(_values, Columns, 16);

    partial void SetupPeers(float[] values, int[] order);
}
