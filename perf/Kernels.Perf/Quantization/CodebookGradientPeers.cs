#if PEERS
using BenchmarkDotNet.Attributes;
using static TorchSharp.torch;

namespace Kernels.Perf.Quantization;

public partial class CodebookGradientBenchmarks
{
    private Tensor _torchIndex = null!;
    private Tensor _torchGrad = null!;
    private Tensor _torchCodebook = null!;
    private Tensor _torchScale = null!;

    /// <summary>TorchSharp: a scaled scatter by index, and gathered codes times the gradient, summed along rows.</summary>
    [Benchmark]
    public float TorchSharpIndexAdd()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor scaled = (_torchGrad * _torchScale).reshape(-1);
        Tensor codes = zeros(Codes).index_add(0, _torchIndex, scaled, 1);
        Tensor scales = (_torchCodebook.index_select(0, _torchIndex).reshape(Rows, Columns) * _torchGrad).sum(1);
        return codes[0].item<float>() + scales[0].item<float>();
    }

    partial void SetupPeers(byte[] index, float[] grad, float[] codebook, float[] scale)
    {
        set_num_threads(2);
        _torchIndex = tensor(Array.ConvertAll(index, i => (long)i));
        _torchGrad = tensor(grad).reshape(Rows, Columns);
        _torchCodebook = tensor(codebook);
        _torchScale = tensor(scale).reshape(Rows, 1);
    }
}
#endif
