using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Perf.Support;
using Kernels.Quantization;

namespace Kernels.Perf.Quantization;

/// <summary>Codebooks of a matrix of 4096 x 4096 by 20 steps: 4 bytes read for each weight and step at least.</summary>
public partial class CodebookFitBenchmarks
{
    private const int Rows = 4096;
    private const int Columns = 4096;
    private const int Steps = 20;

    private Session _session = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _weights = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _codebook = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _scale = null!;
    private MemoryBuffer1D<byte, Stride1D.Dense> _index = null!;
    private MemoryBuffer1D<byte, Stride1D.Dense> _scaleCode = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _scaleScale = null!;
    private CodebookFit _fit = null!;
    private CodebookFit _rows = null!;
    private CodebookFit _blocks = null!;
    private CodebookFit _fours = null!;
    private AbsMax _largest = null!;
    private DoubleQuantization _double = null!;
    private float[] _sample = null!;

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
        _codebook = accelerator.Allocate1D<float>((long)Rows * Codes);
        _scale = accelerator.Allocate1D<float>(Rows * Columns / 64);
        _index = accelerator.Allocate1D<byte>((long)Rows * Columns);
        _scaleCode = accelerator.Allocate1D<byte>(_scale.Length);
        _scaleScale = accelerator.Allocate1D<float>((_scale.Length / 256) + 1);
        var format = new CodeFormat(Codes);
        var options = new CodebookFitOptions { Iterations = Steps };
        _fit = new CodebookFit(accelerator, new CodebookLayout(Rows, Columns, format), options);
        _rows = new CodebookFit(accelerator, new CodebookLayout(Rows, Columns, format, codebooks: WeightScope.Rows), options);
        _blocks = new CodebookFit(
            accelerator, new CodebookLayout(Rows, Columns, format, scales: WeightScope.Blocks(64)), options);
        _fours = new CodebookFit(accelerator, new CodebookLayout(Rows, Columns, format, length: 4), options);
        _largest = new AbsMax(accelerator, Rows, Columns, WeightScope.Blocks(64));
        _double = new DoubleQuantization(accelerator, (int)_scale.Length);
        float[] weights = _weights.GetAsArray1D();
        _sample = weights[..100_000];
        LargestOfBlocks();
        SetupPeers(weights, Codebooks.Quantiles(_sample, Codes));
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _fit.Dispose();
        _rows.Dispose();
        _blocks.Dispose();
        _fours.Dispose();
        _largest.Dispose();
        _double.Dispose();
        _weights.Dispose();
        _codebook.Dispose();
        _scale.Dispose();
        _index.Dispose();
        _scaleCode.Dispose();
        _scaleScale.Dispose();
        _session.Dispose();
    }

    /// <summary>One codebook for all.</summary>
    [Benchmark(Baseline = true)]
    public void Lloyd()
    {
        _fit.Run(_session.Stream, _weights.View, default, _codebook.View.SubView(0, Codes), _index.View);
        _session.Synchronize();
    }

    /// <summary>A codebook for each row.</summary>
    [Benchmark]
    public void LloydByRows()
    {
        _rows.Run(_session.Stream, _weights.View, default, _codebook.View, _index.View);
        _session.Synchronize();
    }

    /// <summary>One codebook, and a scale for each block of 64.</summary>
    [Benchmark]
    public void LloydOfBlocks()
    {
        _blocks.Run(
            _session.Stream, _weights.View, default, _codebook.View.SubView(0, Codes), _index.View, default, _scale.View);
        _session.Synchronize();
    }

    /// <summary>One codebook of codes of four weights.</summary>
    [Benchmark]
    public void LloydOfFours()
    {
        _fours.Run(
            _session.Stream, _weights.View, default, _codebook.View.SubView(0, 4 * Codes),
            _index.View.SubView(0, Rows * Columns / 4));
        _session.Synchronize();
    }

    /// <summary>The best codebook of 100,000 weights, on the host.</summary>
    [Benchmark]
    public void Exact() => CodebookFit.Exact(_sample, Codes);

    /// <summary>The scale of each block of 64.</summary>
    [Benchmark]
    public void LargestOfBlocks()
    {
        _largest.Run(_session.Stream, _weights.View, _scale.View);
        _session.Synchronize();
    }

    /// <summary>Those in 8 bits.</summary>
    [Benchmark]
    public void ScalesInBytes()
    {
        _double.Encode(
            _session.Stream, _scale.View, _scaleCode.View, _scaleScale.View.SubView(0, _double.BlockCount),
            _scaleScale.View.SubView(_double.BlockCount, 1));
        _session.Synchronize();
    }

    partial void SetupPeers(float[] weights, float[] codebook);
}
