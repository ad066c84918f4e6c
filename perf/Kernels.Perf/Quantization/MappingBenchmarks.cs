using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Perf.Support;
using Kernels.Quantization;

namespace Kernels.Perf.Quantization;

/// <summary>
/// The learned mapping of 2^20 weights: logits read and their gradient written, 8 k bytes a weight, and 9 for the
/// gradient, the value and the index; 17 in all with a latent number in place of logits.
/// </summary>
public partial class MappingBenchmarks
{
    private const int Rows = 1_024;
    private const int Columns = 1_024;

    private Session _session = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _logits = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _gradLogits = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _codebook = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _grad = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _value = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _latent = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _gradLatent = null!;
    private MemoryBuffer1D<byte, Stride1D.Dense> _index = null!;
    private Mapping _default = null!;
    private Mapping _proximal = null!;
    private Latent _latents = null!;

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
        float[] logits = Bench.Values(Weights * Codes, 1);
        float[] grad = Bench.Values(Weights, 2);
        float[] codebook = [.. Enumerable.Range(0, Codes).Select(i => (2f * i / (Codes - 1)) - 1f)];
        _logits = accelerator.Allocate1D(logits);
        _grad = accelerator.Allocate1D(grad);
        _codebook = accelerator.Allocate1D(codebook);
        _latent = accelerator.Allocate1D(Array.ConvertAll(Bench.Values(Weights, 3), v => (v + 0.5f) * Codes));
        _gradLogits = accelerator.Allocate1D<float>(logits.Length);
        _gradLatent = accelerator.Allocate1D<float>(Weights);
        _value = accelerator.Allocate1D<float>(Weights);
        _index = accelerator.Allocate1D<byte>(Weights);
        var layout = new CodebookLayout(Rows, Columns, new CodeFormat(Codes));
        _default = new Mapping(accelerator, layout, new MappingOptions { Rule = MappingRule.Default });
        _proximal = new Mapping(accelerator, layout);
        _latents = new Latent(accelerator, layout);
        SetupPeers(logits, codebook, grad);
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _default.Dispose();
        _proximal.Dispose();
        _latents.Dispose();
        _logits.Dispose();
        _gradLogits.Dispose();
        _codebook.Dispose();
        _grad.Dispose();
        _value.Dispose();
        _latent.Dispose();
        _gradLatent.Dispose();
        _index.Dispose();
        _session.Dispose();
    }

    /// <summary>Codes, values and the softmax's own gradient.</summary>
    [Benchmark(Baseline = true)]
    public void Default() => Run(_default);

    /// <summary>Codes, values and the gradient that fades.</summary>
    [Benchmark]
    public void Proximal() => Run(_proximal);

    /// <summary>The same with a latent number for each weight.</summary>
    [Benchmark]
    public void LatentNumbers()
    {
        _latents.Backward(
            _session.Stream, _latent.View, _codebook.View, default, _grad.View, _gradLatent.View, _value.View, _index.View);
        _session.Synchronize();
    }

    partial void SetupPeers(float[] logits, float[] codebook, float[] grad);

    private void Run(Mapping mapping)
    {
        mapping.Backward(
            _session.Stream, _logits.View, _codebook.View, default, _grad.View, _gradLogits.View, _value.View, _index.View);
        _session.Synchronize();
    }
}
