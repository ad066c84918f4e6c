using BenchmarkDotNet.Attributes;
using Kernels.Perf.Support;
using Kernels.Quantization;

namespace Kernels.Perf.Quantization;

/// <summary>Joint learning of a layer of 512 x 512 at 2 bits with 1,024 rows of activations and a scale for each row.</summary>
public class JointQuantizerBenchmarks
{
    private const int Size = 512;
    private const int Samples = 1_024;

    private readonly float[] _codebook = [-1.5f, -0.5f, 0.5f, 1.5f];
    private Session _session = null!;
    private JointQuantizer _steps = null!;
    private JointQuantizer _rounds = null!;
    private float[] _weights = null!;
    private float[] _activations = null!;
    private byte[] _index = null!;

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        _weights = Bench.Values((long)Size * Size, 1);
        _activations = Bench.Values((long)Samples * Size, 2);
        _index = [.. _weights.Select(w => (byte)Math.Clamp((int)MathF.Floor((w * 4) + 2), 0, 3))];
        var layout = new CodebookLayout(Size, Size, new CodeFormat(4), 1, null, WeightScope.Rows);
        _steps = new JointQuantizer(_session, layout, new JointQuantizerOptions { Steps = 10, Rounds = 0 }, Samples);
        _rounds = new JointQuantizer(_session, layout, new JointQuantizerOptions { Steps = 0, Rounds = 1 }, Samples);
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _steps.Dispose();
        _rounds.Dispose();
        _session.Dispose();
    }

    /// <summary>Ten steps of gradient descent.</summary>
    [Benchmark(Baseline = true)]
    public void Steps() => Learn(_steps);

    /// <summary>A round: a descent along all weights, the best codes and the best scales.</summary>
    [Benchmark]
    public void Rounds() => Learn(_rounds);

    private void Learn(JointQuantizer quantizer)
    {
        float[] scale = new float[Size];
        scale.AsSpan().Fill(0.25f);
        quantizer.Learn(_weights, [.. _index], [.. _codebook], scale, _activations);
    }
}
