using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Dct;
using Kernels.Linear;
using Kernels.Perf.Support;

namespace Kernels.Perf.Dct;

/// <summary>Orthonormal transforms of the rows and the columns of a square matrix, F32.</summary>
public partial class DctBenchmarks
{
    private Session _session = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _x = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _y = null!;
    private Transform _dct = null!;
    private Transform _hadamard = null!;
    private Activations _activations = null!;

    /// <summary>Elements of 1024, 2048 and 4096 rows and columns.</summary>
    [Params(1_048_576, 4_194_304, 16_777_216)]
    public int Length { get; set; }

    private int Size => (int)Math.Sqrt(Length);

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        _x = Bench.Tensor(_session, Length, 1);
        _y = _session.Accelerator.Allocate1D<float>(Length);
        _dct = new Transform(_session.Accelerator, Basis.Dct2, Size);
        _hadamard = new Transform(_session.Accelerator, Basis.Hadamard, Size);
        _activations = new Activations(_session.Accelerator);
        SetupPeers(_x.GetAsArray1D());
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _dct.Dispose();
        _hadamard.Dispose();
        _x.Dispose();
        _y.Dispose();
        _session.Dispose();
    }

    /// <summary>Floor: a copy, which reads and writes as much.</summary>
    [Benchmark, Moves(8)]
    public void CopyProbe()
    {
        _activations.Forward(_session.Stream, _x.View, _y.View, Activation.None);
        _session.Synchronize();
    }

    /// <summary>DCT-II of all rows.</summary>
    [Benchmark(Baseline = true), Moves(8), ComputesTransforms]
    public void Rows()
    {
        _dct.Rows(_session.Stream, _x.View, _y.View, Size);
        _session.Synchronize();
    }

    /// <summary>DCT-II of all columns.</summary>
    [Benchmark, Moves(8), ComputesTransforms]
    public void Columns()
    {
        _dct.Columns(_session.Stream, _x.View, _y.View, Size);
        _session.Synchronize();
    }

    /// <summary>Walsh-Hadamard transforms of all rows: n log2(n) additions each.</summary>
    [Benchmark, Moves(8)]
    public void HadamardRows()
    {
        _hadamard.Rows(_session.Stream, _x.View, _y.View, Size);
        _session.Synchronize();
    }

    partial void SetupPeers(float[] x);
}
