#if PEERS
using static TorchSharp.torch;

namespace Kernels.Perf.Quantization;

/// <summary>TorchSharp's chain for packed codes: shift, mask, index the codebook, times the scale.</summary>
/// <remarks>Codes of three bits are eight in a word of 32 bits, others fill bytes.</remarks>
internal sealed class TorchPacked
{
    private readonly Tensor _packed;
    private readonly Tensor _shifts;
    private readonly Tensor _codebook;
    private readonly Tensor _scale;
    private readonly int _bits;

    internal TorchPacked(byte[] index, float[] codebook, float[] scale)
    {
        set_num_threads(2);
        _bits = codebook.Length > 8 ? 4 : codebook.Length > 4 ? 3 : 2;
        int each = _bits == 3 ? 8 : 8 / _bits;
        var packed = new int[index.Length / each];
        for (int i = 0; i < index.Length; i++)
        {
            packed[i / each] |= index[i] << (i % each * _bits);
        }

        _packed = tensor(packed).to(_bits == 3 ? int32 : uint8);
        _shifts = (arange(each, dtype: int32) * _bits).to(_packed.dtype);
        _codebook = tensor(codebook);
        _scale = tensor(scale).reshape(scale.Length, 1);
    }

    /// <summary>The weights, [rows, columns].</summary>
    internal Tensor Weights()
    {
        Tensor codes = _packed.unsqueeze(-1).bitwise_right_shift(_shifts).bitwise_and(
            tensor((1 << _bits) - 1, _packed.dtype));
        return _codebook.index_select(0, codes.reshape(-1).to(int32)).reshape(_scale.shape[0], -1).mul_(_scale);
    }
}
#endif
