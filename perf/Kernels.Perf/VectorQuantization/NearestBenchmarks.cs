using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Perf.Support;
using Kernels.VectorQuantization;

namespace Kernels.Perf.VectorQuantization;

/// <summary>The nearest of many codes, squared L2.</summary>
public partial class NearestBenchmarks
{
    private Session _session = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _rows = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _codes = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _distance = null!;
    private MemoryBuffer1D<int, Stride1D.Dense> _index = null!;
    private NearestCode _nearest = null!;
    private NearestCode _certified = null!;
    private NearestCode _top = null!;
    private MemoryBuffer1D<int, Stride1D.Dense> _indices = null!;

    /// <summary>Rows, codes and length of a code.</summary>
    public readonly record struct Shape(int Rows, int Codes, int Dimension)
    {
        /// <inheritdoc/>
        public override string ToString() => $"{Rows} x {Codes} x {Dimension}";
    }

    /// <summary>The shapes of the field: codebooks of LlamaGen, VQGAN-LC and FVQ.</summary>
    public static IEnumerable<Shape> Shapes =>
    [
        new(4096, 16_384, 8), new(2048, 16_384, 32), new(2048, 16_384, 64), new(1024, 16_384, 256), new(512, 262_144, 8),
        new(256, 262_144, 64),
    ];

    /// <summary>What is searched.</summary>
    [ParamsSource(nameof(Shapes))]
    public Shape Sizes { get; set; }

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        _rows = Bench.Tensor(_session, (long)Sizes.Rows * Sizes.Dimension, 1);
        _codes = Bench.Tensor(_session, (long)Sizes.Codes * Sizes.Dimension, 2);
        _distance = _session.Accelerator.Allocate1D<float>(Sizes.Rows);
        _index = _session.Accelerator.Allocate1D<int>(Sizes.Rows);
        _nearest = new NearestCode(_session.Accelerator, Sizes.Rows, Sizes.Codes, Sizes.Dimension);
        _certified = new NearestCode(
            _session.Accelerator, Sizes.Rows, Sizes.Codes, Sizes.Dimension, certified: true);
        _top = new NearestCode(_session.Accelerator, Sizes.Rows, Sizes.Codes, Sizes.Dimension, top: 10);
        _indices = _session.Accelerator.Allocate1D<int>(10L * Sizes.Rows);
        SetupPeers(_rows.GetAsArray1D(), _codes.GetAsArray1D());
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _nearest.Dispose();
        _certified.Dispose();
        _top.Dispose();
        _indices.Dispose();
        _rows.Dispose();
        _codes.Dispose();
        _distance.Dispose();
        _index.Dispose();
        _session.Dispose();
    }

    /// <summary>Index and distance.</summary>
    [Benchmark(Baseline = true)]
    public void Nearest() => Search(_nearest);

    /// <summary>The same, proven.</summary>
    [Benchmark]
    public void Certified() => Search(_certified);

    /// <summary>The ten nearest.</summary>
    [Benchmark]
    public void Top10()
    {
        _top.Search(_session.Stream, _rows.View, _codes.View, _indices.View, Sizes.Rows);
        _session.Synchronize();
    }

    private void Search(NearestCode nearest)
    {
        nearest.Search(_session.Stream, _rows.View, _codes.View, _index.View, Sizes.Rows, _distance.View);
        _session.Synchronize();
    }

    partial void SetupPeers(float[] rows, float[] codes);
}
