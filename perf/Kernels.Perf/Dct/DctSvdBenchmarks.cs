using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Dct;
using Kernels.Perf.Support;

namespace Kernels.Perf.Dct;

/// <summary>What the choice of columns is instead of: a singular value decomposition of a gradient of 1024 x 1024, r = 64.</summary>
public partial class DctSvdBenchmarks
{
    private const int Size = 1024;
    private const int Rank = 64;

    private Session _session = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _g = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _projected = null!;
    private MemoryBuffer1D<int, Stride1D.Dense> _index = null!;
    private ColumnSelector _selector = null!;

    /// <summary>Elements.</summary>
    [Params(Size * Size)]
    public int Length { get; set; }

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        _g = Bench.Tensor(_session, Length, 1);
        _projected = _session.Accelerator.Allocate1D<float>(Size * Rank);
        _index = _session.Accelerator.Allocate1D<int>(Rank);
        _selector = new ColumnSelector(_session.Accelerator, Size, Size, Rank);
        SetupPeers(_g.GetAsArray1D());
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _selector.Dispose();
        _g.Dispose();
        _projected.Dispose();
        _index.Dispose();
        _session.Dispose();
    }

    /// <summary>Transform, scores, choice, gathering.</summary>
    [Benchmark(Baseline = true), Moves(8), ComputesTransforms]
    public void Select()
    {
        _selector.Select(_session.Stream, _g.View, _index.View, _projected.View);
        _session.Synchronize();
    }

    partial void SetupPeers(float[] g);
}
