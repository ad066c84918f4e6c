using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Optimizers;
using Kernels.Perf.Support;

namespace Kernels.Perf.Optimizers;

/// <summary>Optimizers that look at a tensor or a block as a whole, beside AdamW, F32.</summary>
public class WholeTensorBenchmarks
{
    private const int Steps = 8;
    private const int Columns = 4096;

    private readonly AdamWOptions _adamWOptions = new();
    private readonly AdaGradNormOptions _adaGradNormOptions = new();
    private readonly LambOptions _lambOptions = new();
    private readonly AdafactorOptions _adafactorOptions = new();
    private Session _session = null!;
    private MemoryBuffer1D<float, Stride1D.Dense>[] _tensors = [];
    private MemoryBuffer1D<byte, Stride1D.Dense>[] _codes = [];
    private MemoryBuffer1D<float, Stride1D.Dense> _sum = null!;
    private UpdateLauncher _adamW = null!;
    private EightBitAdamLauncher _eightBit = null!;
    private AdaGradNorm _adaGradNorm = null!;
    private Lamb _lamb = null!;
    private Adafactor _matrix = null!;
    private Adafactor _vector = null!;

    /// <summary>Parameters; a multiple of 4096.</summary>
    [Params(8_388_608)]
    public int Length { get; set; }

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        Accelerator accelerator = _session.Accelerator;
        _tensors = [.. Enumerable.Range(0, 4).Select(i => Bench.Tensor(_session, Length, i))];
        _tensors[3].CopyFromCPU(Array.ConvertAll(_tensors[3].GetAsArray1D(), Math.Abs));
        _codes = [accelerator.Allocate1D<byte>(Length), accelerator.Allocate1D<byte>(Length)];
        Array.ForEach(_codes, c => c.MemSetToZero());
        _sum = accelerator.Allocate1D(new float[1]);
        _adamW = new UpdateLauncher(accelerator, _adamWOptions);
        _eightBit = new EightBitAdamLauncher(accelerator, _adamWOptions);
        _adaGradNorm = new AdaGradNorm(accelerator, Length);
        _lamb = new Lamb(accelerator, Length);
        _matrix = new Adafactor(accelerator, Length / Columns, Columns);
        _vector = new Adafactor(accelerator, Length);
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        Array.ForEach(_tensors, t => t.Dispose());
        Array.ForEach(_codes, c => c.Dispose());
        _sum.Dispose();
        _adaGradNorm.Dispose();
        _lamb.Dispose();
        _matrix.Dispose();
        _vector.Dispose();
        _session.Dispose();
    }

    /// <summary>AdamW: one pass, moments in F32.</summary>
    [Benchmark(Baseline = true, OperationsPerInvoke = Steps), Moves(28)]
    public void AdamW() => Run(step => _adamW.Step(
        _session.Stream, _tensors[0].View, _tensors[1].View, [_tensors[2].View, _tensors[3].View], step));

    /// <summary>AdamW with moments in 8 bits and a scale for each 256.</summary>
    [Benchmark(OperationsPerInvoke = Steps), Moves(16.0625)]
    public void EightBitAdamW()
    {
        long scales = EightBitAdamLauncher.ScaleCount(Length);
        Run(step => _eightBit.Step(
            _session.Stream, _tensors[0].View, _tensors[1].View, _codes[0].View, _codes[1].View,
            _tensors[2].View.SubView(0, scales), _tensors[3].View.SubView(0, scales), step));
    }

    /// <summary>AdaGradNorm: the norm of the gradient, then the step.</summary>
    [Benchmark(OperationsPerInvoke = Steps), Moves(16)]
    public void AdaGradNorm() => Run(_ => _adaGradNorm.Step(
        _session.Stream, _tensors[0].View, _tensors[1].View, _sum.View, 1, _adaGradNormOptions));

    /// <summary>LAMB: moments and norms, then the step.</summary>
    [Benchmark(OperationsPerInvoke = Steps), Moves(40)]
    public void Lamb() => Run(step => _lamb.Step(
        _session.Stream, _tensors[0].View, _tensors[1].View, _tensors[2].View, _tensors[3].View, step, _lambOptions));

    /// <summary>Adafactor of a matrix, whose state is a row and a column.</summary>
    [Benchmark(OperationsPerInvoke = Steps), Moves(28)]
    public void AdafactorMatrix() => Run(step => _matrix.Step(
        _session.Stream, _tensors[0].View, _tensors[1].View, _tensors[3].View.SubView(0, _matrix.RowVarianceLength),
        _tensors[3].View.SubView(_matrix.RowVarianceLength, _matrix.ColumnVarianceLength), step, _adafactorOptions));

    /// <summary>Adafactor of a vector.</summary>
    [Benchmark(OperationsPerInvoke = Steps), Moves(40)]
    public void AdafactorVector() => Run(step => _vector.Step(
        _session.Stream, _tensors[0].View, _tensors[1].View, _tensors[3].View, default, step, _adafactorOptions));

    private void Run(Action<int> step)
    {
        for (int i = 1; i <= Steps; i++)
        {
            step(i);
        }

        _session.Synchronize();
    }
}
