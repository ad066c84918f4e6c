using ILGPU;

namespace Kernels.DeviceCode.Linear;

/// <summary>Attention of every token to every token, head by head, without the matrix of weights.</summary>
/// <remarks>
/// Source: Vaswani et al. 2017, arXiv:1706.03762, equation 1; kept in tiles with a running maximum and sum as in Dao et
/// al. 2022, arXiv:2205.14135. Instead of the logarithm of the sum, the maximum and one over the sum are kept, so that
/// the backward pass has the same weights as the forward pass.
/// Shapes: qkv [tokens, 3, heads, size] row-major, mixed and its gradient [tokens, heads, size], state [2, heads, tokens]
/// (largest logits, then one over the sums), dots [heads, tokens].
/// </remarks>
internal struct AttentionArguments
{
    public ArrayView<float> Qkv;
    public ArrayView<float> Mixed;
    public ArrayView<float> State;
    public ArrayView<float> Grad;    // backward only
    public ArrayView<float> Dots;    // backward only: written by the first pass, read by the second
    public ArrayView<float> GradQkv; // backward only
    public int Tokens;
    public int Heads;
    public int Size;
    public float Scale;

    /// <summary>Elements from a token to the next: in mixed, and three times that in qkv.</summary>
    internal readonly int Width => Heads * Size;
}
