using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.VectorQuantization;

/// <summary>The choice of a centre by k-means++, for each head.</summary>
/// <remarks>
/// Source: Arthur, Vassilvitskii 2007. A row is chosen with the probability D^2 / sum D^2, D the distance to the nearest
/// centre so far: the first row at which the sum of the rows up to it exceeds a uniform number times the sum of all.
/// Equal for the first centre, and where all rows are centres. A row that is not finite is chosen only if none is.
/// Shapes: rows [n, heads, d], centres [heads, codes, d]; a head chooses for itself.
/// Storage: rows F32, F16, BF16; centres and arithmetic binary32.
/// Traffic: for each centre, the rows and their weights once.
/// Ties: the lowest row. Order: D^2 over dimensions ascending; sums over blocks of 256 rows, each ascending, then over blocks, ascending.
/// </remarks>
internal struct KMeansArguments
{
    /// <summary>Rows of a block.</summary>
    internal const int Block = 256;

    /// <summary>The weight of a row that is left out, and of one that is not finite.</summary>
    internal const float LeftOut = -2f;

    internal const float NotFinite = -1f;

    /// <summary>[rows, heads]; what is negative is left out. Not read unless <see cref="HasMask"/>.</summary>
    public ArrayView<int> Mask;

    /// <summary>[rows, heads]: D^2, or one of the weights above.</summary>
    public ArrayView<float> Weights;

    /// <summary>[heads, blocks] each: sums of the weights, and how many rows are finite, and not left out.</summary>
    public ArrayView<float> Sums;
    public ArrayView<int> Finite;
    public ArrayView<int> Counted;

    /// <summary>[heads]: the row that was picked; -1 for none.</summary>
    public ArrayView<int> Picks;
    public int Rows;
    public int Heads;
    public int Codes;
    public int Dimension;
    public int Blocks;

    /// <summary>The centre to be chosen.</summary>
    public int Centre;
    public int HasMask;
    public uint Seed0;
    public uint Seed1;
}

/// <summary>D^2 with the last centre, one row of a head per item.</summary>
internal struct KMeansDistanceWork<TRow> : IItemWork
    where TRow : struct, IStorage
{
    public KMeansArguments Arguments;
    public TRow Rows;
    public ArrayView<float> Codes;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        long row = i * Arguments.Dimension;
        if (Arguments.Centre == 0)
        {
            Arguments.Weights[i] = First(i, row);
            return;
        }

        float weight = Arguments.Weights[i];
        if (weight < 0f)
        {
            return;
        }

        long head = i % Arguments.Heads;
        long code = (head * Arguments.Codes + Arguments.Centre - 1) * Arguments.Dimension;
        float square = 0f;
        for (int d = 0; d < Arguments.Dimension; d++)
        {
            float difference = Rows.Decode(Rows.Read(row + d)) - Codes[code + d];
            square += difference * difference;
        }

        Arguments.Weights[i] = Utilities.Select(square < weight, square, weight);
    }

    private readonly float First(long i, long row)
    {
        if (Arguments.HasMask != 0)
        {
            if (Arguments.Mask[i] < 0)
            {
                return KMeansArguments.LeftOut;
            }
        }

        uint largest = 0;
        for (int d = 0; d < Arguments.Dimension; d++)
        {
            largest = Finiteness.Larger(largest, Rows.Decode(Rows.Read(row + d)));
        }

        return Utilities.Select(Finiteness.Is(largest), float.PositiveInfinity, KMeansArguments.NotFinite);
    }
}

/// <summary>Sums over the rows of a block, one block of a head per item.</summary>
internal struct KMeansBlockWork : IItemWork
{
    public KMeansArguments Arguments;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        long head = i / Arguments.Blocks;
        long first = (i - head * Arguments.Blocks) * KMeansArguments.Block;
        float sum = 0f;
        int finite = 0;
        int counted = 0;
        for (long row = first; row < IntrinsicMath.Min(first + KMeansArguments.Block, (long)Arguments.Rows); row++)
        {
            float weight = Arguments.Weights[row * Arguments.Heads + head];
            sum += Utilities.Select(weight > 0f, weight, 0f);
            finite += Utilities.Select(weight >= 0f, 1, 0);
            counted += Utilities.Select(weight >= KMeansArguments.NotFinite, 1, 0);
        }

        Arguments.Sums[i] = sum;
        Arguments.Finite[i] = finite;
        Arguments.Counted[i] = counted;
    }
}

/// <summary>Picks a row, one head per item.</summary>
internal struct KMeansPickWork : IItemWork
{
    public KMeansArguments Arguments;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        long first = i * Arguments.Blocks;
        float sum = 0f;
        int finite = 0;
        int counted = 0;
        for (int block = 0; block < Arguments.Blocks; block++)
        {
            sum += Arguments.Sums[first + block];
            finite += Arguments.Finite[first + block];
            counted += Arguments.Counted[first + block];
        }

        uint word = Philox.Draw(
            new QuadBits { X = (uint)Arguments.Centre, Y = (uint)i, Z = 0, W = 0 }, Arguments.Seed0, Arguments.Seed1).X;
        if ((Arguments.Centre > 0) & (sum > 0f))
        {
            Arguments.Picks[i] = ByWeight(i, first, (int)(word >> 8) * (1f / 16777216f) * sum);
            return;
        }

        float least = Utilities.Select(finite > 0, 0f, KMeansArguments.NotFinite);
        int among = Utilities.Select(finite > 0, finite, counted);
        int rank = (int)((ulong)word * (uint)among >> 32);
        Arguments.Picks[i] = among == 0 ? -1 : ByRank(i, first, rank, least);
    }

    /// <summary>The first row at which the sum exceeds the target; the last with a weight if roundings let none.</summary>
    private readonly int ByWeight(long head, long first, float target)
    {
        float sum = 0f;
        int chosen = 0;
        float before = 0f;
        bool open = true;
        for (int block = 0; block < Arguments.Blocks; block++)
        {
            float weight = Arguments.Sums[first + block];
            if (open & (weight > 0f))
            {
                chosen = block;
                before = sum;
                sum += weight;
                open = !(sum > target);
            }
        }

        sum = before;
        open = true;
        long begin = (long)chosen * KMeansArguments.Block;
        int pick = -1;
        for (long row = begin; row < IntrinsicMath.Min(begin + KMeansArguments.Block, (long)Arguments.Rows); row++)
        {
            float weight = Arguments.Weights[row * Arguments.Heads + head];
            if (open & (weight > 0f))
            {
                pick = (int)row;
                sum += weight;
                open = !(sum > target);
            }
        }

        return pick;
    }

    private readonly int ByRank(long head, long first, int rank, float least)
    {
        int left = rank;
        int chosen = 0;
        bool open = true;
        for (int block = 0; block < Arguments.Blocks; block++)
        {
            int finite = Arguments.Finite[first + block];
            int counted = Arguments.Counted[first + block];
            int count = Utilities.Select(least < 0f, counted, finite);
            if (open)
            {
                chosen = block;
                open = left >= count;
                left = Utilities.Select(open, left - count, left);
            }
        }

        long begin = (long)chosen * KMeansArguments.Block;
        int pick = -1;
        for (long row = begin; row < IntrinsicMath.Min(begin + KMeansArguments.Block, (long)Arguments.Rows); row++)
        {
            if (Arguments.Weights[row * Arguments.Heads + head] >= least)
            {
                pick = Utilities.Select(left == 0, (int)row, pick);
                left--;
            }
        }

        return pick;
    }
}

/// <summary>The picked row becomes the centre, one number per item.</summary>
internal struct KMeansCentreWork<TRow> : IItemWork
    where TRow : struct, IStorage
{
    public KMeansArguments Arguments;
    public TRow Rows;
    public ArrayView<float> Codes;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        long head = i / Arguments.Dimension;
        long d = i - head * Arguments.Dimension;
        int row = Arguments.Picks[head];
        if (row >= 0)
        {
            float value = Rows.Decode(Rows.Read(((long)row * Arguments.Heads + head) * Arguments.Dimension + d));
            Codes[(head * Arguments.Codes + Arguments.Centre) * Arguments.Dimension + d] = value;
        }
    }
}

/// <summary>Leaves out what the mask says; the distances of what is left out are 0. One row of a head per item.</summary>
internal struct KMeansMaskWork : IItemWork
{
    /// <summary>[rows, heads] each.</summary>
    public ArrayView<int> Mask;
    public ArrayView<int> Index;
    public ArrayView<float> Distance;
    public int HasMask;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int index = Index[i];
        if (HasMask != 0)
        {
            index = Utilities.Select(Mask[i] < 0, -1, index);
            Index[i] = index;
        }

        if (index < 0)
        {
            Distance[i] = 0f;
        }
    }
}

/// <summary>The mean of a segment; one without rows stays.</summary>
internal struct KMeansEnd : ISegmentEnd
{
    /// <summary>[segments, d].</summary>
    public ArrayView<float> Codes;

    public readonly Quad Open(int segment, int count, int dimension) => new() { X = count };

    public readonly void Take<TFloats>(long at, TFloats sum, Quad opened)
        where TFloats : struct, IFloats<TFloats>
    {
        if (opened.X > 0f)
        {
            sum.Zip(TFloats.Of(opened.X), default(Division)).Store(new F32(Codes), at);
        }
    }
}
