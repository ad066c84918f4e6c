#if PEERS
using BenchmarkDotNet.Attributes;
using static TorchSharp.torch;

namespace Kernels.Perf.Quantization;

public partial class MappingBenchmarks
{
    private Tensor _torchLogits = null!;
    private Tensor _torchCodebook = null!;
    private Tensor _torchGrad = null!;

    /// <summary>TorchSharp: softmax, argmax, gather, and the softmax's own gradient.</summary>
    [Benchmark]
    public float TorchSharpDefault()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor p = _torchLogits.softmax(1);
        Tensor index = _torchLogits.argmax(1);
        Tensor value = _torchCodebook.index_select(0, index);
        Tensor mean = p.mv(_torchCodebook).unsqueeze(1);
        Tensor slope = p * (_torchCodebook.unsqueeze(0) - mean) * _torchGrad.unsqueeze(1);
        return value[0].item<float>() + slope[0, 0].item<float>();
    }

    /// <summary>TorchSharp: the same with the gradient that fades.</summary>
    [Benchmark]
    public float TorchSharpProximal()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        float gap = 2f / (Codes - 1);
        Tensor p = _torchLogits.softmax(1);
        Tensor index = _torchLogits.argmax(1);
        Tensor value = _torchCodebook.index_select(0, index);
        Tensor difference = _torchCodebook.unsqueeze(0) - value.unsqueeze(1);
        Tensor slope = difference.sign() * (gap * gap) / (difference.abs() + gap) * p * _torchGrad.unsqueeze(1);
        return value[0].item<float>() + slope[0, 0].item<float>();
    }

    partial void SetupPeers(float[] logits, float[] codebook, float[] grad)
    {
        set_num_threads(2);
        _torchLogits = tensor(logits).reshape(-1, Codes);
        _torchCodebook = tensor(codebook);
        _torchGrad = tensor(grad);
    }
}
#endif
