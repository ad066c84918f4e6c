#if PEERS
using BenchmarkDotNet.Attributes;
using static TorchSharp.torch;

namespace Kernels.Perf.Quantization;

public partial class PackedBenchmarks
{
    private TorchPacked _torch = null!;

    /// <summary>TorchSharp's chain.</summary>
    [Benchmark]
    public float TorchSharpChain()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return _torch.Weights()[0, 0].item<float>();
    }

    partial void SetupPeers(byte[] index, float[] codebook, float[] scale) =>
        _torch = new TorchPacked(index, codebook, scale);
}
#endif
