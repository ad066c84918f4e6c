#if PEERS
using BenchmarkDotNet.Attributes;
using static TorchSharp.torch;

namespace Kernels.Perf.Quantization;

public partial class RowGroupingBenchmarks
{
    private Tensor _torchWeights = null!;
    private Tensor _torchOrder = null!;

    /// <summary>TorchSharp: rows by their indices.</summary>
    [Benchmark]
    public float TorchSharpRows()
    {
        using Tensor moved = _torchWeights.index_select(0, _torchOrder);
        return moved[0, 0].item<float>();
    }

    partial void SetupPeers(float[] values, int[] order)
    {
        set_num_threads(2);
        _torchWeights = tensor(values).reshape(Rows, Columns);
        _torchOrder = tensor(Array.ConvertAll(order, i => (long)i));
    }
}
#endif
