#if PEERS
using BenchmarkDotNet.Attributes;
using static TorchSharp.torch;

namespace Kernels.Perf.VectorQuantization;

public partial class NearestBenchmarks
{
    private Tensor _torchRows = null!;
    private Tensor _torchCodes = null!;
    private Tensor _square = null!;

    /// <summary>TorchSharp: |e|^2 - 2 x e^T by addmm, then argmin.</summary>
    [Benchmark]
    public long TorchSharpAddmm()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor squares = (_torchCodes * _torchCodes).sum(1);
        return addmm(squares, _torchRows, _torchCodes.t(), 1, -2).argmin(1)[0].item<long>();
    }

    /// <summary>The limit: a product of 2048 x 2048 matrices by libtorch, whatever the shape.</summary>
    [Benchmark]
    public float LibTorchProduct2048()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return _square.mm(_square)[0, 0].item<float>();
    }

    partial void SetupPeers(float[] rows, float[] codes)
    {
        set_num_threads(2);
        _torchRows = tensor(rows).reshape(Sizes.Rows, Sizes.Dimension);
        _torchCodes = tensor(codes).reshape(Sizes.Codes, Sizes.Dimension);
        _square = rand(2048, 2048);
    }
}
#endif
