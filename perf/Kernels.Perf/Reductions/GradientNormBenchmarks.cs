using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Optimizers;
using Kernels.Perf.Support;

namespace Kernels.Perf.Reductions;

/// <summary>The norm of a gradient, which neither overflows nor underflows.</summary>
public class GradientNormBenchmarks
{
    private const int Runs = 16;
    private const int Parts = 256;

    private Session _session = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _gradient = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _numbers = null!;
    private GradientNorm _norm = null!;
    private LossScaler _scaler = null!;
    private TensorView[] _parts = [];

    /// <summary>Elements of the gradient.</summary>
    [Params(8_388_608)]
    public int Length { get; set; }

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        _gradient = Bench.Tensor(_session, Length, 1);
        _numbers = _session.Accelerator.Allocate1D<float>(3);
        _norm = new GradientNorm(_session.Accelerator, Length, Parts);
        _scaler = new LossScaler(_session.Accelerator);
        int part = Length / Parts;
        _parts = [.. Enumerable.Range(0, Parts).Select(i => (TensorView)_gradient.View.SubView(i * part, part))];
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _gradient.Dispose();
        _numbers.Dispose();
        _norm.Dispose();
        _scaler.Dispose();
        _session.Dispose();
    }

    /// <summary>One tensor.</summary>
    [Benchmark(OperationsPerInvoke = Runs), Moves(4)]
    public void OneTensor()
    {
        for (int i = 0; i < Runs; i++)
        {
            _norm.Norm(_session.Stream, _gradient.View, _numbers.View.SubView(0, 1));
        }

        _session.Synchronize();
    }

    /// <summary>The same elements as 256 tensors.</summary>
    [Benchmark(OperationsPerInvoke = Runs), Moves(4)]
    public void ManyTensors()
    {
        for (int i = 0; i < Runs; i++)
        {
            _norm.Norm(_session.Stream, _parts, _numbers.View.SubView(0, 1));
        }

        _session.Synchronize();
    }

    /// <summary>Norm, clip coefficient, finite check and the loss scale's next value, all on the device.</summary>
    [Benchmark(OperationsPerInvoke = Runs), Moves(4)]
    public void ControlAndScale()
    {
        for (int i = 0; i < Runs; i++)
        {
            _norm.Control(
                _session.Stream, [_gradient.View], _numbers.View.SubView(0, 1), _numbers.View.SubView(1, 2), 1,
                1.0 / 1024);
            _scaler.UpdateOnDevice(_session.Stream, _numbers.View.SubView(1, 2));
        }

        _session.Synchronize();
    }
}
