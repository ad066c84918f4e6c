#if PEERS
using BenchmarkDotNet.Attributes;
using static TorchSharp.torch;

namespace Kernels.Perf.Quantization;

public partial class CodebookFitBenchmarks
{
    private Tensor _torchWeights = null!;
    private Tensor _torchStart = null!;

    /// <summary>TorchSharp: labels by a search among the middles, counts and sums by bincount; as many steps.</summary>
    [Benchmark]
    public float TorchSharpLloyd()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor codebook = _torchStart.clone();
        for (int step = 0; step < Steps; step++)
        {
            using var inner = NewDisposeScope();
            Tensor middles = (codebook[TensorIndex.Slice(1)] + codebook[TensorIndex.Slice(null, -1)]) / 2;
            Tensor label = bucketize(_torchWeights, middles, false);
            Tensor mass = bincount(label, minlength: Codes);
            Tensor sum = bincount(label, _torchWeights, Codes);
            codebook.copy_(where(mass > 0, sum / mass, codebook));
        }

        return codebook[0].item<float>();
    }

    /// <summary>TorchSharp: block-wise largest magnitudes.</summary>
    [Benchmark]
    public float TorchSharpLargest()
    {
        using Tensor all = _torchWeights.reshape(-1, 64);
        using Tensor magnitudes = all.abs();
        using Tensor largest = magnitudes.amax([1]);
        return largest[0].item<float>();
    }

    partial void SetupPeers(float[] weights, float[] codebook)
    {
        set_num_threads(2);
        _torchWeights = tensor(weights);
        _torchStart = tensor(codebook);
    }
}
#endif
