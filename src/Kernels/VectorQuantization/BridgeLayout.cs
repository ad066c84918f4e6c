using Kernels.Validation;

namespace Kernels.VectorQuantization;

/// <summary>
/// How the square patches of the authors' code become patches of codes in a row, on the host: to import what they have
/// trained.
/// </summary>
/// <remarks>
/// Source: FVQ's code (qbridge_ViT.py). There K = side * side codes are a square, code k at row k / side, column
/// k mod side, and a patch is a square of patchSide * patchSide codes; here the same codes follow each other, and
/// <see cref="BridgeOptions.Patch"/> is patchSide * patchSide. Without positions both are the same function.
/// </remarks>
public static class BridgeLayout
{
    /// <summary>Which of the authors' codes comes to each place: patches row by row, and the codes in them.</summary>
    /// <param name="side">The side of the square of codes, 1 to 2^15.</param>
    /// <param name="patchSide">The side of a patch, a divisor of the side.</param>
    /// <returns>[side * side]: a permutation.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A side is out of range, or the patches do not fill the square.</exception>
    public static int[] SquareOrder(int side, int patchSide)
    {
        Check(side, patchSide);
        int[] order = new int[side * side];
        int place = 0;
        for (int top = 0; top < side; top += patchSide)
        {
            for (int left = 0; left < side; left += patchSide)
            {
                for (int row = top; row < top + patchSide; row++)
                {
                    for (int column = left; column < left + patchSide; column++)
                    {
                        order[place++] = (row * side) + column;
                    }
                }
            }
        }

        return order;
    }

    /// <summary>Brings codes from the authors' order to that of <see cref="Bridge"/>.</summary>
    /// <param name="square">Their codes, [side * side, dimension].</param>
    /// <param name="codes">The codes in our order, [side * side, dimension], written.</param>
    /// <param name="side">The side of the square of codes.</param>
    /// <param name="patchSide">The side of a patch, a divisor of the side.</param>
    /// <exception cref="ArgumentException">The lengths differ, are no multiple of the codes, or the spans overlap.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A side is out of range, or the patches do not fill the square.</exception>
    public static void FromSquare(ReadOnlySpan<float> square, Span<float> codes, int side, int patchSide)
    {
        int dimension = Dimension(square, codes, side, patchSide, nameof(square), nameof(codes));
        int[] order = SquareOrder(side, patchSide);
        for (int place = 0; place < order.Length; place++)
        {
            square.Slice(order[place] * dimension, dimension).CopyTo(codes[(place * dimension)..]);
        }
    }

    /// <summary>Brings codes back to the authors' order.</summary>
    /// <param name="codes">The codes in our order, [side * side, dimension].</param>
    /// <param name="square">The codes in their order, [side * side, dimension], written.</param>
    /// <param name="side">The side of the square of codes.</param>
    /// <param name="patchSide">The side of a patch, a divisor of the side.</param>
    /// <exception cref="ArgumentException">The lengths differ, are no multiple of the codes, or the spans overlap.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A side is out of range, or the patches do not fill the square.</exception>
    public static void ToSquare(ReadOnlySpan<float> codes, Span<float> square, int side, int patchSide)
    {
        int dimension = Dimension(codes, square, side, patchSide, nameof(codes), nameof(square));
        int[] order = SquareOrder(side, patchSide);
        for (int place = 0; place < order.Length; place++)
        {
            codes.Slice(place * dimension, dimension).CopyTo(square[(order[place] * dimension)..]);
        }
    }

    /// <summary>
    /// The weight of the authors' compression, a convolution, as <c>compress.weight</c>: theirs has channel, row, column
    /// in every row, ours row, column, channel. Their recovery has our order already.
    /// </summary>
    /// <param name="convolution">[width, dimension, patchSide, patchSide].</param>
    /// <param name="weight">[width, patchSide * patchSide * dimension], written.</param>
    /// <param name="dimension">Length of a code, at least 1.</param>
    /// <param name="patchSide">The side of a patch, 1 to 2^15.</param>
    /// <exception cref="ArgumentException">The lengths differ, are no multiple of a row, or the spans overlap.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is out of range.</exception>
    public static void CompressFromConvolution(
        ReadOnlySpan<float> convolution, Span<float> weight, int dimension, int patchSide)
    {
        Require.AtLeast(dimension, 1);
        Require.InRange(patchSide, 1, (1 << 15) + 1);
        int patch = patchSide * patchSide;
        long row = (long)patch * dimension;
        if (convolution.Length % row != 0)
        {
            throw new ArgumentException(
                $"The length must be a multiple of {row}, and is {convolution.Length}.", nameof(convolution));
        }

        Apart(convolution, weight, nameof(weight));
        for (int start = 0; start < convolution.Length; start += (int)row)
        {
            for (int channel = 0; channel < dimension; channel++)
            {
                for (int code = 0; code < patch; code++)
                {
                    weight[start + (code * dimension) + channel] = convolution[start + (channel * patch) + code];
                }
            }
        }
    }

    private static int Dimension(
        ReadOnlySpan<float> from, Span<float> to, int side, int patchSide, string fromName, string toName)
    {
        Check(side, patchSide);
        if (from.Length % (side * side) != 0)
        {
            throw new ArgumentException(
                $"The length must be a multiple of the {side * side} codes, and is {from.Length}.", fromName);
        }

        Apart(from, to, toName);
        return from.Length / (side * side);
    }

    private static void Apart(ReadOnlySpan<float> from, Span<float> to, string name)
    {
        Require.Length(from.Length, to.Length, name);
        if (from.Overlaps(to))
        {
            throw new ArgumentException("The spans must not overlap.", name);
        }
    }

    private static void Check(int side, int patchSide)
    {
        Require.InRange(side, 1, (1 << 15) + 1);
        Require.AtLeast(patchSide, 1);
        if (side % patchSide != 0)
        {
            throw new ArgumentOutOfRangeException(
                nameof(patchSide), patchSide, $"patchSide must be a divisor of the side, {side}.");
        }
    }
}
