using System.Numerics;
using System.Runtime.CompilerServices;
using Kernels.DeviceCode.VectorQuantization;
using Kernels.Host;
using Kernels.Launching;

namespace Kernels.VectorQuantization;

/// <summary>A search in the host's memory.</summary>
internal unsafe struct HostSearch
{
    public HostStored Rows;
    public HostStored Codes;
    public float* Terms;

    /// <summary>What the search writes; the pointers are into its views.</summary>
    public NearestArguments Lists;
    public float* Scores;
    public float* Seconds;
    public int* Indices;
    public int RowCount;
    public int CodeCount;
    public int Dimension;
    public int Heads;
}

/// <summary>
/// The nearest code on ILGPU's CPU accelerator: sixteen rows beside each other in SIMD registers, four codes at a time,
/// a chunk of codes for several blocks of rows. Sums and ties as on the devices.
/// </summary>
internal static class HostNearest
{
    private const int Width = NearestPlan.Width;

    // A thread is woken for some microseconds of work.
    private const long Grain = 500_000;

    internal static void Run<TMetric, TRunnerUp>(in HostSearch search, in NearestPlan plan, int threads)
        where TMetric : struct, ICodeMetric
        where TRunnerUp : struct, IRunnerUp
    {
        var work = new Work<TMetric, TRunnerUp> { Search = search, Plan = plan };
        long unit = 2L * plan.GroupSize * Width * plan.SplitCodes * search.Dimension;
        HostPool.Run(
            work, (long)plan.RowGroups * plan.Splits * search.Heads, Math.Max(1, Grain / Math.Max(1, unit)), threads);
    }

    private static class Scratch
    {
        [ThreadStatic]
        internal static float[]? Turned;

        [ThreadStatic]
        internal static float[]? Decoded;
    }

    /// <summary>A unit is some blocks of sixteen rows and a split of one head.</summary>
    private struct Work<TMetric, TRunnerUp> : IHostWork
        where TMetric : struct, ICodeMetric
        where TRunnerUp : struct, IRunnerUp
    {
        internal HostSearch Search;
        internal NearestPlan Plan;

        public readonly unsafe void Run(long begin, long end)
        {
            int room = Plan.GroupSize * Width * Search.Dimension;
            int chunkRoom = Math.Max(Plan.Chunk * Search.Dimension, Search.Dimension);
            float[] turned = AtLeast(ref Scratch.Turned, room);
            float[] decoded = AtLeast(ref Scratch.Decoded, chunkRoom);
            fixed (float* z = turned)
            fixed (float* e = decoded)
            {
                for (long unit = begin; unit < end; unit++)
                {
                    long part = unit / Plan.RowGroups;
                    int head = (int)(part / Plan.Splits);
                    Unit(z, e, (int)(unit % Plan.RowGroups) * Plan.GroupSize * Width, head, (int)(part % Plan.Splits));
                }
            }
        }

        private static float[] AtLeast(ref float[]? kept, int length) =>
            kept is { } array && array.Length >= length
                ? array
                : kept = GC.AllocateUninitializedArray<float>(length);

        private readonly unsafe void Unit(float* z, float* room, int firstRow, int head, int split)
        {
            int rows = Math.Min(Plan.GroupSize * Width, Search.RowCount - firstRow);
            int blocks = (rows + Width - 1) / Width;
            float* scores = stackalloc float[blocks * Width];
            float* seconds = stackalloc float[blocks * Width];
            int* indices = stackalloc int[blocks * Width];
            new Span<float>(scores, blocks * Width).Fill(float.NegativeInfinity);
            long list = TopList.Begin(Search.Lists, split, head, firstRow);
            if (TRunnerUp.Many)
            {
                // Nothing is above the least score of a row that is not there.
                new Span<float>(scores + rows, (blocks * Width) - rows).Fill(float.PositiveInfinity);
                for (int row = 0; row < rows; row++)
                {
                    TopList.Clear(Search.Lists, list + row);
                }
            }

            new Span<float>(seconds, blocks * Width).Fill(float.NegativeInfinity);
            new Span<int>(indices, blocks * Width).Fill(-1);
            Turn(z, room, firstRow, rows, blocks, head);

            int d = Search.Dimension;
            int first = split * Plan.SplitCodes;
            int last = Math.Min(first + Plan.SplitCodes, Search.CodeCount);
            for (int code = first; code < last; code += Plan.Chunk)
            {
                int count = Math.Min(Plan.Chunk, last - code);
                long at = ((long)head * Search.CodeCount) + code;
                float* codes = Search.Codes.Values(at * d, count * d, room);
                for (int block = 0; block < blocks; block++)
                {
                    int own = block * Width;
                    for (int lane = 0; lane < Width; lane += 2 * Vector<float>.Count)
                    {
                        int place = own + lane;
                        Block(
                            z + ((long)own * d) + lane, codes, Search.Terms + at, code, count, d,
                            lane + Vector<float>.Count < Width, Search.Lists, list + place, scores + place,
                            seconds + place, indices + place);
                    }
                }
            }

            if (TRunnerUp.Many)
            {
                return;
            }

            long result = ((((long)split * Search.Heads) + head) * Search.RowCount) + firstRow;
            new ReadOnlySpan<float>(scores, rows).CopyTo(new Span<float>(Search.Scores + result, rows));
            new ReadOnlySpan<int>(indices, rows).CopyTo(new Span<int>(Search.Indices + result, rows));
            new ReadOnlySpan<float>(seconds, rows).CopyTo(new Span<float>(Search.Seconds + result, rows));
        }

        /// <summary>Blocks of [dimension, sixteen rows]; rows beyond the last are the last again.</summary>
        private readonly unsafe void Turn(float* z, float* room, int firstRow, int rows, int blocks, int head)
        {
            int d = Search.Dimension;
            for (int i = 0; i < blocks * Width; i++)
            {
                long row = firstRow + Math.Min(i, rows - 1);
                float* values = Search.Rows.Values((row * Search.Heads + head) * d, d, room);
                float* to = z + ((long)(i / Width) * Width * d) + (i % Width);
                for (int p = 0; p < d; p++)
                {
                    to[p * Width] = values[p];
                }
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static unsafe void Block(
            float* z, float* codes, float* terms, int code, int count, int d, bool twoRegisters,
            NearestArguments lists, long list, float* scores, float* seconds, int* indices)
        {
            int w = Vector<float>.Count;
            int two = twoRegisters ? w : 0; // with one register to sixteen rows both are the same
            var best0 = new Best(lists, list, scores, seconds, indices);
            var best1 = new Best(lists, list + two, scores + two, seconds + two, indices + two);
            int k = 0;
            for (; k + 4 <= count; k += 4)
            {
                float* e = codes + ((long)k * d);
                Vector<float> a0 = Start(terms[k]), a1 = a0;
                Vector<float> b0 = Start(terms[k + 1]), b1 = b0;
                Vector<float> c0 = Start(terms[k + 2]), c1 = c0;
                Vector<float> d0 = Start(terms[k + 3]), d1 = d0;
                float* x = z;
                for (int p = 0; p < d; p++, x += Width)
                {
                    Vector<float> z0 = Vector.Load(x);
                    Vector<float> z1 = Vector.Load(x + two);
                    var value = new Vector<float>(e[p]);
                    a0 = Vector.MultiplyAddEstimate(value, z0, a0);
                    a1 = Vector.MultiplyAddEstimate(value, z1, a1);
                    value = new Vector<float>(e[d + p]);
                    b0 = Vector.MultiplyAddEstimate(value, z0, b0);
                    b1 = Vector.MultiplyAddEstimate(value, z1, b1);
                    value = new Vector<float>(e[(2 * d) + p]);
                    c0 = Vector.MultiplyAddEstimate(value, z0, c0);
                    c1 = Vector.MultiplyAddEstimate(value, z1, c1);
                    value = new Vector<float>(e[(3 * d) + p]);
                    d0 = Vector.MultiplyAddEstimate(value, z0, d0);
                    d1 = Vector.MultiplyAddEstimate(value, z1, d1);
                }

                best0.Take(Finish(a0, terms[k]), code + k);
                best1.Take(Finish(a1, terms[k]), code + k);
                best0.Take(Finish(b0, terms[k + 1]), code + k + 1);
                best1.Take(Finish(b1, terms[k + 1]), code + k + 1);
                best0.Take(Finish(c0, terms[k + 2]), code + k + 2);
                best1.Take(Finish(c1, terms[k + 2]), code + k + 2);
                best0.Take(Finish(d0, terms[k + 3]), code + k + 3);
                best1.Take(Finish(d1, terms[k + 3]), code + k + 3);
            }

            for (; k < count; k++)
            {
                Vector<float> a0 = Start(terms[k]), a1 = a0;
                for (int p = 0; p < d; p++)
                {
                    var value = new Vector<float>(codes[((long)k * d) + p]);
                    a0 = Vector.MultiplyAddEstimate(value, Vector.Load(z + (p * Width)), a0);
                    a1 = Vector.MultiplyAddEstimate(value, Vector.Load(z + (p * Width) + two), a1);
                }

                best0.Take(Finish(a0, terms[k]), code + k);
                best1.Take(Finish(a1, terms[k]), code + k);
            }

            best0.Store(scores, seconds, indices);
            best1.Store(scores + two, seconds + two, indices + two);
        }

        private static Vector<float> Start(float term) => new(TMetric.StartsWithTerm ? term : 0f);

        private static Vector<float> Finish(Vector<float> sum, float term) =>
            TMetric.EndsWithTerm ? sum * new Vector<float>(term) : sum;

        private unsafe struct Best(NearestArguments lists, long list, float* scores, float* seconds, int* indices)
        {
            private Vector<float> _score = Vector.Load(scores);
            private Vector<float> _second = Vector.Load(seconds);
            private Vector<int> _index = Vector.Load(indices);

            internal void Take(Vector<float> score, int index)
            {
                if (TRunnerUp.Many)
                {
                    if (Vector.GreaterThanAny(score, _score))
                    {
                        Insert(score, index);
                    }

                    return;
                }

                Vector<int> better = Vector.GreaterThan(score, _score);
                if (TRunnerUp.Kept)
                {
                    Vector<float> second = Vector.ConditionalSelect(Vector.GreaterThan(score, _second), score, _second);
                    _second = Vector.ConditionalSelect(better, _score, second);
                }

                _index = Vector.ConditionalSelect(better, new Vector<int>(index), _index);
                _score = Vector.ConditionalSelect(better, score, _score);
            }

            // Of lists, the scores are the least of each.
            private void Insert(Vector<float> score, int index)
            {
                float* least = stackalloc float[Vector<float>.Count];
                Vector.Store(_score, least);
                for (int i = 0; i < Vector<float>.Count; i++)
                {
                    if (score[i] > least[i])
                    {
                        least[i] = TopList.Insert(lists, list + i, score[i], index);
                    }
                }

                _score = Vector.Load(least);
            }

            internal readonly void Store(float* scores, float* seconds, int* indices)
            {
                Vector.Store(_score, scores);
                Vector.Store(_second, seconds);
                Vector.Store(_index, indices);
            }
        }
    }
}
