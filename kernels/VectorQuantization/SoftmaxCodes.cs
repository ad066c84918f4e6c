using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Linear;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.VectorQuantization;

/// <summary>Some rows on their way to a tile or from it.</summary>
internal struct SoftmaxRows
{
    /// <summary>The hard codes of all rows; of codes themselves empty.</summary>
    public ArrayView<int> Index;

    /// <summary>The first row's first element, and elements from one row to the next.</summary>
    public long First;
    public long Stride;

    /// <summary>The first row's place in the index, and places from one row to the next.</summary>
    public long FirstIndex;
    public int IndexStride;
    public int HasIndex;
    public int Codes;
    public int Dimension;

    /// <summary>Whether a row of the tile has a code.</summary>
    public readonly bool Counts(int row)
    {
        bool counts = true;
        if (HasIndex != 0)
        {
            int code = Index[FirstIndex + (long)row * IndexStride];
            counts = (code >= 0) & (code < Codes);
        }

        return counts;
    }
}

/// <summary>The state of the rows of a tile: the largest logit so far, the sum of exponentials, and that with t.</summary>
internal struct SoftmaxState
{
    public ArrayView<float> Largest;
    public ArrayView<float> Sum;
    public ArrayView<float> Weighted;
}

/// <summary>Back-propagation through softmax attention over a codebook, tile by tile, between products of matrices.</summary>
/// <remarks>
/// Source: Shi et al. 2024, IBQ, arXiv:2412.02692: logits l_j = z.e_j, p = softmax(l); with t_j = g.e_j and t = sum p_j t_j:
/// dl_j = p_j (t_j - t), dz = sum dl_j e_j, de_j = sum over rows of (hard_j g + dl_j z). The largest logit and the sums are
/// kept while the tiles pass, as in Milakov and Gimelshein 2018, arXiv:1805.02867, and Dao 2023, arXiv:2307.08691.
/// Shapes: a tile has rows z and, behind them, as many g: [2 rows, d]; the product with the transposed codes is logits and,
/// behind them, t: [2 rows, codes], into which dl is written over the logits; its products with codes and rows are the
/// gradients. One group a row.
/// Storage: x, grad, gradX F32, F16, BF16; codes F32, F16, BF16; tiles, arithmetic and gradient to the codes binary32.
/// Traffic: a tile stays in the second-level cache; logits are made twice, unless one tile has all codes: 12 multiplications
/// and additions (else 8) for each row, code and dimension. Nothing that is rows x codes is ever stored.
/// Needs: 1 KiB of shared memory; a group size that is a power of two up to 256.
/// Order: codes and rows in ascending tiles, within a tile that of <see cref="GroupTree"/> and of the products: fixed by
/// the sizes and the device.
/// Domain: a row without a code has gradient 0 and gives none, whatever is in it. A NaN or infinity in another row makes its
/// own gradient NaN, and that of all codes; in a code, everything.
/// </remarks>
internal static class SoftmaxCodesKernel
{
    /// <summary>Copies rows to a tile, zeros for those without a code.</summary>
    [DeviceKernel("vq/softmaxcodes.load")]
    internal static void Load<TStorage>(TStorage view, ArrayView<float> to, SoftmaxRows t)
        where TStorage : struct, IStorage
    {
        bool counts = t.Counts(Grid.IdxX);
        long from = t.First + (long)Grid.IdxX * t.Stride;
        long at = (long)Grid.IdxX * t.Dimension;
        for (int i = Group.IdxX; i < t.Dimension; i += Group.DimX)
        {
            to[at + i] = Utilities.Select(counts, view.Decode(view.Read(from + i)), 0f);
        }
    }

    /// <summary>Stores the gradients of a tile's rows, zeros for those without a code.</summary>
    [DeviceKernel("vq/softmaxcodes.store")]
    internal static void Store<TStorage>(TStorage view, ArrayView<float> tile, SoftmaxRows t)
        where TStorage : struct, IStorage
    {
        bool counts = t.Counts(Grid.IdxX);
        long to = t.First + (long)Grid.IdxX * t.Stride;
        long at = (long)Grid.IdxX * t.Dimension;
        for (int i = Group.IdxX; i < t.Dimension; i += Group.DimX)
        {
            view.Write(to + i, view.Encode(Utilities.Select(counts, tile[at + i], 0f), 0));
        }
    }

    /// <summary>Takes a tile's logits and t into the state of its rows.</summary>
    /// <param name="scores">[2 rows, codes]: logits, then t.</param>
    /// <param name="state">[rows] each.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="codes">Codes.</param>
    /// <param name="isFirst">1 for the first codes: there is no state yet.</param>
    [DeviceKernel("vq/softmaxcodes.weigh")]
    internal static void Weigh(ArrayView<float> scores, SoftmaxState state, int rows, int codes, int isFirst)
    {
        ArrayView<float> shared = SharedMemory.Allocate<float>(GroupTree.MaxGroup);
        int row = Grid.IdxX;
        int item = Group.IdxX;
        long logits = (long)row * codes;
        long values = (long)(rows + row) * codes;
        // The last turn is the only one that not all items take, as in SoftmaxCrossEntropyKernel.
        int full = codes - codes % Group.DimX;
        int tail = full + item;
        float old = float.NegativeInfinity;
        if (isFirst == 0)
        {
            old = state.Largest[row];
        }

        float max = old;
        for (int c = 0; c < full; c += Group.DimX)
        {
            max = GroupTree.Larger(max, scores[logits + c + item]);
        }

        if (tail < codes)
        {
            max = GroupTree.Larger(max, scores[logits + tail]);
        }

        max = GroupTree.Max(shared, max);
        float sum = 0f;
        float weighted = 0f;
        for (int c = 0; c < full; c += Group.DimX)
        {
            float weight = Exp(scores[logits + c + item] - max);
            sum += weight;
            weighted += weight * scores[values + c + item];
        }

        if (tail < codes)
        {
            float weight = Exp(scores[logits + tail] - max);
            sum += weight;
            weighted += weight * scores[values + tail];
        }

        sum = GroupTree.Sum(shared, sum);
        weighted = GroupTree.Sum(shared, weighted);
        if (item == 0)
        {
            if (isFirst == 0)
            {
                float factor = Exp(old - max);
                sum = state.Sum[row] * factor + sum;
                weighted = state.Weighted[row] * factor + weighted;
            }

            state.Largest[row] = max;
            state.Sum[row] = sum;
            state.Weighted[row] = weighted;
        }
    }

    /// <summary>Writes dl over the logits.</summary>
    /// <param name="scores">[2 rows, codes]: logits, then t.</param>
    /// <param name="state">[rows] each, of all codes.</param>
    /// <param name="t">Which rows have a code.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="codes">Codes.</param>
    [DeviceKernel("vq/softmaxcodes.delta")]
    internal static void Delta(ArrayView<float> scores, SoftmaxState state, SoftmaxRows t, int rows, int codes)
    {
        int row = Grid.IdxX;
        int item = Group.IdxX;
        long logits = (long)row * codes;
        long values = (long)(rows + row) * codes;
        int full = codes - codes % Group.DimX;
        int tail = full + item;
        bool counts = t.Counts(row);
        float max = state.Largest[row];
        float share = 1f / state.Sum[row];
        float mean = state.Weighted[row] * share;
        for (int c = 0; c < full; c += Group.DimX)
        {
            float slope = Slope(Lane.Of(scores[logits + c + item] - max), Lane.Of(scores[values + c + item]), share, mean).Value;
            scores[logits + c + item] = Utilities.Select(counts, slope, 0f);
        }

        if (tail < codes)
        {
            float slope = Slope(Lane.Of(scores[logits + tail] - max), Lane.Of(scores[values + tail]), share, mean).Value;
            scores[logits + tail] = Utilities.Select(counts, slope, 0f);
        }
    }

    /// <summary>
    /// Adds the gradients of a tile's rows to those of their hard codes, in ascending order; a group has some codes and some
    /// dimensions, an item one dimension.
    /// </summary>
    /// <param name="grads">[rows, d].</param>
    /// <param name="gradCodes">[codes, d].</param>
    /// <param name="t">The hard codes.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="codesOfGroup">Codes of a group.</param>
    /// <param name="columnGroups">Groups that share some codes.</param>
    /// <param name="isFirst">1: what is there is overwritten.</param>
    [DeviceKernel("vq/softmaxcodes.hard")]
    internal static void Hard(
        ArrayView<float> grads, ArrayView<float> gradCodes, SoftmaxRows t, int rows, int codesOfGroup, int columnGroups,
        int isFirst)
    {
        int first = Grid.IdxX / columnGroups * codesOfGroup;
        int last = IntrinsicMath.Min(first + codesOfGroup, t.Codes);
        int column = Grid.IdxX % columnGroups * Group.DimX + Group.IdxX;
        if (column < t.Dimension)
        {
            if (isFirst != 0)
            {
                for (int code = first; code < last; code++)
                {
                    gradCodes[(long)code * t.Dimension + column] = 0f;
                }
            }

            for (int row = 0; row < rows; row++)
            {
                int code = t.Index[t.FirstIndex + (long)row * t.IndexStride];
                if ((code >= first) & (code < last))
                {
                    long at = (long)code * t.Dimension + column;
                    gradCodes[at] = gradCodes[at] + grads[(long)row * t.Dimension + column];
                }
            }
        }
    }

    /// <summary>p (t - mean), from the logit's distance to the largest.</summary>
    internal static T Slope<T>(T logit, T value, float share, float mean)
        where T : struct, ILane<T> => Exponential.OfNegative(logit) * share * (value - mean);

    private static float Exp(float x) => Exponential.OfNegative(Lane.Of(x)).Value;
}
