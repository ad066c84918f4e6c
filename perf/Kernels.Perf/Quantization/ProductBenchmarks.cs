using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Perf.Support;
using Kernels.Quantization;

namespace Kernels.Perf.Quantization;

/// <summary>Products with a packed matrix of 4096 x 4096 weights and a scale for each row.</summary>
public partial class ProductBenchmarks
{
    private const int Side = 4096;
    private const int Many = 64;

    private Session _session = null!;
    private MemoryBuffer1D<byte, Stride1D.Dense> _packed = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _codebook = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _scale = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _x = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _y = null!;
    private QuantizedProduct _look = null!;
    private QuantizedProduct _slabs = null!;

    /// <summary>Codes of the codebook.</summary>
    [Params(16, 8, 4)]
    public int Codes { get; set; }

    /// <summary>Weights.</summary>
    public int Length => Side * Side;

    /// <summary>Allocates and packs.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        Accelerator accelerator = _session.Accelerator;
        var layout = new CodebookLayout(Side, Side, new CodeFormat(Codes), scales: WeightScope.Rows);
        var index = new byte[Length];
        var random = new Random(1);
        for (int i = 0; i < index.Length; i++)
        {
            index[i] = (byte)random.Next(Codes);
        }

        using MemoryBuffer1D<byte, Stride1D.Dense> codes = accelerator.Allocate1D(index);
        _packed = accelerator.Allocate1D<byte>(layout.PackedBytes);
        new Pack(accelerator, layout).Run(_session.Stream, codes.View, _packed.View);
        _session.Synchronize();
        _codebook = Bench.Tensor(_session, Codes, 2);
        _scale = Bench.Tensor(_session, Side, 3);
        _x = Bench.Tensor(_session, Side * Many, 4);
        _y = accelerator.Allocate1D<float>(Side * Many);
        _look = new QuantizedProduct(accelerator, layout, Many, QuantizedProductWay.Looked);
        _slabs = new QuantizedProduct(accelerator, layout, Many, QuantizedProductWay.Slabs);
        SetupPeers(index, _codebook.GetAsArray1D(), _scale.GetAsArray1D(), _x.GetAsArray1D());
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _look.Dispose();
        _slabs.Dispose();
        _packed.Dispose();
        _codebook.Dispose();
        _scale.Dispose();
        _x.Dispose();
        _y.Dispose();
        _session.Dispose();
    }

    /// <summary>One vector, weights looked up.</summary>
    [Benchmark(Baseline = true)]
    public void Vector() => Multiply(_look, 1);

    /// <summary>Four vectors, weights looked up.</summary>
    [Benchmark]
    public void FourLooked() => Multiply(_look, 4);

    /// <summary>Four vectors, rows dequantized.</summary>
    [Benchmark]
    public void FourOfSlabs() => Multiply(_slabs, 4);

    /// <summary>Sixty-four vectors, rows dequantized.</summary>
    [Benchmark]
    public void SixtyFour() => Multiply(_slabs, Many);

    private void Multiply(QuantizedProduct product, int n)
    {
        product.Multiply(
            _session.Stream, _x.View.SubView(0, n * Side), n, _packed.View, _codebook.View, _scale.View,
            _y.View.SubView(0, n * Side));
        _session.Synchronize();
    }

    partial void SetupPeers(byte[] index, float[] codebook, float[] scale, float[] x);
}
