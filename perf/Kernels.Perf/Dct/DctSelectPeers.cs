#if PEERS
using BenchmarkDotNet.Attributes;
using Kernels.Perf.Support;
using static TorchSharp.torch;

namespace Kernels.Perf.Dct;

public partial class DctSelectBenchmarks
{
    private Tensor _torchG = null!;
    private TorchDct _torchDct = null!;

    /// <summary>TorchSharp: product with the matrix of the basis, norms, topk, gathering.</summary>
    [Benchmark, ComputesProductOfSquares]
    public float TorchSharpProduct()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return Chosen(_torchDct.ByProduct(_torchG))[0, 0].item<float>();
    }

    /// <summary>TorchSharp: Makhoul's way through its real Fourier transform; the rest the same.</summary>
    [Benchmark, ComputesTransforms]
    public float TorchSharpFourier()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return Chosen(_torchDct.ByFourier(_torchG))[0, 0].item<float>();
    }

    /// <summary>TorchSharp: the product for the way back.</summary>
    [Benchmark]
    public float TorchSharpBackProduct()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor basis = _torchDct.Matrix.narrow(1, 0, Rank);
        return _torchG.narrow(1, 0, Rank).mm(basis.t())[0, 0].item<float>();
    }

    partial void SetupPeers(float[] g)
    {
        _torchG = tensor(g).reshape(Size, Size);
        _torchDct = new TorchDct(Size);
    }

    private Tensor Chosen(Tensor s)
    {
        (Tensor _, Tensor index) = s.norm(0, false, 1).topk(Rank);
        return s.index_select(1, index.sort().Values);
    }
}
#endif
