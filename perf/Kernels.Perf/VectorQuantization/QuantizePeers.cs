#if PEERS
using BenchmarkDotNet.Attributes;
using static TorchSharp.torch;

namespace Kernels.Perf.VectorQuantization;

public partial class QuantizeBenchmarks
{
    private Tensor _torchX = null!;
    private Tensor _torchCodes = null!;
    private Tensor _torchIndex = null!;

    /// <summary>TorchSharp: gather, straight-through output, both mean squares, gradient of the commitment, bincount.</summary>
    [Benchmark]
    public float TorchSharpGather()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor e = _torchCodes.index_select(0, _torchIndex);
        Tensor difference = e - _torchX;
        Tensor output = _torchX + difference;
        Tensor codebook = nn.functional.mse_loss(e, _torchX);
        Tensor commitment = nn.functional.mse_loss(_torchX, e) * 0.25f;
        Tensor gradient = difference * (-0.5f / Length);
        Tensor counts = _torchIndex.bincount(null, Codes);
        return (codebook + commitment).item<float>() + output[0, 0].item<float>() + gradient[0, 0].item<float>()
            + counts[0].item<long>();
    }

    partial void SetupPeers(float[] x, float[] codes, int[] index)
    {
        set_num_threads(2);
        _torchX = tensor(x).reshape(Rows, Dimension);
        _torchCodes = tensor(codes).reshape(Codes, Dimension);
        _torchIndex = tensor(Array.ConvertAll(index, i => (long)i));
    }
}
#endif
