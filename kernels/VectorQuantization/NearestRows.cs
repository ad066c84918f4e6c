using ILGPU;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Storage;
using Sixteen = Kernels.DeviceCode.Linear.Sixteen;

namespace Kernels.DeviceCode.VectorQuantization;

/// <summary>The nearest code on OpenCL CPU devices: an item has 16 rows, and the compiler makes SIMD of them.</summary>
/// <remarks>
/// Shapes: rows [n, heads, d], codes [heads, k, d]. A group has 16 rows for each item and walks one split of the codes,
/// four at a time; codes come in chunks that stay in the first-level cache while all items use them.
/// Storage: rows and codes F32, F16, BF16; accumulation binary32.
/// Traffic: the rows once, turned so that 16 of them are beside each other; the codes once for each group.
/// Needs: 256 KiB of shared memory and d of at most 4096; a barrier for each chunk.
/// Order: a score's products are added in ascending dimension to the code's term: the same for every launch.
/// Ties: lowest index. Domain: a score that is NaN never wins; a row that is not finite or has no winner has index -1.
/// </remarks>
internal static class NearestRows
{
    /// <summary>Room for the turned rows, in units of 16 floats.</summary>
    internal const int Room = 4096;

    /// <summary>Most items of a group.</summary>
    internal const int MaxItems = 16;

    internal const int SharedBytes = 64 * (Room + 3 * MaxItems);

    [DeviceKernel("vq/nearest.rows")]
    internal static void Search<TRow, TCode, TMetric, TRunnerUp>(TRow rows, TCode codes, NearestArguments t, int chunk)
        where TRow : struct, IStorage
        where TCode : struct, IStorage
        where TMetric : struct, ICodeMetric
        where TRunnerUp : struct, IRunnerUp
    {
        ArrayView<Sixteen> z = SharedMemory.Allocate<Sixteen>(Room);
        ArrayView<Sixteen> scores = SharedMemory.Allocate<Sixteen>(MaxItems);
        ArrayView<Sixteen> seconds = SharedMemory.Allocate<Sixteen>(MaxItems);
        ArrayView<SixteenIndices> indices = SharedMemory.Allocate<SixteenIndices>(MaxItems);
        int item = Group.IdxX;
        int unit = Grid.IdxX / t.RowGroups;
        int head = unit / t.Splits;
        int split = unit - head * t.Splits;
        int row = (Grid.IdxX % t.RowGroups * Group.DimX + item) * Sixteen.Width;
        int own = item * t.Dimension;
        // Bounds that differ between the items: else PoCL would run the items inside of these loops.
        int dimension = IntrinsicMath.Min(t.Dimension, t.Dimension + item);
        for (int d = 0; d < dimension; d++)
        {
            z[own + d] = Turn(rows, t, row, (long)head * t.Dimension + d);
        }

        int wanted = IntrinsicMath.Min(Sixteen.Width, t.Rows - row);
        int place = item * Sixteen.Width;
        long list = TopList.Begin(t, split, head, row);
        if (TRunnerUp.Many)
        {
            // The least scores of the lists: nothing is above that of a row that is not there.
            scores[item] = Sixteen.Of(float.PositiveInfinity);
            for (int i = 0; i < wanted; i++)
            {
                TopList.Clear(t, list + i);
                scores.Cast<float>()[place + i] = float.NegativeInfinity;
            }
        }
        else
        {
            scores[item] = Sixteen.Of(float.NegativeInfinity);
        }

        seconds[item] = Sixteen.Of(float.NegativeInfinity);
        indices[item] = SixteenIndices.Of(-1);
        int first = split * t.SplitCodes;
        int last = IntrinsicMath.Min(first + t.SplitCodes, t.Codes);
        for (int begin = first; begin < last; begin += chunk)
        {
            Group.Barrier();
            int end = IntrinsicMath.Min(IntrinsicMath.Min(begin + chunk, last), last + item);
            int k = begin;
            for (; k + 4 <= end; k += 4)
            {
                long term = (long)head * t.Codes + k;
                long at = term * t.Dimension;
                Sixteen c0 = Start<TMetric>(t, term);
                Sixteen c1 = Start<TMetric>(t, term + 1);
                Sixteen c2 = Start<TMetric>(t, term + 2);
                Sixteen c3 = Start<TMetric>(t, term + 3);
                for (int d = 0; d < dimension; d++)
                {
                    Sixteen turned = z[own + d];
                    c0.Add(codes.Decode(codes.Read(at + d)), turned);
                    c1.Add(codes.Decode(codes.Read(at + t.Dimension + d)), turned);
                    c2.Add(codes.Decode(codes.Read(at + 2L * t.Dimension + d)), turned);
                    c3.Add(codes.Decode(codes.Read(at + 3L * t.Dimension + d)), turned);
                }

                if (TRunnerUp.Many)
                {
                    Few(t, scores, seconds, item, list, Finish<TMetric>(t, term, c0), k);
                    Few(t, scores, seconds, item, list, Finish<TMetric>(t, term + 1, c1), k + 1);
                    Few(t, scores, seconds, item, list, Finish<TMetric>(t, term + 2, c2), k + 2);
                    Few(t, scores, seconds, item, list, Finish<TMetric>(t, term + 3, c3), k + 3);
                }
                else
                {
                    c0 = Finish<TMetric>(t, term, c0);
                    c1 = Finish<TMetric>(t, term + 1, c1);
                    c2 = Finish<TMetric>(t, term + 2, c2);
                    c3 = Finish<TMetric>(t, term + 3, c3);
                    // Mostly none of the four is among the best of any row.
                    Sixteen least = TRunnerUp.Kept ? seconds[item] : scores[item];
                    if (least.Max(c0).Max(c1).Max(c2).Max(c3).IsAnyGreater(least))
                    {
                        var best = new SixteenBest { Score = scores[item], Second = seconds[item], Index = indices[item] };
                        best.Take<TRunnerUp>(c0, k);
                        best.Take<TRunnerUp>(c1, k + 1);
                        best.Take<TRunnerUp>(c2, k + 2);
                        best.Take<TRunnerUp>(c3, k + 3);
                        scores[item] = best.Score;
                        seconds[item] = best.Second;
                        indices[item] = best.Index;
                    }
                }
            }

            for (; k < end; k++)
            {
                long term = (long)head * t.Codes + k;
                Sixteen c = Start<TMetric>(t, term);
                for (int d = 0; d < dimension; d++)
                {
                    c.Add(codes.Decode(codes.Read(term * t.Dimension + d)), z[own + d]);
                }

                if (TRunnerUp.Many)
                {
                    Few(t, scores, seconds, item, list, Finish<TMetric>(t, term, c), k);
                }
                else
                {
                    var best = new SixteenBest { Score = scores[item], Second = seconds[item], Index = indices[item] };
                    best.Take<TRunnerUp>(Finish<TMetric>(t, term, c), k);
                    scores[item] = best.Score;
                    seconds[item] = best.Second;
                    indices[item] = best.Index;
                }
            }

            Group.Barrier();
        }

        if (!TRunnerUp.Many)
        {
            long result = ((long)split * t.Heads + head) * t.Rows + row;
            for (int i = 0; i < wanted; i++)
            {
                t.Scores[result + i] = scores.Cast<float>()[place + i];
                t.Indices[result + i] = indices.Cast<int>()[place + i];
                if (TRunnerUp.Kept)
                {
                    t.Seconds[result + i] = seconds.Cast<float>()[place + i];
                }
            }
        }
    }

    /// <summary>A code into the lists of the rows that it is good enough for; mostly none.</summary>
    private static void Few(
        NearestArguments t, ArrayView<Sixteen> least, ArrayView<Sixteen> room, int item, long list, Sixteen score, int code)
    {
        if (score.IsAnyGreater(least[item]))
        {
            room[item] = score;
            int place = item * Sixteen.Width;
            for (int i = 0; i < Sixteen.Width; i++)
            {
                float own = room.Cast<float>()[place + i];
                if (TopList.Admits(own, least.Cast<float>()[place + i]))
                {
                    least.Cast<float>()[place + i] = TopList.Insert(t, list + i, own, code);
                }
            }
        }
    }

    /// <summary>The greater, each by itself; of a number and NaN the number, which must be the first.</summary>
    private static Sixteen Max(this Sixteen number, Sixteen other) => Sixteen.IfGreater(other, number, other, number);

    private static Sixteen Start<TMetric>(NearestArguments t, long term)
        where TMetric : struct, ICodeMetric =>
        TMetric.StartsWithTerm ? Sixteen.Of(t.Terms[term]) : Sixteen.Of(0f);

    private static Sixteen Finish<TMetric>(NearestArguments t, long term, Sixteen sum)
        where TMetric : struct, ICodeMetric =>
        TMetric.EndsWithTerm ? sum.Times(t.Terms[term]) : sum;

    /// <summary>One dimension of sixteen rows; rows beyond the last are the last again, and are dropped.</summary>
    private static Sixteen Turn<TRow>(TRow rows, NearestArguments t, int row, long offset)
        where TRow : struct, IStorage => new()
        {
            V0 = One(rows, t, row, offset),
            V1 = One(rows, t, row + 1, offset),
            V2 = One(rows, t, row + 2, offset),
            V3 = One(rows, t, row + 3, offset),
            V4 = One(rows, t, row + 4, offset),
            V5 = One(rows, t, row + 5, offset),
            V6 = One(rows, t, row + 6, offset),
            V7 = One(rows, t, row + 7, offset),
            V8 = One(rows, t, row + 8, offset),
            V9 = One(rows, t, row + 9, offset),
            V10 = One(rows, t, row + 10, offset),
            V11 = One(rows, t, row + 11, offset),
            V12 = One(rows, t, row + 12, offset),
            V13 = One(rows, t, row + 13, offset),
            V14 = One(rows, t, row + 14, offset),
            V15 = One(rows, t, row + 15, offset),
        };

    private static float One<TRow>(TRow rows, NearestArguments t, int row, long offset)
        where TRow : struct, IStorage =>
        rows.Decode(rows.Read(IntrinsicMath.Min(row, t.Rows - 1) * t.RowStride + offset));

    private struct SixteenBest
    {
        public Sixteen Score;
        public Sixteen Second;
        public SixteenIndices Index;

        internal void Take<TRunnerUp>(Sixteen score, int index)
            where TRunnerUp : struct, IRunnerUp
        {
            if (TRunnerUp.Kept)
            {
                Sixteen second = Sixteen.IfGreater(score, Second, score, Second);
                Second = Sixteen.IfGreater(score, Score, Score, second);
            }

            Index.TakeIfGreater(score, Score, index);
            Score = Sixteen.IfGreater(score, Score, score, Score);
        }
    }
}
