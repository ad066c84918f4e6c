using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Linear;
using Kernels.Perf.Support;

namespace Kernels.Perf.Linear;

/// <summary>Products of square matrices, F32: forward, and the two products of the way back.</summary>
public class MatMulBenchmarks
{
    private Session _session = null!;
    private MemoryBuffer1D<float, Stride1D.Dense>[] _tensors = [];
    private MatMul _matMul = null!;

    /// <summary>Rows and columns of every matrix.</summary>
    [Params(256, 1024)]
    public int Length { get; set; }

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        _tensors = [.. Enumerable.Range(0, 3).Select(i => Bench.Tensor(_session, (long)Length * Length, i))];
        _matMul = new MatMul(_session.Accelerator);
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        Array.ForEach(_tensors, t => t.Dispose());
        _session.Dispose();
    }

    /// <summary>c = a b.</summary>
    [Benchmark, ComputesProduct]
    public void Product() => Run(false, false);

    /// <summary>y = gelu(x w^T + bias): a layer forward.</summary>
    [Benchmark, ComputesProduct]
    public void Layer() => Run(false, true, _tensors[0].View.SubView(0, Length), Activation.Gelu);

    /// <summary>dw = dy^T x.</summary>
    [Benchmark, ComputesProduct]
    public void GradientOfWeights() => Run(true, false);

    private void Run(
        bool transposeA, bool transposeB, TensorView bias = default, Activation activation = Activation.None)
    {
        _matMul.Multiply(
            _session.Stream, _tensors[0].View, transposeA, _tensors[1].View, transposeB, _tensors[2].View, Length,
            Length, Length, bias, activation);
        _session.Synchronize();
    }
}
