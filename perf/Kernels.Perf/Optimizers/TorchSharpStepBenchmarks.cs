#if PEERS
using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Optimizers;
using Kernels.Perf.Support;
using Kernels.TorchSharp.Optimizers;
using static TorchSharp.torch;
using TorchParameter = global::TorchSharp.Modules.Parameter;

namespace Kernels.Perf.Optimizers;

/// <summary>
/// AdamW in the place of TorchSharp's, on its tensors, beside the same step on tensors of the library's own, both on the
/// host. Between them is the same step on borrowed tensors, each in memory of its own: what it takes longer than the first
/// is the walk over scattered tensors, and what the drop-in takes longer than it is the look at TorchSharp's gradients.
/// </summary>
public class TorchSharpStepBenchmarks
{
    private const int Steps = 8;

    private Session _session = null!;
    private Optimizer _plain = null!;
    private Optimizer _borrowed = null!;
    private MemoryBuffer1D<float, Stride1D.Dense>[] _scattered = null!;
    private KernelOptimizer _dropIn = null!;

    /// <summary>Tensors: 4096 of 256 elements, or one of 8.4M.</summary>
    [Params(4096, 1)]
    public int Tensors { get; set; }

    /// <summary>Parameters in all.</summary>
    public int Length => Tensors * Each;

    private int Each => Tensors == 1 ? 8_388_608 : 256;

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open("cpu");
        float[] values = Bench.Values(Each, 1);
        _plain = new Optimizer(
            _session, new AdamWOptions(),
            [.. Enumerable.Range(0, Tensors).Select(i => new Parameter($"p{i}", values))]);
        var parameters = new List<TorchParameter>();
        for (int i = 0; i < Tensors; i++)
        {
            _plain.SetGradient($"p{i}", values);
            parameters.Add(new TorchParameter(tensor(values)) { grad = tensor(values) });
        }

        _scattered = [.. Enumerable.Range(0, 2 * Tensors).Select(_ => _session.Accelerator.Allocate1D(values))];
        _borrowed = new Optimizer(
            _session, new AdamWOptions(),
            [.. Enumerable.Range(0, Tensors).Select(
                i => new Parameter($"p{i}", _scattered[2 * i].View.AsContiguous(), _scattered[2 * i + 1].View.AsContiguous()))]);
        _dropIn = KernelOptimizers.Create(parameters, new AdamWOptions());
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _dropIn.Dispose();
        _borrowed.Dispose();
        Array.ForEach(_scattered, tensor => tensor.Dispose());
        _plain.Dispose();
        _session.Dispose();
    }

    /// <summary>The library's step.</summary>
    [Benchmark(Baseline = true, OperationsPerInvoke = Steps)]
    public void Plain()
    {
        for (int step = 0; step < Steps; step++)
        {
            _plain.Step();
        }
    }

    /// <summary>The library's step on tensors that it borrows.</summary>
    [Benchmark(OperationsPerInvoke = Steps)]
    public void Borrowed()
    {
        for (int step = 0; step < Steps; step++)
        {
            _borrowed.Step();
        }
    }

    /// <summary>The drop-in's step.</summary>
    [Benchmark(OperationsPerInvoke = Steps)]
    public void DropIn()
    {
        for (int step = 0; step < Steps; step++)
        {
            _dropIn.step();
        }
    }
}
#endif
