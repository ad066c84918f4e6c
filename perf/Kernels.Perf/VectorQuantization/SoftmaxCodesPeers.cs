#if PEERS
using BenchmarkDotNet.Attributes;
using static TorchSharp.torch;

namespace Kernels.Perf.VectorQuantization;

public partial class SoftmaxCodesBenchmarks
{
    private Tensor _torchRows = null!;
    private Tensor _torchCodes = null!;
    private Tensor _torchGrad = null!;
    private Tensor _torchIndex = null!;

    /// <summary>TorchSharp with the matrices of logits, probabilities and their gradients: 8 instead of 12.</summary>
    [Benchmark]
    public float TorchSharpMatrix()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor p = _torchRows.mm(_torchCodes.t()).softmax(1);
        Tensor t = _torchGrad.mm(_torchCodes.t());
        Tensor slope = p * (t - (p * t).sum(1, keepdim: true));
        Tensor gradX = slope.mm(_torchCodes);
        Tensor gradCodes = slope.t().mm(_torchRows).index_add(0, _torchIndex, _torchGrad, 1);
        return gradX[0, 0].item<float>() + gradCodes[0, 0].item<float>();
    }

    partial void SetupPeers(float[] rows, float[] codes, float[] grad, int[] index)
    {
        set_num_threads(2);
        _torchRows = tensor(rows).reshape(Sizes.Rows, Sizes.Dimension);
        _torchCodes = tensor(codes).reshape(Sizes.Codes, Sizes.Dimension);
        _torchGrad = tensor(grad).reshape(Sizes.Rows, Sizes.Dimension);
        _torchIndex = tensor(Array.ConvertAll(index, i => (long)i));
    }
}
#endif
