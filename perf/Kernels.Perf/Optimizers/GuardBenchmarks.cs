using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Optimizers;
using Kernels.Perf.Support;

namespace Kernels.Perf.Optimizers;

/// <summary>AdamW alone, and with unscaling, clipping by the global norm and the skip of what is not finite.</summary>
[IterationCount(41)]
public class GuardBenchmarks
{
    private const int Steps = 8;

    private Session _session = null!;
    private MemoryBuffer1D<float, Stride1D.Dense>[] _tensors = [];
    private MemoryBuffer1D<float, Stride1D.Dense> _numbers = null!;
    private UpdateLauncher _launcher = null!;
    private GradientNorm _norm = null!;

    /// <summary>Parameters.</summary>
    [Params(8_388_608)]
    public int Length { get; set; }

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        _tensors = [.. Enumerable.Range(0, 4).Select(i => Bench.Tensor(_session, Length, i))];
        _tensors[3].CopyFromCPU(Array.ConvertAll(_tensors[3].GetAsArray1D(), Math.Abs));
        _numbers = _session.Accelerator.Allocate1D<float>(4);
        _launcher = new UpdateLauncher(_session.Accelerator, new AdamWOptions());
        _norm = new GradientNorm(_session.Accelerator, Length);
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        Array.ForEach(_tensors, t => t.Dispose());
        _numbers.Dispose();
        _norm.Dispose();
        _session.Dispose();
    }

    /// <summary>The step alone.</summary>
    [Benchmark(Baseline = true, OperationsPerInvoke = Steps), Moves(28)]
    public void Plain()
    {
        for (int i = 0; i < Steps; i++)
        {
            Step(default);
        }

        _session.Synchronize();
    }

    /// <summary>Norm, control and step.</summary>
    [Benchmark(OperationsPerInvoke = Steps), Moves(32)]
    public void UnscaleClipAndSkip()
    {
        for (int i = 0; i < Steps; i++)
        {
            ArrayView<float> control = _numbers.View.SubView(2, 2);
            _norm.Control(_session.Stream, [_tensors[1].View], _numbers.View.SubView(0, 1), control, 1, 1.0 / 1024);
            Step(new UpdateExtras { Control = control });
        }

        _session.Synchronize();
    }

    private void Step(UpdateExtras extras) => _launcher.Step(
        _session.Stream, _tensors[0].View, _tensors[1].View, [_tensors[2].View, _tensors[3].View], 100, null, extras);
}
