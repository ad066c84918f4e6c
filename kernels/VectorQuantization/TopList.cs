using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;

namespace Kernels.DeviceCode.VectorQuantization;

/// <summary>The best few codes of a row, best first, in memory; at equal scores the lower index is before.</summary>
/// <remarks>
/// Entry j of a row is a stride behind entry j - 1, so that neighbouring rows are beside each other. Few codes enter: of n
/// in random order about top (1 + ln(n / top)).
/// </remarks>
internal static class TopList
{
    /// <summary>Most codes of a list.</summary>
    internal const int Most = 32;

    /// <summary>The first place of a row's list.</summary>
    internal static long Begin(NearestArguments t, long split, long head, long row) =>
        (split * t.Heads + head) * t.Top * t.Rows + row;

    /// <summary>An empty list.</summary>
    internal static void Clear(NearestArguments t, long begin)
    {
        for (int j = 0; j < t.Top; j++)
        {
            t.Scores[begin + (long)j * t.Rows] = float.NegativeInfinity;
            t.Indices[begin + (long)j * t.Rows] = -1;
        }
    }

    /// <summary>Whether a score is above the least of a list; NaN is not.</summary>
    /// <remarks>Not a branch on the comparison itself: ILGPU's OpenCL would take it for NaN.</remarks>
    internal static bool Admits(float score, float least) => Utilities.Select(score > least, 1, 0) != 0;

    /// <summary>Puts in a code that is above the last, and of a higher index than all of its score. The last score then.</summary>
    internal static float Insert(NearestArguments t, long begin, float score, int index)
    {
        long place = begin + (t.Top - 1L) * t.Rows;
        while (place > begin && t.Scores[place - t.Rows] < score)
        {
            t.Scores[place] = t.Scores[place - t.Rows];
            t.Indices[place] = t.Indices[place - t.Rows];
            place -= t.Rows;
        }

        t.Scores[place] = score;
        t.Indices[place] = index;
        return t.Scores[begin + (t.Top - 1L) * t.Rows];
    }

    /// <summary>The code of a rank, of merged splits, with the score of the next.</summary>
    internal static BestCode Ranked(NearestArguments t, long row, long head, long rank)
    {
        long place = Begin(t, 0, head, row) + rank * t.Rows;
        float second = float.NegativeInfinity;
        if (rank + 1 < t.Top)
        {
            second = t.Scores[place + t.Rows];
        }

        return new BestCode { Score = t.Scores[place], Second = second, Index = t.Indices[place] };
    }
}

/// <summary>Merges the lists of all splits into that of the first, one row of a head per item; ascending, as the indices are.</summary>
internal struct TopListMergeWork : IItemWork
{
    public NearestArguments Arguments;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        long head = i / Arguments.Rows;
        long row = i - head * Arguments.Rows;
        long begin = TopList.Begin(Arguments, 0, head, row);
        float least = Arguments.Scores[begin + (Arguments.Top - 1L) * Arguments.Rows];
        for (int split = 1; split < Arguments.Splits; split++)
        {
            long other = TopList.Begin(Arguments, split, head, row);
            for (int j = 0; j < Arguments.Top; j++)
            {
                float score = Arguments.Scores[other + (long)j * Arguments.Rows];
                if (TopList.Admits(score, least))
                {
                    least = TopList.Insert(
                        Arguments, begin, score, Arguments.Indices[other + (long)j * Arguments.Rows]);
                }
            }
        }
    }
}
