#if PEERS
using BenchmarkDotNet.Attributes;
using static TorchSharp.torch;

namespace Kernels.Perf.Quantization;

public partial class AssignBenchmarks
{
    private Tensor _torchWeights = null!;
    private Tensor _torchCodebook = null!;
    private Tensor _torchMiddles = null!;

    /// <summary>TorchSharp with the matrix of distances, in pieces of 64 rows.</summary>
    [Benchmark]
    public float TorchSharpArgmin()
    {
        using var _ = no_grad();
        long last = 0;
        for (int row = 0; row < Rows; row += 64)
        {
            using var piece = NewDisposeScope(); // its temporaries are of 64 x columns x codes
            using Tensor index = (_torchWeights[TensorIndex.Slice(row, row + 64)].unsqueeze(-1) - _torchCodebook).abs().argmin(-1);
            last = index[0, 0].item<long>();
        }

        return last;
    }

    /// <summary>TorchSharp's own search among the middles.</summary>
    [Benchmark]
    public float TorchSharpBucketize()
    {
        using Tensor index = bucketize(_torchWeights, _torchMiddles, true);
        return index[0, 0].item<int>();
    }

    partial void SetupPeers(float[] weights, float[] codebook)
    {
        set_num_threads(2);
        _torchWeights = tensor(weights).reshape(Rows, Columns);
        _torchCodebook = tensor(codebook);
        _torchMiddles = (_torchCodebook[TensorIndex.Slice(1)] + _torchCodebook[TensorIndex.Slice(null, -1)]) / 2;
    }
}
#endif
