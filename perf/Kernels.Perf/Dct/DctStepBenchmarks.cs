using BenchmarkDotNet.Attributes;
using Kernels.Optimizers;
using Kernels.Perf.Support;

namespace Kernels.Perf.Dct;

/// <summary>A step of a matrix 2048 x 2048: AdamW, and the optimizers that see it as one, r = n / 16.</summary>
public class DctStepBenchmarks
{
    private const int Runs = 4;
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

        OptimizerOptions[] options =
        [
            new AdamWOptions(),
            new DctAdamWOptions { Rank = Rank },
            new DctAdamWOptions { Rank = Rank, Rotate = true, ErrorFeedback = ErrorFeedback.EightBit },
            new TrionOptions { Rank = Rank },
            new MuonOptions(),
        ];
        _optimizers = [.. options.Select(o => new Optimizer(_session, o, [new Parameter("w", p, Size, Size)]))];
        foreach (Optimizer optimizer in _optimizers)
        {
            optimizer.SetGradient("w", g);
        }
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        Array.ForEach(_optimizers, o => o.Dispose());
        _session.Dispose();
    }

    /// <summary>AdamW of all elements.</summary>
    [Benchmark(Baseline = true, OperationsPerInvoke = Runs), Moves(28)]
    public void AdamW() => Run(0);

    /// <summary>DCT-AdamW as published: new columns in every step.</summary>
    [Benchmark(OperationsPerInvoke = Runs), Moves(16)]
    public void DctAdamW() => Run(1);

    /// <summary>With states that move and an error feedback in 8 bits.</summary>
    [Benchmark(OperationsPerInvoke = Runs), Moves(42)]
    public void DctAdamWFeedback() => Run(2);

    /// <summary>Trion: a momentum of all elements, made orthogonal in r columns.</summary>
    [Benchmark(OperationsPerInvoke = Runs), Moves(32)]
    public void Trion() => Run(3);

    /// <summary>Muon: fifteen products of 2048.</summary>
    [Benchmark(OperationsPerInvoke = Runs), Moves(24)]
    public void Muon() => Run(4);

    private void Run(int optimizer)
    {
        for (int i = 0; i < Runs; i++)
        {
            _optimizers[optimizer].Step();
        }

        _session.Synchronize();
    }
}
