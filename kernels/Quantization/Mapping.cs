using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;

namespace Kernels.DeviceCode.Quantization;

/// <summary>Logits for each weight: the code with the largest forward, and a gradient to the logits.</summary>
/// <remarks>
/// Source: JLCM (Yvinec, Dapogny, Bailly 2024, arXiv:2309.17361), whose public text says that the gradient should fade
/// with the distance to the code in use, and not how; the rules are ours. With p = softmax(l / t), j the first of the
/// largest logits, v_i = sgn(c_i - c_j) phi(|c_i - c_j|): dl_i = g s p_i v_i / t, or centred g s p_i (v_i - sum p v) / t.
/// Hardening adds weight (1 - sum p^2) to a loss, and -2 weight p_i (p_i - sum p^2) / t.
/// Shapes: logits and their gradient [m, k], m weights in row-major order, value, index and g [m], one item a weight.
/// Traffic: 8 k bytes a weight, and 4 for g, 4 for the value, 1 for the index; k above 16 reads a row again from cache.
/// Order: sums of a row in a fixed order, pairs up to k = 16 and ascending above: the same bits for every launch.
/// Ties: the lowest code. Domain: a logit that is NaN is never the largest, and its weight's gradient is NaN; a weight
/// whose logits are all NaN has code 0.
/// Error: derived in the reference.
/// </remarks>
internal struct MappingArguments
{
    /// <summary>More than any index.</summary>
    internal const int NoCode = 256;

    public ArrayView<float> Logits;

    /// <summary>[codebooks, k], ascending.</summary>
    public ArrayView<float> Codebook;

    /// <summary>[scales]; not read unless <see cref="HasScale"/>.</summary>
    public ArrayView<float> Scale;

    /// <summary>Not read unless <see cref="HasGradient"/>.</summary>
    public ArrayView<float> Grad;
    public ArrayView<float> Value;
    public ArrayView<byte> Index;
    public ArrayView<float> GradLogits;

    /// <summary>Out: weight (1 - sum p^2), where wanted.</summary>
    public ArrayView<float> Impurity;
    public ScopeTable Codebooks;
    public ScopeTable Scales;
    public int Columns;
    public int Codes;
    public int HasScale;
    public int HasGradient;
    public int HasValue;
    public int HasIndex;
    public int HasImpurity;
    public int IsCentred;

    /// <summary>1 / t.</summary>
    public float Inverse;

    /// <summary>1 / (k - 1), or 1.</summary>
    public float InverseGaps;

    /// <summary>The weight of hardening.</summary>
    public float Hardening;

    /// <summary>The scale of a weight.</summary>
    internal readonly float ScaleOf(int row, int weight)
    {
        float scale = 1f;
        if (HasScale != 0)
        {
            scale = Scale[Scales.Of(row, weight)];
        }

        return scale;
    }

    /// <summary>Writes what is forward.</summary>
    internal readonly void Write(long i, int index, float code, float scale)
    {
        if (HasValue != 0)
        {
            Value[i] = scale * code;
        }

        if (HasIndex != 0)
        {
            Index[i] = (byte)index;
        }
    }

    /// <summary>Whether hardening is wanted.</summary>
    internal readonly bool WantsSquares => (Hardening != 0f) | (HasImpurity != 0);

    internal readonly MappingSlope Slope(long i, float scale, float sum, float products, float squares)
    {
        float share = 1f / sum;
        var slope = new MappingSlope
        {
            Share = share,
            Mean = IsCentred != 0 ? products * share : 0f,
            Factor = Grad[i] * scale * Inverse,
            Squares = squares * share * share,
            Hardening = -2f * Hardening * Inverse,
        };
        if (HasImpurity != 0)
        {
            Impurity[i] = Hardening * (1f - slope.Squares);
        }

        return slope;
    }
}

/// <summary>Up to 16 codes: a row in registers, so that logits are read once. One weight per item.</summary>
internal struct MappingWork<TRow, TDecay> : IItemWork
    where TRow : struct, IMappingRow<TRow>
    where TDecay : struct, IMappingDecay
{
    public MappingArguments Arguments;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform) =>
        Learn(i, Arguments.Logits, i * TRow.Width, Arguments.GradLogits);

    /// <summary>Weight i, whose logits and their gradient lie at a place of some memory, which may be the same.</summary>
    internal readonly void Learn(long i, ArrayView<float> from, long at, ArrayView<float> to)
    {
        int weight = (int)i;
        int row = weight / Arguments.Columns;
        long book = (long)Arguments.Codebooks.Of(row, weight) * TRow.Width;
        TRow logits = TRow.Load(from, at);
        // The first of the largest; the first of all where all are NaN.
        float largest = logits.Largest();
        int index = logits.IndexOf(largest, 0);
        largest = Utilities.Select(index == MappingArguments.NoCode, logits.First(), largest);
        index = Utilities.Select(index == MappingArguments.NoCode, 0, index);
        float code = Arguments.Codebook[book + index];
        float scale = Arguments.ScaleOf(row, weight);
        Arguments.Write(i, index, code, scale);
        if (Arguments.HasGradient == 0)
        {
            return;
        }

        TRow codes = TRow.Load(Arguments.Codebook, book);
        var own = MappingCodes.Of(code, codes.First(), codes.Last(), Arguments.InverseGaps);
        if (TDecay.WantsNeighbours)
        {
            own = codes.Neighbours(own);
        }

        TRow e = logits.Exp(largest, Arguments.Inverse);
        TRow directions = codes.Directions<TDecay>(own);
        float products = 0f;
        if (Arguments.IsCentred != 0)
        {
            products = e.Dot(directions);
        }

        float squares = 0f;
        if (Arguments.WantsSquares)
        {
            squares = e.Dot(e);
        }

        MappingSlope slope = Arguments.Slope(i, scale, e.Sum(), products, squares);
        e.Store(to, at, directions, slope);
    }
}

/// <summary>The same on GPUs.</summary>
/// <remarks>
/// Rows of k floats beside each other are read and written by whole sectors, and turned in the memory of the group.
/// Needs: groups of at most <see cref="MaxGroup"/> items; 8.5 KiB of shared memory.
/// </remarks>
internal static class MappingGroups
{
    internal const int MaxGroup = 128;

    // Of 16 codes: an odd number, so that rows begin in different banks.
    private const int MaxStride = 17;

    [DeviceKernel("quantization/mapping.groups")]
    internal static void Rows<TRow, TDecay>(MappingWork<TRow, TDecay> work, long first, long weights)
        where TRow : struct, IMappingRow<TRow>
        where TDecay : struct, IMappingDecay
    {
        ArrayView<float> rows = SharedMemory.Allocate<float>(MaxGroup * MaxStride);
        int stride = TRow.Width | 1;
        first += (long)Grid.IdxX * Group.DimX;
        int count = (int)IntrinsicMath.Min(Group.DimX, weights - first);
        long begin = first * TRow.Width;
        for (int j = Group.IdxX; j < count * TRow.Width; j += Group.DimX)
        {
            rows[j / TRow.Width * stride + j % TRow.Width] = work.Arguments.Logits[begin + j];
        }

        Group.Barrier();
        if (Group.IdxX < count)
        {
            work.Learn(first + Group.IdxX, rows, Group.IdxX * stride, rows);
        }

        Group.Barrier();
        if (work.Arguments.HasGradient != 0)
        {
            for (int j = Group.IdxX; j < count * TRow.Width; j += Group.DimX)
            {
                work.Arguments.GradLogits[begin + j] = rows[j / TRow.Width * stride + j % TRow.Width];
            }
        }
    }
}

/// <summary>More codes: four walks over the row, of which three find it in cache. One weight per item.</summary>
internal struct MappingLongWork<TDecay> : IItemWork
    where TDecay : struct, IMappingDecay
{
    public MappingArguments Arguments;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int weight = (int)i;
        int row = weight / Arguments.Columns;
        int k = Arguments.Codes;
        long book = (long)Arguments.Codebooks.Of(row, weight) * k;
        long at = i * k;
        float largest = float.NegativeInfinity;
        for (int code = 0; code < k; code++)
        {
            float logit = Arguments.Logits[at + code];
            largest = Utilities.Select(logit > largest, logit, largest);
        }

        int index = MappingArguments.NoCode;
        for (int code = 0; code < k; code++)
        {
            index = Utilities.Select(
                Arguments.Logits[at + code] == largest, IntrinsicMath.Min(index, code), index);
        }

        largest = Utilities.Select(index == MappingArguments.NoCode, Arguments.Logits[at], largest);
        index = Utilities.Select(index == MappingArguments.NoCode, 0, index);
        float used = Arguments.Codebook[book + index];
        float scale = Arguments.ScaleOf(row, weight);
        Arguments.Write(i, index, used, scale);
        if (Arguments.HasGradient == 0)
        {
            return;
        }

        var own = MappingCodes.Of(
            used, Arguments.Codebook[book], Arguments.Codebook[book + k - 1], Arguments.InverseGaps);
        if (TDecay.WantsNeighbours)
        {
            for (int code = 0; code < k; code++)
            {
                own = own.With(Arguments.Codebook[book + code]);
            }
        }

        float sum = 0f;
        float products = 0f;
        float squares = 0f;
        for (int code = 0; code < k; code++)
        {
            float e = Exp(Arguments.Logits[at + code], largest);
            sum += e;
            products += e * own.Direction<TDecay>(Arguments.Codebook[book + code]);
            squares += e * e;
        }

        MappingSlope slope = Arguments.Slope(i, scale, sum, products, squares);
        for (int code = 0; code < k; code++)
        {
            float direction = own.Direction<TDecay>(Arguments.Codebook[book + code]);
            Arguments.GradLogits[at + code] = slope.Of(Exp(Arguments.Logits[at + code], largest), direction);
        }
    }

    private readonly float Exp(float logit, float largest) =>
        Exponential.OfNegative(Lane.Of((logit - largest) * Arguments.Inverse)).Value;
}
