#if PEERS
using BenchmarkDotNet.Attributes;
using static TorchSharp.torch;

namespace Kernels.Perf.Dct;

public partial class DctRemapBenchmarks
{
    private Tensor _torchMean = null!;
    private Tensor _torchSquare = null!;
    private Tensor _torchPrevious = null!;
    private Tensor _torchCurrent = null!;
    private TorchDct _torchDct = null!;

    /// <summary>
    /// TorchSharp, as the authors' code: R from the product of the gathered bases, then m R and |v R|: 2 n r^2 and twice
    /// 2 n r^2 multiplications and additions, 201 million.
    /// </summary>
    [Benchmark]
    public float TorchSharpRotation()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor before = _torchDct.Matrix.index_select(1, _torchPrevious);
        Tensor after = _torchDct.Matrix.index_select(1, _torchCurrent);
        Tensor rotation = before.t().mm(after);
        Tensor mean = _torchMean.mm(rotation);
        Tensor square = _torchSquare.mm(rotation).abs_();
        return mean[0, 0].item<float>() + square[0, 0].item<float>();
    }

    partial void SetupPeers(float[] mean, float[] square, int[] previous, int[] current)
    {
        _torchMean = tensor(mean).reshape(Size, Rank);
        _torchSquare = tensor(square).reshape(Size, Rank).abs_();
        _torchPrevious = tensor(Array.ConvertAll(previous, i => (long)i));
        _torchCurrent = tensor(Array.ConvertAll(current, i => (long)i));
        _torchDct = new TorchDct(Size);
    }
}
#endif
