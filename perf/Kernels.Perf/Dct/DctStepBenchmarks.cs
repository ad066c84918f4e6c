using BenchmarkDotNet.Attributes;
using Kernels.Optimizers;
using Kernels.Perf.Support;

namespace Kernels.Perf.Dct;

/// <summary>
/// A step of a matrix 2048 x 2048 among eight, AdamW, and the optimizers that see it as one, r = n / 16. Eight have half a
/// gigabyte of numbers, gradients and states: no cache has them from one step to the next, as none has in training, where
/// a forward and a backward pass lie between.
/// </summary>
public class DctStepBenchmarks
{
    private const int Layers = 8;
    private const int Size = 2048;
    private const int Rank = Size / 16;

    private Session _session = null!;
    private Optimizer[] _optimizers = [];

    /// <summary>Elements of the matrix.</summary>
    [Params(Size * Size)]
    public int Length { get; set; }

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        var random = new Random(1);
        var p = new float[Length];
        var g = new float[Length];
        for (int i = 0; i < Length; i++)
        {
            p[i] = (float)(random.NextDouble() - 0.5);
            g[i] = (float)(random.NextDouble() - 0.5);
        }

        _optimizers =
        [
            Open(Layers, new AdamWOptions(), p, g),
            Open(Layers, new DctAdamWOptions { Rank = Rank }, p, g),
            Open(Layers, new DctAdamWOptions { Rank = Rank, Rotate = true, ErrorFeedback = ErrorFeedback.EightBit }, p, g),
            Open(Layers, new TrionOptions { Rank = Rank }, p, g),
            Open(1, new MuonOptions(), p, g),
        ];
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        Array.ForEach(_optimizers, o => o.Dispose());
        _session.Dispose();
    }

    /// <summary>AdamW of all elements.</summary>
    [Benchmark(Baseline = true, OperationsPerInvoke = Layers), Moves(28)]
    public void AdamW() => Run(0);

    /// <summary>DCT-AdamW as published: new columns in every step.</summary>
    [Benchmark(OperationsPerInvoke = Layers), Moves(16)]
    public void DctAdamW() => Run(1);

    /// <summary>With states that move and an error feedback in 8 bits.</summary>
    [Benchmark(OperationsPerInvoke = Layers), Moves(42)]
    public void DctAdamWFeedback() => Run(2);

    /// <summary>Trion: a momentum of all elements, made orthogonal in r columns.</summary>
    [Benchmark(OperationsPerInvoke = Layers), Moves(32)]
    public void Trion() => Run(3);

    /// <summary>Muon: fifteen products of 2048.</summary>
    [Benchmark, Moves(24)]
    public void Muon() => Run(4);

    private Optimizer Open(int layers, OptimizerOptions options, float[] p, float[] g)
    {
        string[] names = [.. Enumerable.Range(0, layers).Select(i => $"layer {i}")];
        var optimizer = new Optimizer(_session, options, [.. names.Select(name => new Parameter(name, p, Size, Size))]);
        Array.ForEach(names, name => optimizer.SetGradient(name, g));
        return optimizer;
    }

    private void Run(int optimizer)
    {
        _optimizers[optimizer].Step();
        _session.Synchronize();
    }
}
