#if PEERS
using BenchmarkDotNet.Attributes;
using static TorchSharp.torch;

namespace Kernels.Perf.Quantization;

public partial class ProductBenchmarks
{
    private TorchPacked _torch = null!;
    private Tensor _torchX = null!;
    private Tensor _torchOne = null!;
    private Tensor _torchW = null!;

    /// <summary>TorchSharp: weights by the chain, then one vector.</summary>
    [Benchmark]
    public float TorchSharpVector() => Product(_torch.Weights, _torchOne);

    /// <summary>TorchSharp: one vector and F32 weights.</summary>
    [Benchmark]
    public float TorchSharpVectorF32() => Product(() => _torchW, _torchOne);

    /// <summary>TorchSharp: weights by the chain, then sixty-four vectors.</summary>
    [Benchmark]
    public float TorchSharpSixtyFour() => Product(_torch.Weights, _torchX);

    private static float Product(Func<Tensor> weights, Tensor x)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return nn.functional.linear(x, weights()).reshape(-1)[0].item<float>();
    }

    partial void SetupPeers(byte[] index, float[] codebook, float[] scale, float[] x)
    {
        _torch = new TorchPacked(index, codebook, scale);
        _torchX = tensor(x).reshape(Many, Side);
        _torchOne = tensor(x.AsSpan(0, Side).ToArray());
        _torchW = _torch.Weights();
    }
}
#endif
