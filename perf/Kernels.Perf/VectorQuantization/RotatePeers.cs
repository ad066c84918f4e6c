#if PEERS
using BenchmarkDotNet.Attributes;
using static TorchSharp.torch;

namespace Kernels.Perf.VectorQuantization;

public partial class RotateBenchmarks
{
    private Tensor _torchX = null!;
    private Tensor _torchCodes = null!;
    private Tensor _torchGrad = null!;
    private Tensor _torchIndex = null!;

    /// <summary>TorchSharp: the formula of the gradient, without autograd.</summary>
    [Benchmark]
    public float TorchSharpFormula()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor e = _torchCodes.index_select(0, _torchIndex);
        Tensor normZ = _torchX.norm(1, keepdim: true);
        Tensor normE = e.norm(1, keepdim: true);
        Tensor u = _torchX / normZ;
        Tensor q = e / normE;
        Tensor w = u + q;
        w = w / w.norm(1, keepdim: true);
        Tensor along = (w * _torchGrad).sum(1, keepdim: true);
        Tensor own = (q * _torchGrad).sum(1, keepdim: true);
        Tensor gradient = (normE / normZ) * (_torchGrad - (2 * along * w) + (2 * own * u));
        return gradient[0, 0].item<float>();
    }

    partial void SetupPeers(float[] x, float[] codes, float[] grad, int[] index)
    {
        set_num_threads(2);
        _torchX = tensor(x).reshape(Rows, Dimension);
        _torchCodes = tensor(codes).reshape(Codes, Dimension);
        _torchGrad = tensor(grad).reshape(Rows, Dimension);
        _torchIndex = tensor(Array.ConvertAll(index, i => (long)i));
    }
}
#endif
