#if PEERS
using BenchmarkDotNet.Attributes;
using static TorchSharp.torch;

namespace Kernels.Perf.Quantization;

public partial class PackedBenchmarks
{
    private Tensor _torchPacked = null!;
    private Tensor _torchShifts = null!;
    private Tensor _torchCodebook = null!;
    private Tensor _torchScale = null!;

    /// <summary>TorchSharp: shift, mask, index the codebook, times the scale. Codes of three bits are eight in a word.</summary>
    [Benchmark]
    public float TorchSharpChain()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return TorchWeights()[0, 0].item<float>();
    }

    private Tensor TorchWeights()
    {
        Tensor codes = _torchPacked.unsqueeze(-1).bitwise_right_shift(_torchShifts).bitwise_and(
            tensor((1 << Bits) - 1, _torchPacked.dtype));
        return _torchCodebook.index_select(0, codes.reshape(-1).to(int32)).reshape(Side, Side).mul_(_torchScale);
    }

    private int Bits => Codes > 8 ? 4 : Codes > 4 ? 3 : 2;

    partial void SetupPeers(byte[] index, float[] codebook, float[] scale)
    {
        set_num_threads(2);
        int each = Bits == 3 ? 8 : 8 / Bits;
        var packed = new int[Length / each];
        for (int i = 0; i < Length; i++)
        {
            packed[i / each] |= index[i] << (i % each * Bits);
        }

        _torchPacked = tensor(packed).to(Bits == 3 ? int32 : uint8);
        _torchShifts = (arange(each, dtype: int32) * Bits).to(_torchPacked.dtype);
        _torchCodebook = tensor(codebook);
        _torchScale = tensor(scale).reshape(Side, 1);
    }
}
#endif
