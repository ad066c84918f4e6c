using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Perf.Support;
using Kernels.Quantization;

namespace Kernels.Perf.Quantization;

/// <summary>Products with a packed matrix of 4096 columns, of codes of several weights, and a scale for each row.</summary>
public class VectorProductBenchmarks
{
    private const int Side = 4096;
    private const int Many = 16;

    private Session _session = null!;
    private MemoryBuffer1D<byte, Stride1D.Dense> _packed = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _codebook = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _scale = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _x = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _y = null!;
    private QuantizedProduct _sums = null!;
    private QuantizedProduct _slabs = null!;

    /// <summary>Weights of a code, codes, rows.</summary>
    [Params("8 256 4096", "4 256 4096", "2 256 4096", "4 16 4096", "4 256 1024", "4 256 256", "4 256 64")]
    public string Case { get; set; } = "";

    /// <summary>Weights.</summary>
    public int Length => Side * Rows;

    private int Rows => Part(2);

    /// <summary>Allocates and packs.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        Accelerator accelerator = _session.Accelerator;
        var layout = new CodebookLayout(Rows, Side, new CodeFormat(Part(1)), Part(0), scales: WeightScope.Rows);
        var index = new byte[layout.CodeCount];
        var random = new Random(1);
        for (int i = 0; i < index.Length; i++)
        {
            index[i] = (byte)random.Next(layout.Codes);
        }

        using MemoryBuffer1D<byte, Stride1D.Dense> codes = accelerator.Allocate1D(index);
        _packed = accelerator.Allocate1D<byte>(layout.PackedBytes);
        new Pack(accelerator, layout).Run(_session.Stream, codes.View, _packed.View);
        _session.Synchronize();
        _codebook = Bench.Tensor(_session, layout.CodebookLength, 2);
        _scale = Bench.Tensor(_session, Rows, 3);
        _x = Bench.Tensor(_session, Side * Many, 4);
        _y = accelerator.Allocate1D<float>(Rows * Many);
        _sums = new QuantizedProduct(accelerator, layout, Many, QuantizedProductWay.PartialSums);
        _slabs = new QuantizedProduct(accelerator, layout, Many, QuantizedProductWay.Slabs);
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _sums.Dispose();
        _slabs.Dispose();
        _packed.Dispose();
        _codebook.Dispose();
        _scale.Dispose();
        _x.Dispose();
        _y.Dispose();
        _session.Dispose();
    }

    /// <summary>One vector, partial sums.</summary>
    [Benchmark(Baseline = true)]
    public void Vector() => Multiply(_sums, 1);

    /// <summary>One vector, rows dequantized.</summary>
    [Benchmark]
    public void VectorOfSlabs() => Multiply(_slabs, 1);

    /// <summary>Sixteen vectors, partial sums.</summary>
    [Benchmark]
    public void Sixteen() => Multiply(_sums, Many);

    /// <summary>Sixteen vectors, rows dequantized.</summary>
    [Benchmark]
    public void SixteenOfSlabs() => Multiply(_slabs, Many);

    private int Part(int part) => int.Parse(Case.Split(' ')[part], System.Globalization.CultureInfo.InvariantCulture);

    private void Multiply(QuantizedProduct product, int n)
    {
        product.Multiply(
            _session.Stream, _x.View.SubView(0, n * Side), n, _packed.View, _codebook.View, _scale.View,
            _y.View.SubView(0, n * Rows));
        _session.Synchronize();
    }
}
