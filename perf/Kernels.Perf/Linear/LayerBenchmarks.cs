using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Linear;
using Kernels.Perf.Support;

namespace Kernels.Perf.Linear;

/// <summary>What a network needs beside products: rows of 1024 elements, F32.</summary>
public class LayerBenchmarks
{
    private const int Runs = 8;
    private const int Columns = 1024;

    private Session _session = null!;
    private MemoryBuffer1D<float, Stride1D.Dense>[] _tensors = [];
    private MemoryBuffer1D<float, Stride1D.Dense> _rows = null!;
    private MemoryBuffer1D<float, Stride1D.Dense> _scratch = null!;
    private MemoryBuffer1D<int, Stride1D.Dense>[] _classes = [];
    private Activations _activations = null!;
    private ColumnSum _columnSum = null!;
    private SoftmaxCrossEntropy _softmax = null!;
    private Predictions _predictions = null!;
    private LayerNorm _layerNorm = null!;

    /// <summary>Elements in all.</summary>
    [Params(4_194_304)]
    public int Length { get; set; }

    private int Rows => Length / Columns;

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        Accelerator accelerator = _session.Accelerator;
        _tensors = [.. Enumerable.Range(0, 3).Select(i => Bench.Tensor(_session, Length, i))];
        _rows = accelerator.Allocate1D<float>(Rows + Columns);
        _scratch = accelerator.Allocate1D<float>(Math.Max(1, ColumnSum.ScratchLength(Rows, Columns)));
        int[] labels = [.. Enumerable.Range(0, Rows).Select(i => i * 7 % Columns)];
        _classes = [accelerator.Allocate1D(labels), accelerator.Allocate1D(labels), accelerator.Allocate1D<int>(1)];
        _activations = new Activations(accelerator);
        _columnSum = new ColumnSum(accelerator);
        _softmax = new SoftmaxCrossEntropy(accelerator);
        _predictions = new Predictions(accelerator);
        _layerNorm = new LayerNorm(accelerator);
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        Array.ForEach(_tensors, t => t.Dispose());
        Array.ForEach(_classes, c => c.Dispose());
        _rows.Dispose();
        _scratch.Dispose();
        _session.Dispose();
    }

    /// <summary>max(x, 0), which memory alone limits.</summary>
    [Benchmark(OperationsPerInvoke = Runs), Moves(8)]
    public void Relu() => Run(() => _activations.Forward(
        _session.Stream, _tensors[0].View, _tensors[1].View, Activation.Relu));

    /// <summary>GELU.</summary>
    [Benchmark(OperationsPerInvoke = Runs), Moves(8)]
    public void Gelu() => Run(() => _activations.Forward(
        _session.Stream, _tensors[0].View, _tensors[1].View, Activation.Gelu));

    /// <summary>The gradient through GELU.</summary>
    [Benchmark(OperationsPerInvoke = Runs), Moves(12)]
    public void GeluBack() => Run(() => _activations.Backward(
        _session.Stream, _tensors[0].View, _tensors[2].View, _tensors[1].View, Activation.Gelu));

    /// <summary>The gradient of a bias.</summary>
    [Benchmark(OperationsPerInvoke = Runs), Moves(4)]
    public void ColumnSums() => Run(() => _columnSum.Sum(
        _session.Stream, _tensors[0].View, _rows.View.SubView(Rows, Columns), Rows, Columns, _scratch.View));

    /// <summary>Losses, their mean and the gradient.</summary>
    [Benchmark(OperationsPerInvoke = Runs), Moves(8)]
    public void CrossEntropy() => Run(() => _softmax.Evaluate(
        _session.Stream, _tensors[0].View, _classes[0].View, _rows.View.SubView(0, Rows),
        _rows.View.SubView(Rows, 1), Rows, Columns, _tensors[1].View));

    /// <summary>The classes of the largest logits, and how many are the labels.</summary>
    [Benchmark(OperationsPerInvoke = Runs), Moves(4)]
    public void Accuracy() => Run(() =>
    {
        _predictions.Predict(_session.Stream, _tensors[0].View, _classes[1].View, Rows, Columns);
        _predictions.Count(_session.Stream, _classes[1].View, _classes[0].View, _classes[2].View);
    });

    /// <summary>Layer normalisation and its gradient.</summary>
    [Benchmark(OperationsPerInvoke = Runs), Moves(20)]
    public void LayerNormBoth() => Run(() =>
    {
        ArrayView<float> factors = _rows.View.SubView(0, Rows);
        _layerNorm.Forward(_session.Stream, _tensors[0].View, _tensors[1].View, factors, Rows, Columns, 1e-6);
        _layerNorm.Backward(
            _session.Stream, _tensors[1].View, factors, _tensors[2].View, _tensors[2].View, Rows, Columns);
    });

    private void Run(Action enqueue)
    {
        for (int i = 0; i < Runs; i++)
        {
            enqueue();
        }

        _session.Synchronize();
    }
}
