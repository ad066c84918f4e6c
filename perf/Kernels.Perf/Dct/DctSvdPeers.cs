#if PEERS
using BenchmarkDotNet.Attributes;
using static TorchSharp.torch;

namespace Kernels.Perf.Dct;

public partial class DctSvdBenchmarks
{
    private Tensor _torchG = null!;

    /// <summary>TorchSharp, as GaLore: the decomposition, and the product with the first r right vectors.</summary>
    [Benchmark]
    public float TorchSharpSvd()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        (Tensor _, Tensor _, Tensor right) = linalg.svd(_torchG, fullMatrices: false);
        return _torchG.mm(right.narrow(0, 0, Rank).t())[0, 0].item<float>();
    }

    partial void SetupPeers(float[] g)
    {
        set_num_threads(2);
        _torchG = tensor(g).reshape(Size, Size);
    }
}
#endif
