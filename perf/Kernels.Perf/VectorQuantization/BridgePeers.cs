#if PEERS
using BenchmarkDotNet.Attributes;
using static TorchSharp.torch;

namespace Kernels.Perf.VectorQuantization;

public partial class BridgeBenchmarks
{
    private Tensor _torchCodes = null!;
    private Tensor _torchGrad = null!;
    private (Tensor W, Tensor B)[] _torchLayers = [];

    /// <summary>TorchSharp: the same network, forward and backward, with libtorch's fused attention.</summary>
    [Benchmark]
    public float TorchSharpBoth()
    {
        using var scope = NewDisposeScope();
        _torchCodes.grad = null;
        foreach ((Tensor w, Tensor b) in _torchLayers)
        {
            w.grad = null;
            b.grad = null;
        }

        long tokens = Sizes.Tokens, width = Sizes.Width, head = Sizes.Width / 4;
        int next = 0;
        Tensor Linear(Tensor x)
        {
            (Tensor w, Tensor b) = _torchLayers[next++];
            return nn.functional.linear(x, w, b);
        }

        Tensor Norm(Tensor x) => nn.functional.layer_norm(x, [width], eps: 1e-6);
        Tensor x = Linear(_torchCodes.reshape(tokens, -1));
        for (int i = 0; i < 2; i++)
        {
            Tensor[] qkv = Linear(Norm(x)).reshape(1, tokens, 3, 4, head).permute(2, 0, 3, 1, 4).unbind(0);
            Tensor mixed = nn.functional.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2]);
            x = x + Linear(mixed.permute(0, 2, 1, 3).reshape(tokens, width));
            Tensor hidden = Linear(Norm(x));
            // TorchSharp's GELU is the one with erf; its cost is much the same.
            x = x + Linear(nn.functional.gelu(hidden));
        }

        Tensor projected = Linear(Norm(x));
        projected.backward([_torchGrad]);
        return _torchCodes.grad![0, 0].item<float>();
    }

    partial void SetupPeers(float[] codes, float[] grad)
    {
        set_num_threads(2);
        _torchCodes = tensor(codes).reshape(Sizes.Codes, Sizes.Dimension).requires_grad_();
        _torchGrad = tensor(grad).reshape(Sizes.Tokens, 16 * Sizes.Dimension);
        _torchLayers = [.. _bridge.Weights.Chunk(2).Select(pair => (
            rand(pair[0].Shape[0], pair[0].Shape[1]).sub_(0.5f).mul_(0.1f).requires_grad_(),
            zeros(pair[1].Shape[0]).requires_grad_()))];
    }
}
#endif
