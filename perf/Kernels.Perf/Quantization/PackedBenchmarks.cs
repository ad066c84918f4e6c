using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Perf.Support;
using Kernels.Quantization;

namespace Kernels.Perf.Quantization;

/// <summary>A packed matrix of 4096 x 4096 weights with a scale for each row: unpacked, dequantized, packed again.</summary>
public partial class PackedBenchmarks
{
    private const int Side = 4096;

    private Session _session = null!;
    private MemoryBuffer1D<byte, Stride1D.Dense> _index = null!;
    private MemoryBuffer1D<byte, Stride1D.Dense> _packed = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _codebook = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _scale = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _w = null!;
    private Pack _pack = null!;
    private Unpack _unpack = null!;
    private Dequantize _dequantize = null!;

    /// <summary>Codes of the codebook.</summary>
    [Params(16, 8, 4, 5)]
    public int Codes { get; set; }

    /// <summary>Weights.</summary>
    public int Length => Side * Side;

    /// <summary>Allocates and packs.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        Accelerator accelerator = _session.Accelerator;
        var layout = new CodebookLayout(Side, Side, CodeFormat.Densest(Codes), scales: WeightScope.Rows);
        var index = new byte[Length];
        var random = new Random(1);
        for (int i = 0; i < index.Length; i++)
        {
            index[i] = (byte)random.Next(Codes);
        }

        _index = accelerator.Allocate1D(index);
        _packed = accelerator.Allocate1D<byte>(layout.PackedBytes);
        _codebook = Bench.Tensor(_session, Codes, 2);
        _scale = Bench.Tensor(_session, Side, 3);
        _w = accelerator.Allocate1D<float>(Length);
        _pack = new Pack(accelerator, layout);
        _unpack = new Unpack(accelerator, layout);
        _dequantize = new Dequantize(accelerator, layout);
        Packing();
        SetupPeers(index, _codebook.GetAsArray1D(), _scale.GetAsArray1D());
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _dequantize.Dispose();
        _index.Dispose();
        _packed.Dispose();
        _codebook.Dispose();
        _scale.Dispose();
        _w.Dispose();
        _session.Dispose();
    }

    /// <summary>Bytes to packed codes.</summary>
    [Benchmark]
    [Moves(1)]
    public void Packing()
    {
        _pack.Run(_session.Stream, _index.View, _packed.View);
        _session.Synchronize();
    }

    /// <summary>Packed codes to bytes.</summary>
    [Benchmark]
    [Moves(1)]
    public void Unpacking()
    {
        _unpack.Run(_session.Stream, _packed.View, _index.View);
        _session.Synchronize();
    }

    /// <summary>Packed codes to weights: the weights are written.</summary>
    [Benchmark(Baseline = true)]
    [Moves(4)]
    public void Dequantizing()
    {
        _dequantize.Run(_session.Stream, _packed.View, _codebook.View, _scale.View, _w.View);
        _session.Synchronize();
    }

    /// <summary>The floor: as many floats set to zero.</summary>
    [Benchmark]
    [Moves(4)]
    public void StoreZeros()
    {
        _w.MemSetToZero(_session.Stream);
        _session.Synchronize();
    }

    partial void SetupPeers(byte[] index, float[] codebook, float[] scale);
}
