using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Dct;
using Kernels.Perf.Support;

namespace Kernels.Perf.Dct;

/// <summary>A sixteenth of the columns of a transformed square gradient, and the way back; scores of magnitudes, F32.</summary>
public partial class DctSelectBenchmarks
{
    private Session _session = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _g = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _projected = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _full = null!;
    private MemoryBuffer1D<int, Stride1D.Dense> _index = null!;
    private ColumnSelector _selector = null!;

    /// <summary>Elements of 2048 rows and columns, r = 128, and of 4096, r = 256.</summary>
    [Params(4_194_304, 16_777_216)]
    public int Length { get; set; }

    private int Size => (int)Math.Sqrt(Length);

    private int Rank => Size / 16;

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        Accelerator accelerator = _session.Accelerator;
        _g = Bench.Tensor(_session, Length, 1);
        _full = accelerator.Allocate1D<float>(Length);
        _projected = accelerator.Allocate1D<float>((long)Size * Rank);
        _index = accelerator.Allocate1D<int>(Rank);
        _selector = new ColumnSelector(accelerator, Size, Size, Rank);
        SetupPeers(_g.GetAsArray1D());
        Select(); // what the others start from
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _selector.Dispose();
        _g.Dispose();
        _full.Dispose();
        _projected.Dispose();
        _index.Dispose();
        _session.Dispose();
    }

    /// <summary>Transform, scores, choice, gathering. The gradient is read, its transform written; more is in r / n.</summary>
    [Benchmark(Baseline = true), Moves(8), ComputesTransforms]
    public void Select()
    {
        _selector.Select(_session.Stream, _g.View, _index.View, _projected.View);
        _session.Synchronize();
    }

    /// <summary>The transform again, for columns that are known: only they are written.</summary>
    [Benchmark, Moves(4.25), ComputesTransforms]
    public void Project()
    {
        _selector.Project(_session.Stream, _g.View, _index.View, _projected.View);
        _session.Synchronize();
    }

    /// <summary>The way back.</summary>
    [Benchmark, Moves(4.25), ComputesTransforms]
    public void BackProject()
    {
        _selector.BackProject(_session.Stream, _projected.View, _index.View, _full.View);
        _session.Synchronize();
    }

    partial void SetupPeers(float[] g);
}
