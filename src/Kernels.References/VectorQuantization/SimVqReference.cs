using Kernels.References.Linear;

namespace Kernels.References.VectorQuantization;

/// <summary>SimVQ: the codebook seen through one linear map.</summary>
/// <remarks>
/// Source: Zhu et al. 2024, SimVQ, arXiv:2411.02038: projected = C W^T + b; C itself is frozen there. The bounds are
/// those of
/// <see cref="MatMulReference"/>.
/// </remarks>
public static class SimVqReference
{
    /// <summary>The projected codes.</summary>
    /// <param name="codes">C, [k, d].</param>
    /// <param name="weight">W, [d, d].</param>
    /// <param name="bias">b, [d], or empty.</param>
    /// <param name="d">The dimension.</param>
    /// <returns>[k, d].</returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    public static Bounded[] Forward(
        ReadOnlySpan<float> codes, ReadOnlySpan<float> weight, ReadOnlySpan<float> bias, int d) =>
        MatMulReference.Multiply(codes, false, weight, true, Check.Rows(codes, d), d, d, bias, []);

    /// <summary>The gradients.</summary>
    /// <param name="codes">C, [k, d].</param>
    /// <param name="weight">W, [d, d].</param>
    /// <param name="grad">The gradient to the projected codes, [k, d].</param>
    /// <param name="d">The dimension.</param>
    /// <returns>Of the codes [k, d] (for a codebook that is not frozen), of W [d, d], of b [d].</returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    public static (Bounded[] Codes, Bounded[] Weight, Bounded[] Bias) Backward(
        ReadOnlySpan<float> codes, ReadOnlySpan<float> weight, ReadOnlySpan<float> grad, int d)
    {
        int k = Check.Rows(codes, d);
        Check.SameLength(codes, grad);
        return (
            MatMulReference.Multiply(grad, false, weight, false, k, d, d, [], []),
            MatMulReference.Multiply(grad, true, codes, false, d, d, k, [], []),
            MatMulReference.ColumnSum(grad, k, d, []));
    }
}
