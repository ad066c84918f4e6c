#if PEERS
using BenchmarkDotNet.Attributes;
using static TorchSharp.torch;

namespace Kernels.Perf.VectorQuantization;

public partial class LearnBenchmarks
{
    private Tensor _torchRows = null!;
    private Tensor _torchIndex = null!;
    private Tensor _torchCodes = null!;
    private Tensor _torchSize = null!;
    private Tensor _torchSum = null!;

    /// <summary>TorchSharp: a one-hot matrix, its sum, its product with the rows.</summary>
    [Benchmark]
    public float TorchSharpOneHot()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        (Tensor counts, Tensor sums) = OneHot();
        return sums[0, 0].item<float>() + counts[0].item<float>();
    }

    /// <summary>The same, and the moving means with smoothing.</summary>
    [Benchmark]
    public float TorchSharpEma()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        (Tensor counts, Tensor sums) = OneHot();
        _torchSize.mul_(0.8).add_(counts, alpha: 0.2);
        _torchSum.mul_(0.8).add_(sums, alpha: 0.2);
        Tensor total = _torchSize.sum();
        Tensor size = (_torchSize + 1e-5) / (total + (Sizes.Codes * 1e-5)) * total;
        _torchCodes.copy_(_torchSum / size.unsqueeze(1));
        return _torchCodes[0, 0].item<float>();
    }

    private (Tensor Counts, Tensor Sums) OneHot()
    {
        Tensor chosen = nn.functional.one_hot(_torchIndex, Sizes.Codes).to(ScalarType.Float32);
        return (chosen.sum(dim: 0L), chosen.t().mm(_torchRows));
    }

    partial void SetupPeers(float[] rows, int[] index)
    {
        set_num_threads(2);
        _torchRows = tensor(rows).reshape(Sizes.Rows, Sizes.Dimension);
        _torchIndex = tensor(Array.ConvertAll(index, i => (long)i));
        _torchCodes = rand(Sizes.Codes, Sizes.Dimension);
        _torchSum = _torchCodes.clone();
        _torchSize = ones(Sizes.Codes);
    }
}
#endif
