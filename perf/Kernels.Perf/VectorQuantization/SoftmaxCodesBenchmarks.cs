using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Perf.Support;
using Kernels.VectorQuantization;

namespace Kernels.Perf.VectorQuantization;

/// <summary>The gradient of IBQ: 12 multiplications and additions, of which 8 are needed, for each row, code, dimension.</summary>
public partial class SoftmaxCodesBenchmarks
{
    private Session _session = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _rows = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _codes = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _grad = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _gradX = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _gradCodes = null!;
    private MemoryBuffer1D<int, Stride1D.Dense> _index = null!;
    private SoftmaxCodes _softmax = null!;

    /// <summary>Rows, codes and length of a code.</summary>
    public readonly record struct Shape(int Rows, int Codes, int Dimension)
    {
        /// <inheritdoc/>
        public override string ToString() => $"{Rows} x {Codes} x {Dimension}";
    }

    /// <summary>Codebooks of IBQ, with few rows.</summary>
    public static IEnumerable<Shape> Shapes => [new(512, 16_384, 32), new(512, 16_384, 256)];

    /// <summary>What is computed.</summary>
    [ParamsSource(nameof(Shapes))]
    public Shape Sizes { get; set; }

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        _rows = Bench.Tensor(_session, (long)Sizes.Rows * Sizes.Dimension, 1);
        _codes = Bench.Tensor(_session, (long)Sizes.Codes * Sizes.Dimension, 2);
        _grad = Bench.Tensor(_session, _rows.Length, 3);
        _gradX = _session.Accelerator.Allocate1D<float>(_rows.Length);
        _gradCodes = _session.Accelerator.Allocate1D<float>(_codes.Length);
        var random = new Random(4);
        int[] index = [.. Enumerable.Range(0, Sizes.Rows).Select(_ => random.Next(Sizes.Codes))];
        _index = _session.Accelerator.Allocate1D(index);
        _softmax = new SoftmaxCodes(_session.Accelerator, Sizes.Rows, Sizes.Codes, Sizes.Dimension);
        SetupPeers(_rows.GetAsArray1D(), _codes.GetAsArray1D(), _grad.GetAsArray1D(), index);
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _softmax.Dispose();
        _rows.Dispose();
        _codes.Dispose();
        _grad.Dispose();
        _gradX.Dispose();
        _gradCodes.Dispose();
        _index.Dispose();
        _session.Dispose();
    }

    /// <summary>Both gradients.</summary>
    [Benchmark(Baseline = true)]
    public void Backward()
    {
        _softmax.Backward(
            _session.Stream, _rows.View, _codes.View, _index.View, Sizes.Rows, _grad.View, _gradX.View, _gradCodes.View);
        _session.Synchronize();
    }

    partial void SetupPeers(float[] rows, float[] codes, float[] grad, int[] index);
}
