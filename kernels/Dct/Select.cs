using ILGPU;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Linear;
using Kernels.DeviceCode.Reductions;

namespace Kernels.DeviceCode.Dct;

/// <summary>What the choice of columns reads and writes.</summary>
internal struct SelectArguments
{
    /// <summary>[n], what counts: sums of squares or of magnitudes, not negative, or NaN.</summary>
    public ArrayView<float> Scores;

    /// <summary>[n], the sums of squares.</summary>
    public ArrayView<float> Squares;

    /// <summary>[r], written: the chosen columns, ascending.</summary>
    public ArrayView<int> Index;

    /// <summary>[1], written: the share of the squares that they have.</summary>
    public ArrayView<float> Energy;

    /// <summary>n.</summary>
    public int Length;

    /// <summary>r, 1 to n.</summary>
    public int Rank;
}

/// <summary>The columns with the largest scores, without sorting: the r-th largest is found bit by bit.</summary>
/// <remarks>
/// Source: Modoranu et al. 2025, arXiv:2505.17967, section 3: keep the columns of the transformed gradient with the largest
/// norms.
/// Shapes: scores, squares [n], index [r], energy [1].
/// Traffic: the scores are read 34 times, from cache.
/// Needs: one group, its size a power of two up to 256; 3 KiB of shared memory; 34 sums over the group.
/// Order: sums of squares in the order of the group's items.
/// Ties: the lowest index. Domain: a NaN is below all numbers. All squares 0: the share is 1.
/// Error: the energy's is derived in the reference.
/// </remarks>
internal static class SelectKernel
{
    [DeviceKernel("dct/select.top")]
    internal static void Top(SelectArguments t)
    {
        ArrayView<float> shared = SharedMemory.Allocate<float>(GroupTree.MaxGroup);
        ArrayView<int> above = SharedMemory.Allocate<int>(GroupTree.MaxGroup);
        ArrayView<int> level = SharedMemory.Allocate<int>(GroupTree.MaxGroup);
        int item = Group.IdxX;
        uint threshold = 0;
        for (uint bit = 0x80000000u; bit != 0; bit >>= 1)
        {
            uint candidate = threshold | bit;
            int count = 0;
            for (int j = item; j < t.Length; j += Group.DimX)
            {
                count += Key(t.Scores[j]) >= candidate ? 1 : 0;
            }

            // Below 2^24: exact.
            if (GroupTree.Sum(shared, count) >= t.Rank)
            {
                threshold = candidate;
            }
        }

        int share = (t.Length + Group.DimX - 1) / Group.DimX;
        int begin = IntrinsicMath.Min(item * share, t.Length);
        int end = IntrinsicMath.Min(begin + share, t.Length);
        int more = 0;
        int same = 0;
        for (int j = begin; j < end; j++)
        {
            uint key = Key(t.Scores[j]);
            more += key > threshold ? 1 : 0;
            same += key == threshold ? 1 : 0;
        }

        above[item] = more;
        level[item] = same;
        Group.Barrier();
        more = 0;
        same = 0;
        int all = 0;
        for (int i = 0; i < Group.DimX; i++)
        {
            more += i < item ? above[i] : 0;
            same += i < item ? level[i] : 0;
            all += above[i];
        }

        int wanted = t.Rank - all; // of those at the threshold, the first
        float chosen = 0f;
        float total = 0f;
        for (int j = begin; j < end; j++)
        {
            uint key = Key(t.Scores[j]);
            float squares = t.Squares[j];
            total += squares;
            if (key > threshold || (key == threshold && same < wanted))
            {
                t.Index[more + IntrinsicMath.Min(same, wanted)] = j;
                chosen += squares;
            }

            more += key > threshold ? 1 : 0;
            same += key == threshold ? 1 : 0;
        }

        chosen = GroupTree.Sum(shared, chosen);
        total = GroupTree.Sum(shared, total);
        if (item == 0)
        {
            t.Energy[0] = Share(chosen, total);
        }
    }

    /// <summary>A number that grows with a score, 0 for NaN.</summary>
    internal static uint Key(float score)
    {
        uint bits = Interop.FloatAsInt(score) & 0x7FFFFFFFu;
        return bits > 0x7F800000u ? 0u : bits + 1;
    }

    /// <summary>The share of a part; 1 of nothing.</summary>
    internal static float Share(float part, float all) => all == 0f ? 1f : part / all;
}

/// <summary>The chosen columns of a matrix [rows, n], or the chosen rows of one [n, columns].</summary>
/// <remarks>Traffic: reads and writes r lines. Domain: an index that is none gives 0.</remarks>
internal struct GatherWork : IItemWork
{
    /// <summary>[rows, n] or [n, columns], or by sixteens.</summary>
    public ArrayView<float> From;

    /// <summary>[rows, r] or [r, columns], written.</summary>
    public ArrayView<float> To;

    /// <summary>[r].</summary>
    public ArrayView<int> Index;

    /// <summary>n.</summary>
    public int Length;

    /// <summary>Rows or columns.</summary>
    public int Lines;

    /// <summary>r.</summary>
    public int Rank;

    /// <summary>1 for chosen rows.</summary>
    public int IsLeft;

    /// <summary>1 if an item has a row of the result, for CPUs; else an element.</summary>
    public int IsByRows;

    /// <summary>1 if the matrix lies by sixteen rows or columns: [rows / 16][n][16], rounded up.</summary>
    public int IsBySixteens;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int width = IsLeft != 0 ? Lines : Rank;
        if (IsByRows != 0)
        {
            for (int column = 0; column < width; column++)
            {
                To[i * width + column] = Chosen(i, column);
            }
        }
        else
        {
            long row = Quotient(i, width);
            To[i] = Chosen(row, (int)(i - row * width));
        }
    }

    /// <summary>In 32 bits where they suffice, which takes a fraction of the time.</summary>
    internal static long Quotient(long i, int divisor) =>
        i <= int.MaxValue ? (uint)i / (uint)divisor : i / divisor;

    private readonly float Chosen(long row, int column)
    {
        int number = Index[IsLeft != 0 ? row : column];
        float value = 0f;
        if ((uint)number < (uint)Length)
        {
            long line = IsLeft != 0 ? column : row;
            long at = IsLeft != 0 ? (long)number * Lines + column : row * Length + number;
            at = IsBySixteens != 0 ? ((line >> 4) * Length + number) * 16 + (line & 15) : at;
            value = From[at];
        }

        return value;
    }
}
