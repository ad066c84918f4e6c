using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Linear;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.VectorQuantization;

/// <summary>The nearest code on GPUs: a group takes 64 rows past all codes of a split, 64 at a time.</summary>
/// <remarks>
/// Shapes: rows [n, heads, d], codes [heads, k, d]; an item makes 8 x 8 scores and keeps the best of its 8 rows.
/// Storage: rows and codes F32, F16, BF16; accumulation binary32.
/// Traffic: the rows k / 64 times (from the second-level cache), the codes n / 64 times.
/// Needs: 64 items a group, 15,616 bytes of shared memory, two barriers for 16 of depth.
/// Order: a score's products are added in ascending dimension to the code's term: the same for every launch.
/// Ties: lowest index. Domain: a score that is NaN never wins; a row that is not finite or has no winner has index -1.
/// Places in shared memory as in <see cref="MatMulTile"/>.
/// </remarks>
internal static class NearestTile
{
    /// <summary>Rows of a group, and codes at a time.</summary>
    internal const int Side = MatMulTile.Side;

    internal const int GroupSize = MatMulTile.GroupSize;

    private const int Columns = 8;

    // Odd, so that the results of a column are in different banks.
    private const int Pitch = Columns + 1;

    private const int TilePitch = Side + 1;

    [DeviceKernel("vq/nearest.tile")]
    internal static void Search<TRow, TCode, TMetric, TRunnerUp, TAccess>(TRow rows, TCode codes, NearestArguments t)
        where TRow : struct, IStorage
        where TCode : struct, IStorage
        where TMetric : struct, ICodeMetric
        where TRunnerUp : struct, IRunnerUp
        where TAccess : struct, IAccess
    {
        ArrayView<Quad> a = SharedMemory.Allocate<Quad>(MatMulTile.Depth * MatMulTile.StridePackets);
        ArrayView<Quad> b = SharedMemory.Allocate<Quad>(MatMulTile.Depth * MatMulTile.StridePackets);
        ArrayView<float> scores = SharedMemory.Allocate<float>(Side * Pitch);
        ArrayView<float> seconds = SharedMemory.Allocate<float>(Side * Pitch);
        ArrayView<int> indices = SharedMemory.Allocate<int>(Side * Pitch);
        int unit = Grid.IdxX / t.RowGroups;
        int head = unit / t.Splits;
        int split = unit - head * t.Splits;
        int row = Grid.IdxX % t.RowGroups * Side;
        int y = Group.IdxX >> 3;
        int x = Group.IdxX & 7;
        int first = split * t.SplitCodes;
        int last = IntrinsicMath.Min(first + t.SplitCodes, t.Codes);
        long termBase = (long)head * t.Codes;

        BestRows best = BestRows.None;
        for (int code = first; code < last; code += Side)
        {
            MatMulTile.QuadPair terms = Terms<TMetric>(t, termBase, code);
            MatMulTile.Accumulators c = Sums<TRow, TCode, TMetric, TAccess>(rows, codes, t, a, b, terms, row, code, head);
            int column = code + 4 * x;
            best.R0.Take<TMetric, TRunnerUp>(c.R0, terms, column, last);
            best.R1.Take<TMetric, TRunnerUp>(c.R1, terms, column, last);
            best.R2.Take<TMetric, TRunnerUp>(c.R2, terms, column, last);
            best.R3.Take<TMetric, TRunnerUp>(c.R3, terms, column, last);
            best.R4.Take<TMetric, TRunnerUp>(c.R4, terms, column, last);
            best.R5.Take<TMetric, TRunnerUp>(c.R5, terms, column, last);
            best.R6.Take<TMetric, TRunnerUp>(c.R6, terms, column, last);
            best.R7.Take<TMetric, TRunnerUp>(c.R7, terms, column, last);
        }

        int place = 4 * y * Pitch + x;
        Keep(scores, seconds, indices, place, best.R0.Best);
        Keep(scores, seconds, indices, place + Pitch, best.R1.Best);
        Keep(scores, seconds, indices, place + 2 * Pitch, best.R2.Best);
        Keep(scores, seconds, indices, place + 3 * Pitch, best.R3.Best);
        Keep(scores, seconds, indices, place + 32 * Pitch, best.R4.Best);
        Keep(scores, seconds, indices, place + 33 * Pitch, best.R5.Best);
        Keep(scores, seconds, indices, place + 34 * Pitch, best.R6.Best);
        Keep(scores, seconds, indices, place + 35 * Pitch, best.R7.Best);
        Group.Barrier();
        int own = row + Group.IdxX;
        BestCode result = BestCode.None;
        for (int column = 0; column < Columns; column++)
        {
            int at = Group.IdxX * Pitch + column;
            result = result.Or(new BestCode { Score = scores[at], Second = seconds[at], Index = indices[at] });
        }

        if (own < t.Rows)
        {
            long at = ((long)split * t.Heads + head) * t.Rows + own;
            t.Scores[at] = result.Score;
            t.Indices[at] = result.Index;
            if (TRunnerUp.Kept)
            {
                t.Seconds[at] = result.Second;
            }
        }
    }

    /// <summary>The best few codes: the scores of a tile go through shared memory to the items that own their rows.</summary>
    /// <remarks>Needs: 29,184 bytes of shared memory, four barriers for a tile and two for 16 of depth.</remarks>
    [DeviceKernel("vq/nearest.tilemany")]
    internal static void SearchMany<TRow, TCode, TMetric, TAccess>(TRow rows, TCode codes, NearestArguments t)
        where TRow : struct, IStorage
        where TCode : struct, IStorage
        where TMetric : struct, ICodeMetric
        where TAccess : struct, IAccess
    {
        ArrayView<Quad> a = SharedMemory.Allocate<Quad>(MatMulTile.Depth * MatMulTile.StridePackets);
        ArrayView<Quad> b = SharedMemory.Allocate<Quad>(MatMulTile.Depth * MatMulTile.StridePackets);
        ArrayView<float> tile = SharedMemory.Allocate<float>(Side * TilePitch);
        int unit = Grid.IdxX / t.RowGroups;
        int head = unit / t.Splits;
        int split = unit - head * t.Splits;
        int row = Grid.IdxX % t.RowGroups * Side;
        int first = split * t.SplitCodes;
        int last = IntrinsicMath.Min(first + t.SplitCodes, t.Codes);
        int own = row + Group.IdxX;
        long list = TopList.Begin(t, split, head, IntrinsicMath.Min(own, t.Rows - 1));
        // No score is above infinity: an item without a row keeps nothing.
        float least = Utilities.Select(own < t.Rows, float.NegativeInfinity, float.PositiveInfinity);
        if (own < t.Rows)
        {
            TopList.Clear(t, list);
        }

        for (int code = first; code < last; code += Side)
        {
            MatMulTile.QuadPair terms = Terms<TMetric>(t, (long)head * t.Codes, code);
            MatMulTile.Accumulators c = Sums<TRow, TCode, TMetric, TAccess>(rows, codes, t, a, b, terms, row, code, head);
            int place = 4 * (Group.IdxX >> 3) * TilePitch + 4 * (Group.IdxX & 7);
            Spread<TMetric>(tile, place, c.R0, terms);
            Spread<TMetric>(tile, place + TilePitch, c.R1, terms);
            Spread<TMetric>(tile, place + 2 * TilePitch, c.R2, terms);
            Spread<TMetric>(tile, place + 3 * TilePitch, c.R3, terms);
            Spread<TMetric>(tile, place + 32 * TilePitch, c.R4, terms);
            Spread<TMetric>(tile, place + 33 * TilePitch, c.R5, terms);
            Spread<TMetric>(tile, place + 34 * TilePitch, c.R6, terms);
            Spread<TMetric>(tile, place + 35 * TilePitch, c.R7, terms);
            Group.Barrier();
            int count = IntrinsicMath.Min(Side, last - code);
            for (int column = 0; column < count; column++)
            {
                float score = tile[Group.IdxX * TilePitch + column];
                if (TopList.Admits(score, least))
                {
                    least = TopList.Insert(t, list, score, code + column);
                }
            }

            Group.Barrier();
        }
    }

    private static void Spread<TMetric>(
        ArrayView<float> tile, int place, MatMulTile.QuadPair sums, MatMulTile.QuadPair terms)
        where TMetric : struct, ICodeMetric
    {
        tile[place] = Score<TMetric>(sums.Low.X, terms.Low.X);
        tile[place + 1] = Score<TMetric>(sums.Low.Y, terms.Low.Y);
        tile[place + 2] = Score<TMetric>(sums.Low.Z, terms.Low.Z);
        tile[place + 3] = Score<TMetric>(sums.Low.W, terms.Low.W);
        tile[place + 32] = Score<TMetric>(sums.High.X, terms.High.X);
        tile[place + 33] = Score<TMetric>(sums.High.Y, terms.High.Y);
        tile[place + 34] = Score<TMetric>(sums.High.Z, terms.High.Z);
        tile[place + 35] = Score<TMetric>(sums.High.W, terms.High.W);
    }

    private static float Score<TMetric>(float sum, float term)
        where TMetric : struct, ICodeMetric => TMetric.EndsWithTerm ? sum * term : sum;

    /// <summary>The products of an item's 8 rows and 8 codes, on top of the codes' terms where the metric starts so.</summary>
    private static MatMulTile.Accumulators Sums<TRow, TCode, TMetric, TAccess>(
        TRow rows, TCode codes, NearestArguments t, ArrayView<Quad> a, ArrayView<Quad> b, MatMulTile.QuadPair terms,
        int row, int code, int head)
        where TRow : struct, IStorage
        where TCode : struct, IStorage
        where TMetric : struct, ICodeMetric
        where TAccess : struct, IAccess
    {
        int y = Group.IdxX >> 3;
        int x = Group.IdxX & 7;
        long offset = (long)head * t.Dimension;
        long codeBase = offset * t.Codes;
        MatMulTile.Accumulators c = default;
        if (TMetric.StartsWithTerm)
        {
            c.R0 = terms;
            c.R1 = terms;
            c.R2 = terms;
            c.R3 = terms;
            c.R4 = terms;
            c.R5 = terms;
            c.R6 = terms;
            c.R7 = terms;
        }

        // Packets are fetched ahead of their use; scalars have too many addresses to wait in registers beside them.
        MatMulTile.Fragment nextA = default;
        MatMulTile.Fragment nextB = default;
        if (TAccess.Packets)
        {
            nextA = Fetch<TRow, TAccess>(rows, t.RowStride, offset, t.Rows, row, t.Dimension, 0);
            nextB = Fetch<TCode, TAccess>(codes, t.Dimension, codeBase, t.Codes, code, t.Dimension, 0);
        }

        for (int depth = 0; depth < t.Dimension; depth += MatMulTile.Depth)
        {
            Group.Barrier();
            if (!TAccess.Packets)
            {
                nextA = Fetch<TRow, TAccess>(rows, t.RowStride, offset, t.Rows, row, t.Dimension, depth);
                MatMulTile.Keep<AlongDepth, TAccess>(a.Cast<float>(), nextA);
                nextB = Fetch<TCode, TAccess>(codes, t.Dimension, codeBase, t.Codes, code, t.Dimension, depth);
                MatMulTile.Keep<AlongDepth, TAccess>(b.Cast<float>(), nextB);
            }
            else
            {
                MatMulTile.Keep<AlongDepth, TAccess>(a.Cast<float>(), nextA);
                MatMulTile.Keep<AlongDepth, TAccess>(b.Cast<float>(), nextB);
            }

            Group.Barrier();
            int ahead = depth + MatMulTile.Depth;
            if (TAccess.Packets & ahead < t.Dimension)
            {
                nextA = Fetch<TRow, TAccess>(rows, t.RowStride, offset, t.Rows, row, t.Dimension, ahead);
                nextB = Fetch<TCode, TAccess>(codes, t.Dimension, codeBase, t.Codes, code, t.Dimension, ahead);
            }

            for (int p = 0; p < MatMulTile.Depth; p++)
            {
                int at = p * MatMulTile.StridePackets;
                c.Add(a[at + y], a[at + 8 + y], b[at + x], b[at + 8 + x]);
            }
        }

        return c;
    }

    private static MatMulTile.QuadPair Terms<TMetric>(NearestArguments t, long termBase, int code)
        where TMetric : struct, ICodeMetric
    {
        if (!(TMetric.StartsWithTerm | TMetric.EndsWithTerm))
        {
            return default;
        }

        int x = Group.IdxX & 7;
        return new MatMulTile.QuadPair
        {
            Low = Terms(t, termBase, code + 4 * x),
            High = Terms(t, termBase, code + 4 * x + 32),
        };
    }

    private static void Keep(
        ArrayView<float> scores, ArrayView<float> seconds, ArrayView<int> indices, int place, BestCode best)
    {
        scores[place] = best.Score;
        seconds[place] = best.Second;
        indices[place] = best.Index;
    }

    private static Quad Terms(NearestArguments t, long termBase, int code) => new()
    {
        X = t.Terms[termBase + IntrinsicMath.Min(code, t.Codes - 1)],
        Y = t.Terms[termBase + IntrinsicMath.Min(code + 1, t.Codes - 1)],
        Z = t.Terms[termBase + IntrinsicMath.Min(code + 2, t.Codes - 1)],
        W = t.Terms[termBase + IntrinsicMath.Min(code + 3, t.Codes - 1)],
    };

    // As in MatMulTile: a warp reads whole sectors, and its stores fall into 32 different banks.
    private static MatMulTile.Fragment Fetch<TStorage, TAccess>(
        TStorage view, long stride, long offset, int lines, int line, int depth, int p)
        where TStorage : struct, IStorage
        where TAccess : struct, IAccess
    {
        int item = Group.IdxX;
        if (TAccess.Packets)
        {
            line += (item & 31) >> 1;
            p += ((item >> 5) << 3) + ((item & 1) << 2);
            return new MatMulTile.Fragment
            {
                Q0 = Packet(view, stride, offset, lines, line, depth, p),
                Q1 = Packet(view, stride, offset, lines, line + 16, depth, p),
                Q2 = Packet(view, stride, offset, lines, line + 32, depth, p),
                Q3 = Packet(view, stride, offset, lines, line + 48, depth, p),
            };
        }

        line += item >> 3;
        p += item & 7;
        return new MatMulTile.Fragment
        {
            Q0 = Lines(view, stride, offset, lines, line, depth, p),
            Q1 = Lines(view, stride, offset, lines, line + 32, depth, p),
            Q2 = Lines(view, stride, offset, lines, line, depth, p + 8),
            Q3 = Lines(view, stride, offset, lines, line + 32, depth, p + 8),
        };
    }

    /// <summary>Four neighbours of a line; zeros beyond the depth, and the last line again beyond it.</summary>
    private static Quad Packet<TStorage>(
        TStorage view, long stride, long offset, int lines, int line, int depth, int p)
        where TStorage : struct, IStorage
    {
        bool inside = p < depth;
        long at = IntrinsicMath.Min(line, lines - 1) * stride + offset + Utilities.Select(inside, p, 0);
        QuadBits q = view.ReadPacket(at >> 2);
        return new Quad
        {
            X = Utilities.Select(inside, view.Decode(q.X), 0f),
            Y = Utilities.Select(inside, view.Decode(q.Y), 0f),
            Z = Utilities.Select(inside, view.Decode(q.Z), 0f),
            W = Utilities.Select(inside, view.Decode(q.W), 0f),
        };
    }

    private static Quad Lines<TStorage>(
        TStorage view, long stride, long offset, int lines, int line, int depth, int p)
        where TStorage : struct, IStorage => new()
        {
            X = One(view, stride, offset, lines, line, depth, p),
            Y = One(view, stride, offset, lines, line + 8, depth, p),
            Z = One(view, stride, offset, lines, line + 16, depth, p),
            W = One(view, stride, offset, lines, line + 24, depth, p),
        };

    private static float One<TStorage>(
        TStorage view, long stride, long offset, int lines, int line, int depth, int p)
        where TStorage : struct, IStorage
    {
        bool inside = p < depth;
        long at = IntrinsicMath.Min(line, lines - 1) * stride + offset + Utilities.Select(inside, p, 0);
        return Utilities.Select(inside, view.Decode(view.Read(at)), 0f);
    }

    /// <summary>The best code of one row of an item.</summary>
    private struct BestRow
    {
        public BestCode Best;

        internal void Take<TMetric, TRunnerUp>(MatMulTile.QuadPair sums, MatMulTile.QuadPair terms, int code, int last)
            where TMetric : struct, ICodeMetric
            where TRunnerUp : struct, IRunnerUp
        {
            Take<TMetric, TRunnerUp>(sums.Low.X, terms.Low.X, code, last);
            Take<TMetric, TRunnerUp>(sums.Low.Y, terms.Low.Y, code + 1, last);
            Take<TMetric, TRunnerUp>(sums.Low.Z, terms.Low.Z, code + 2, last);
            Take<TMetric, TRunnerUp>(sums.Low.W, terms.Low.W, code + 3, last);
            Take<TMetric, TRunnerUp>(sums.High.X, terms.High.X, code + 32, last);
            Take<TMetric, TRunnerUp>(sums.High.Y, terms.High.Y, code + 33, last);
            Take<TMetric, TRunnerUp>(sums.High.Z, terms.High.Z, code + 34, last);
            Take<TMetric, TRunnerUp>(sums.High.W, terms.High.W, code + 35, last);
        }

        private void Take<TMetric, TRunnerUp>(float sum, float term, int code, int last)
            where TMetric : struct, ICodeMetric
            where TRunnerUp : struct, IRunnerUp
        {
            Best.Take<TRunnerUp>(Utilities.Select(code < last, Score<TMetric>(sum, term), float.NegativeInfinity), code);
        }
    }

    private struct BestRows
    {
        public BestRow R0;
        public BestRow R1;
        public BestRow R2;
        public BestRow R3;
        public BestRow R4;
        public BestRow R5;
        public BestRow R6;
        public BestRow R7;

        internal static BestRows None
        {
            get
            {
                var none = new BestRow { Best = BestCode.None };
                return new BestRows
                {
                    R0 = none,
                    R1 = none,
                    R2 = none,
                    R3 = none,
                    R4 = none,
                    R5 = none,
                    R6 = none,
                    R7 = none,
                };
            }
        }
    }
}
