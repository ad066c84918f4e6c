using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Perf.Support;
using Kernels.Quantization;

namespace Kernels.Perf.Quantization;

/// <summary>Gradients to codes and scales of 2^22 weights: 5 bytes a weight, 9 for the best codes with an importance.</summary>
public partial class CodebookGradientBenchmarks
{
    private const int Rows = 2_048;
    private const int Columns = 2_048;

    private Session _session = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _grad = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _importance = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _codebook = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _scale = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _gradCodebook = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _gradScale = null!;
    private MemoryBuffer1D<byte, Stride1D.Dense> _index = null!;
    private CodebookGradient _gradient = null!;

    /// <summary>Codes.</summary>
    [Params(4, 16)]
    public int Codes { get; set; }

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        Accelerator accelerator = _session.Accelerator;
        const long Weights = (long)Rows * Columns;
        var random = new Random(1);
        var index = new byte[Weights];
        for (int i = 0; i < index.Length; i++)
        {
            index[i] = (byte)random.Next(Codes);
        }

        float[] grad = Bench.Values(Weights, 2);
        float[] codebook = [.. Enumerable.Range(0, Codes).Select(i => (2f * i / (Codes - 1)) - 1f)];
        float[] scale = Bench.Values(Rows, 3);
        _index = accelerator.Allocate1D(index);
        _grad = accelerator.Allocate1D(grad);
        _importance = accelerator.Allocate1D(Array.ConvertAll(Bench.Values(Weights, 4), Math.Abs));
        _codebook = accelerator.Allocate1D(codebook);
        _scale = accelerator.Allocate1D(scale);
        _gradCodebook = accelerator.Allocate1D<float>(Codes);
        _gradScale = accelerator.Allocate1D<float>(Rows);
        _gradient = new CodebookGradient(
            accelerator, new CodebookLayout(Rows, Columns, new CodeFormat(Codes), 1, null, WeightScope.Rows));
        SetupPeers(index, grad, codebook, scale);
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _gradient.Dispose();
        _index.Dispose();
        _grad.Dispose();
        _importance.Dispose();
        _codebook.Dispose();
        _scale.Dispose();
        _gradCodebook.Dispose();
        _gradScale.Dispose();
        _session.Dispose();
    }

    /// <summary>Both gradients.</summary>
    [Benchmark(Baseline = true)]
    public void Backward()
    {
        _gradient.Backward(
            _session.Stream, _index.View, _grad.View, _codebook.View, _scale.View, _gradCodebook.View, _gradScale.View);
        _session.Synchronize();
    }

    /// <summary>The best codes.</summary>
    [Benchmark]
    public void Fit()
    {
        _gradient.FitCodes(
            _session.Stream, _grad.View, _index.View, _codebook.View, _scale.View, _importance.View);
        _session.Synchronize();
    }

    partial void SetupPeers(byte[] index, float[] grad, float[] codebook, float[] scale);
}
