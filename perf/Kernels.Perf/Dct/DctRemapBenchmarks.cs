using BenchmarkDotNet.Attributes;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Dct;
using Kernels.Perf.Support;

namespace Kernels.Perf.Dct;

/// <summary>The two moments of Adam on their way to other columns: [2048, 128] each, half of the columns stay.</summary>
public partial class DctRemapBenchmarks
{
    private const int Runs = 8;
    private const int Size = 2048;
    private const int Rank = 128;

    private Session _session = null!;
    private MemoryBuffer1D<float, Stride1D.Dense>[] _states = [];
    private MemoryBuffer1D<int, Stride1D.Dense> _previous = null!;
    private MemoryBuffer1D<int, Stride1D.Dense> _current = null!;
    private ColumnSelector _selector = null!;

    /// <summary>Elements of a state.</summary>
    [Params(Size * Rank)]
    public int Length { get; set; }

    /// <summary>Allocates and loads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _session = Bench.Open();
        _states = [.. Enumerable.Range(0, 4).Select(i => Bench.Tensor(_session, Length, i))];
        int[] previous = [.. Enumerable.Range(0, Rank).Select(i => 6 * i)];
        int[] current = [.. previous.Select((j, i) => i % 2 == 0 ? j : j + 1)];
        _previous = _session.Accelerator.Allocate1D(previous);
        _current = _session.Accelerator.Allocate1D(current);
        _selector = new ColumnSelector(_session.Accelerator, Size, Size, Rank);
        SetupPeers(_states[0].GetAsArray1D(), _states[1].GetAsArray1D(), previous, current);
    }

    /// <summary>Releases.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _selector.Dispose();
        Array.ForEach(_states, s => s.Dispose());
        _previous.Dispose();
        _current.Dispose();
        _session.Dispose();
    }

    /// <summary>Both: read once and written once, no product.</summary>
    [Benchmark(Baseline = true, OperationsPerInvoke = Runs), Moves(16)]
    public void Remap()
    {
        for (int i = 0; i < Runs; i++)
        {
            _selector.Remap(_session.Stream, _states[0].View, _previous.View, _current.View, _states[2].View);
            _selector.Remap(_session.Stream, _states[1].View, _previous.View, _current.View, _states[3].View);
        }

        _session.Synchronize();
    }

    partial void SetupPeers(float[] mean, float[] square, int[] previous, int[] current);
}
