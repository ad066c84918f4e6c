using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Optimizers;
using Kernels.Perf.Support;

namespace Kernels.Perf.Optimizers;

/// <summary>One tensor, F32, against a probe that moves the same bytes in place.</summary>
public class OptimizerStepBenchmarks
{
    private const int Steps = 8;

    private readonly Dictionary<string, Updater> _updaters = [];
    private readonly AdamWOptions _adamW = new();
    private readonly AdaBeliefOptions _adaBelief = new() { Rectify = false };
    private readonly DiffGradOptions _diffGrad = new();
    private readonly SgdOptions _sgd = new() { Momentum = 0.9 };
    private readonly LionOptions _lion = new();
    private readonly AdaGradOptions _adaGrad = new();
    private readonly RmsPropOptions _rmsProp = new();
    private readonly AdamOptions _amsGrad = new() { AmsGrad = true };
    private Session _session = null!;
    private MemoryBuffer1D<float, Stride1D.Dense>[] _tensors = [];

    /// <summary>Parameters.</summary>
    [Params(8_388_608, 67_108_864)]
    public int Length { get; set; }

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        _tensors = [.. Enumerable.Range(0, 5).Select(i => Bench.Tensor(_session, Length, i))];
        // Squares are not negative.
        _tensors[3].CopyFromCPU(Array.ConvertAll(_tensors[3].GetAsArray1D(), Math.Abs));
        _tensors[4].CopyFromCPU(Array.ConvertAll(_tensors[4].GetAsArray1D(), Math.Abs));
        _tensors[2].CopyFromCPU(Array.ConvertAll(_tensors[2].GetAsArray1D(), Math.Abs));
        _updaters["two"] = Probes.Two.Load(_session.Accelerator);
        _updaters["three"] = Probes.Three.Load(_session.Accelerator);
        foreach (ElementwiseOptions options in new ElementwiseOptions[]
        {
            _adamW, _adaBelief, _diffGrad, _sgd, _lion, _adaGrad, _rmsProp, _amsGrad,
        })
        {
            _updaters[Name(options)] = options.Form.Load(_session.Accelerator);
        }
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        Array.ForEach(_tensors, t => t.Dispose());
        _session.Dispose();
    }

    /// <summary>Floor of 28 bytes.</summary>
    [Benchmark(OperationsPerInvoke = Steps), Moves(28)]
    public void Probe28() => Run(_updaters["two"], _adamW, 2);

    /// <summary>AdamW.</summary>
    [Benchmark(OperationsPerInvoke = Steps), Moves(28)]
    public void AdamW() => Run(_updaters[Name(_adamW)], _adamW, 2);

    /// <summary>AdaBelief.</summary>
    [Benchmark(OperationsPerInvoke = Steps), Moves(28)]
    public void AdaBelief() => Run(_updaters[Name(_adaBelief)], _adaBelief, 2);

    /// <summary>Floor of 36 bytes.</summary>
    [Benchmark(OperationsPerInvoke = Steps), Moves(36)]
    public void Probe36() => Run(_updaters["three"], _adamW, 3);

    /// <summary>diffGrad.</summary>
    [Benchmark(OperationsPerInvoke = Steps), Moves(36)]
    public void DiffGrad() => Run(_updaters[Name(_diffGrad)], _diffGrad, 3);

    /// <summary>AMSGrad.</summary>
    [Benchmark(OperationsPerInvoke = Steps), Moves(36)]
    public void AmsGrad() => Run(_updaters[Name(_amsGrad)], _amsGrad, 3);

    /// <summary>SGD with momentum.</summary>
    [Benchmark(OperationsPerInvoke = Steps), Moves(20)]
    public void SgdMomentum() => Run(_updaters[Name(_sgd)], _sgd, 1);

    /// <summary>Lion.</summary>
    [Benchmark(OperationsPerInvoke = Steps), Moves(20)]
    public void Lion() => Run(_updaters[Name(_lion)], _lion, 1);

    /// <summary>AdaGrad.</summary>
    [Benchmark(OperationsPerInvoke = Steps), Moves(20)]
    public void AdaGrad() => Run(_updaters[Name(_adaGrad)], _adaGrad, 1);

    /// <summary>RMSProp.</summary>
    [Benchmark(OperationsPerInvoke = Steps), Moves(20)]
    public void RmsProp() => Run(_updaters[Name(_rmsProp)], _rmsProp, 1);

    private void Run(Updater updater, ElementwiseOptions options, int state)
    {
        UpdateCall call = new()
        {
            P = _tensors[0].View,
            G = _tensors[1].View,
            A = _tensors[2].View,
            B = state > 1 ? _tensors[3].View : default(ArrayView<float>),
            C = state > 2 ? _tensors[4].View : default(ArrayView<float>),
            GradientFactor = 1,
            Step = 100,
        };
        for (int i = 0; i < Steps; i++)
        {
            updater.Step(_session.Stream, call, options);
        }

        _session.Synchronize();
    }

    private static string Name(ElementwiseOptions options) =>
        options is AdamOptions { AmsGrad: true } ? "AmsGrad" : options.GetType().Name;
}
