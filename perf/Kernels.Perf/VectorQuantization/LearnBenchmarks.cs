using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Perf.Support;
using Kernels.VectorQuantization;

namespace Kernels.Perf.VectorQuantization;

/// <summary>What learns a codebook from the rows that chose its codes.</summary>
public partial class LearnBenchmarks
{
    private Session _session = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _rows = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _codes = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _size = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _sum = null!;
    private MemoryBuffer1D<int, Stride1D.Dense> _index = null!;
    private MemoryBuffer1D<int, Stride1D.Dense> _counts = null!;
    private SegmentSum _segments = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _usage = null!;
    private Ema _ema = null!;
    private Restart _restart = null!;
    private Usage _measure = null!;
    private KMeans _kMeans = null!;
    private int _step;

    /// <summary>Rows, codes, length of a code, and how many of the codes are chosen at all.</summary>
    public readonly record struct Shape(int Rows, int Codes, int Dimension, int Used)
    {
        /// <inheritdoc/>
        public override string ToString() => $"{Rows} x {Codes} x {Dimension}, {Used} used";
    }

    /// <summary>A codebook in use, and one that has collapsed.</summary>
    public static IEnumerable<Shape> Shapes =>
    [
        new(4096, 16_384, 64, 16_384), new(16_384, 16_384, 64, 16_384), new(16_384, 16_384, 64, 1),
        new(32_768, 16_384, 8, 16_384),
    ];

    /// <summary>What is learned from.</summary>
    [ParamsSource(nameof(Shapes))]
    public Shape Sizes { get; set; }

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        var random = new Random(3);
        int[] index = [.. Enumerable.Range(0, Sizes.Rows).Select(_ => random.Next(Sizes.Used))];
        long numbers = (long)Sizes.Codes * Sizes.Dimension;
        _rows = Bench.Tensor(_session, (long)Sizes.Rows * Sizes.Dimension, 1);
        _codes = Bench.Tensor(_session, numbers, 2);
        _sum = Bench.Tensor(_session, numbers, 2);
        _size = _session.Accelerator.Allocate1D(Enumerable.Repeat(1f, Sizes.Codes).ToArray());
        _index = _session.Accelerator.Allocate1D(index);
        _counts = _session.Accelerator.Allocate1D<int>(Sizes.Codes);
        _segments = new SegmentSum(_session.Accelerator, Sizes.Rows, Sizes.Codes, Sizes.Dimension);
        _ema = new Ema(_session.Accelerator, Sizes.Rows, Sizes.Codes, Sizes.Dimension);
        _usage = _session.Accelerator.Allocate1D<float>(2);
        _restart = new Restart(_session.Accelerator, Sizes.Rows, Sizes.Codes, Sizes.Dimension);
        _measure = new Usage(_session.Accelerator, Sizes.Codes);
        var once = new KMeansOptions { Iterations = 1, ChooseCentres = false };
        _kMeans = new KMeans(_session.Accelerator, Sizes.Rows, Sizes.Codes, Sizes.Dimension, once);
        SetupPeers(_rows.GetAsArray1D(), index);
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _segments.Dispose();
        _ema.Dispose();
        _restart.Dispose();
        _measure.Dispose();
        _kMeans.Dispose();
        _usage.Dispose();
        _rows.Dispose();
        _codes.Dispose();
        _size.Dispose();
        _sum.Dispose();
        _index.Dispose();
        _counts.Dispose();
        _session.Dispose();
    }

    /// <summary>Sums and counts.</summary>
    [Benchmark(Baseline = true)]
    public void SegmentSum()
    {
        _segments.Sum(_session.Stream, _rows.View, _index.View, _sum.View, _counts.View, Sizes.Rows);
        _session.Synchronize();
    }

    /// <summary>Sums, moving means, smoothing, codes.</summary>
    [Benchmark]
    public void EmaUpdate()
    {
        _ema.Update(
            _session.Stream, _rows.View, _index.View, _codes.View, _size.View, _sum.View, Sizes.Rows);
        _session.Synchronize();
    }

    /// <summary>Codes without a row for a while start again.</summary>
    [Benchmark]
    public void RestartDead()
    {
        _restart.Run(
            _session.Stream, _rows.View, _codes.View, _size.View, _sum.View, Sizes.Rows, _step++, _index.View);
        _session.Synchronize();
    }

    /// <summary>Both numbers from the counts.</summary>
    [Benchmark]
    public void UsageAndPerplexity()
    {
        _measure.Measure(_session.Stream, _counts.View, _usage.View.SubView(0, 1), _usage.View.SubView(1, 1));
        _session.Synchronize();
    }

    /// <summary>One step of Lloyd's: nearly all of it is the search.</summary>
    [Benchmark]
    public void KMeansStep()
    {
        _kMeans.Fit(_session.Stream, _rows.View, _codes.View, Sizes.Rows);
        _session.Synchronize();
    }

    partial void SetupPeers(float[] rows, int[] index);
}
