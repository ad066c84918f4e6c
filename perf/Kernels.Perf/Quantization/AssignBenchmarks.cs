using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Perf.Support;
using Kernels.Quantization;

namespace Kernels.Perf.Quantization;

/// <summary>The nearest codes of a matrix of 4096 x 4096: 4 bytes read and 1 written for each weight.</summary>
public partial class AssignBenchmarks
{
    private const int Rows = 4096;
    private const int Columns = 4096;

    private Session _session = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _weights = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _codebook = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _scale = null!;
    private MemoryBuffer1D<byte, Stride1D.Dense> _index = null!;
    private Assign _assign = null!;
    private Assign _scaled = null!;
    private Assign _pairs = null!;

    /// <summary>Codes.</summary>
    [Params(16, 256)]
    public int Codes { get; set; }

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        Accelerator accelerator = _session.Accelerator;
        _weights = Bench.Tensor(_session, (long)Rows * Columns, 1);
        float[] codebook = Bench.Values(2 * Codes, 2);
        Array.Sort(codebook, 0, Codes);
        _codebook = accelerator.Allocate1D(codebook);
        _scale = accelerator.Allocate1D(Enumerable.Repeat(0.9f, Rows * Columns / 64).ToArray());
        _index = accelerator.Allocate1D<byte>((long)Rows * Columns);
        var format = new CodeFormat(Codes);
        _assign = new Assign(accelerator, new CodebookLayout(Rows, Columns, format));
        _scaled = new Assign(accelerator, new CodebookLayout(Rows, Columns, format, scales: WeightScope.Blocks(64)));
        _pairs = new Assign(accelerator, new CodebookLayout(Rows, Columns, format, length: 2));
        SetupPeers(_weights.GetAsArray1D(), codebook[..Codes]);
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _assign.Dispose();
        _scaled.Dispose();
        _pairs.Dispose();
        _weights.Dispose();
        _codebook.Dispose();
        _scale.Dispose();
        _index.Dispose();
        _session.Dispose();
    }

    /// <summary>One codebook for all.</summary>
    [Benchmark(Baseline = true)]
    public void Assigning()
    {
        _assign.Run(_session.Stream, _weights.View, _codebook.View.SubView(0, Codes), default, _index.View);
        _session.Synchronize();
    }

    /// <summary>With a scale for each block of 64.</summary>
    [Benchmark]
    public void InBlocks()
    {
        _scaled.Run(_session.Stream, _weights.View, _codebook.View.SubView(0, Codes), _scale.View, _index.View);
        _session.Synchronize();
    }

    /// <summary>A code for two weights.</summary>
    [Benchmark]
    public void Pairs()
    {
        _pairs.Run(
            _session.Stream, _weights.View, _codebook.View, default, _index.View.SubView(0, Rows * Columns / 2));
        _session.Synchronize();
    }

    partial void SetupPeers(float[] weights, float[] codebook);
}
