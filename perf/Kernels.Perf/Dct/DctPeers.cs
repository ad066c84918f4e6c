#if PEERS
using BenchmarkDotNet.Attributes;
using Kernels.Perf.Support;
using static TorchSharp.torch;

namespace Kernels.Perf.Dct;

public partial class DctBenchmarks
{
    private Tensor _torchX = null!;
    private TorchDct _torchDct = null!;

    /// <summary>TorchSharp: the product with the matrix of the basis.</summary>
    [Benchmark, ComputesProductOfSquares]
    public float TorchSharpProduct()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return _torchDct.ByProduct(_torchX)[0, 0].item<float>();
    }

    /// <summary>TorchSharp: Makhoul's way through its real Fourier transform.</summary>
    [Benchmark, ComputesTransforms]
    public float TorchSharpFourier()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return _torchDct.ByFourier(_torchX)[0, 0].item<float>();
    }

    partial void SetupPeers(float[] x)
    {
        _torchX = tensor(x).reshape(Size, Size);
        _torchDct = new TorchDct(Size);
    }
}
#endif
