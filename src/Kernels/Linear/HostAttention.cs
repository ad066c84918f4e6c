using System.Numerics;
using System.Runtime.CompilerServices;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Linear;
using Kernels.Host;

namespace Kernels.Linear;

/// <summary>
/// Attention on ILGPU's CPU accelerator, walked as <see cref="AttentionRows"/>: a unit has two SIMD registers of tokens
/// of a head, and sees all tokens, 32 at a time.
/// </summary>
internal unsafe struct HostAttention : IHostWork
{
    private const int Chunk = AttentionRows.Chunk;

    // A thread is woken for about ten microseconds of work.
    private const long Grain = 250_000;

    internal enum Pass
    {
        Forward,
        BackQueries,
        BackKeys,
    }

    public Pass Kind;
    public float* Qkv;
    public float* Mixed;
    public float* State;
    public float* Grad;
    public float* Dots;
    public float* GradQkv;
    public int Tokens;
    public int Heads;
    public int Size;
    public float Scale;

    private static int Width => 2 * Vector<float>.Count;

    private readonly long Stride => (long)Heads * Size;

    internal static void Run(in HostAttention work, int threads)
    {
        long units = ((long)work.Tokens + Width - 1) / Width * work.Heads;
        long cost = 4L * work.Tokens * work.Size * Width;
        HostPool.Run(work, units, Math.Max(1, Grain / Math.Max(1, cost)), threads);
    }

    public readonly void Run(long begin, long end)
    {
        float[] scratch = Scratch.Rows ??= GC.AllocateUninitializedArray<float>(
            ((4 * AttentionRows.MaxSize) + (2 * Chunk)) * Width, pinned: true);
        float* rows = (float*)Unsafe.AsPointer(ref scratch[0]); // pinned
        int blocks = (Tokens + Width - 1) / Width;
        for (long unit = begin; unit < end; unit++)
        {
            int head = (int)(unit / blocks);
            int row = (int)(unit % blocks) * Width;
            switch (Kind)
            {
                case Pass.Forward:
                    Forward(rows, head, row);
                    break;
                case Pass.BackQueries:
                    BackQueries(rows, head, row);
                    break;
                default:
                    BackKeys(rows, head, row);
                    break;
            }
        }
    }

    private static class Scratch
    {
        [ThreadStatic]
        internal static float[]? Rows;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Forward(float* q, int head, int row)
    {
        int width = Width;
        int lanes = Vector<float>.Count;
        float* o = q + (Size * width);
        float* p = o + (Size * width);
        long part = (long)head * Size;
        Turn(Qkv + part, 3 * Stride, q, row, Scale);
        new Span<float>(o, Size * width).Clear();
        Vector<float> largest0 = new(float.NegativeInfinity);
        Vector<float> largest1 = largest0;
        Vector<float> sum0 = Vector<float>.Zero;
        Vector<float> sum1 = Vector<float>.Zero;
        for (int begin = 0; begin < Tokens; begin += Chunk)
        {
            int count = Math.Min(Chunk, Tokens - begin);
            Products(q, p, Qkv + (begin * 3L * Stride) + Stride + part, 3 * Stride, count);
            Vector<float> next0 = largest0;
            Vector<float> next1 = largest1;
            for (float* at = p; at < p + (count * width); at += width)
            {
                Vector<float> logit = Vector.Load(at);
                next0 = Vector.ConditionalSelect(Vector.GreaterThan(logit, next0), logit, next0);
                logit = Vector.Load(at + lanes);
                next1 = Vector.ConditionalSelect(Vector.GreaterThan(logit, next1), logit, next1);
            }

            Vector<float> shift0 = Exp(largest0 - next0);
            Vector<float> shift1 = Exp(largest1 - next1);
            largest0 = next0;
            largest1 = next1;
            sum0 *= shift0;
            sum1 *= shift1;
            for (float* at = p; at < p + (count * width); at += width)
            {
                Vector<float> weight = Exp(Vector.Load(at) - largest0);
                weight.Store(at);
                sum0 += weight;
                weight = Exp(Vector.Load(at + lanes) - largest1);
                weight.Store(at + lanes);
                sum1 += weight;
            }

            Times(o, shift0, shift1);
            Mix(p, o, Qkv + (begin * 3L * Stride) + (2 * Stride) + part, 3 * Stride, count);
        }

        Vector<float> share0 = Vector<float>.One / sum0;
        Vector<float> share1 = Vector<float>.One / sum1;
        Times(o, share0, share1);
        TurnBack(o, Mixed + part, Stride, row);
        float* state = State + ((long)head * Tokens) + row;
        StoreFirst(largest0, largest1, state, Tokens - row);
        StoreFirst(share0, share1, state + ((long)Heads * Tokens), Tokens - row);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void BackQueries(float* q, int head, int row)
    {
        int width = Width;
        int lanes = Vector<float>.Count;
        float* g = q + (Size * width);
        float* dq = g + (Size * width);
        float* p = dq + (Size * width);
        float* ds = p + (Chunk * width);
        long part = (long)head * Size;
        Turn(Qkv + part, 3 * Stride, q, row, Scale);
        Turn(Grad + part, Stride, g, row, 1);
        Turn(Mixed + part, Stride, dq, row, 1);
        Vector<float> dots0 = Vector<float>.Zero;
        Vector<float> dots1 = Vector<float>.Zero;
        for (int at = 0; at < Size * width; at += width)
        {
            dots0 += Vector.Load(g + at) * Vector.Load(dq + at);
            dots1 += Vector.Load(g + at + lanes) * Vector.Load(dq + at + lanes);
        }

        new Span<float>(dq, Size * width).Clear();
        float* state = State + ((long)head * Tokens) + row;
        // The state of sixteen tokens; p is room for it.
        LoadFirst(state, p, Tokens - row);
        Vector<float> largest0 = Vector.Load(p), largest1 = Vector.Load(p + lanes);
        LoadFirst(state + ((long)Heads * Tokens), p, Tokens - row);
        Vector<float> share0 = Vector.Load(p), share1 = Vector.Load(p + lanes);
        for (int begin = 0; begin < Tokens; begin += Chunk)
        {
            int count = Math.Min(Chunk, Tokens - begin);
            float* keys = Qkv + (begin * 3L * Stride) + Stride + part;
            Products(q, p, keys, 3 * Stride, count);
            Products(g, ds, keys + Stride, 3 * Stride, count);
            for (int at = 0; at < count * width; at += width)
            {
                Vector<float> weight = Exp(Vector.Load(p + at) - largest0) * share0;
                (weight * (Vector.Load(ds + at) - dots0)).Store(ds + at);
                weight = Exp(Vector.Load(p + at + lanes) - largest1) * share1;
                (weight * (Vector.Load(ds + at + lanes) - dots1)).Store(ds + at + lanes);
            }

            Mix(ds, dq, keys, 3 * Stride, count);
        }

        Times(dq, new Vector<float>(Scale), new Vector<float>(Scale));
        TurnBack(dq, GradQkv + part, 3 * Stride, row);
        StoreFirst(dots0, dots1, Dots + ((long)head * Tokens) + row, Tokens - row);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void BackKeys(float* key, int head, int row)
    {
        int width = Width;
        int lanes = Vector<float>.Count;
        float* value = key + (Size * width);
        float* dk = value + (Size * width);
        float* dv = dk + (Size * width);
        float* p = dv + (Size * width);
        float* ds = p + (Chunk * width);
        long part = (long)head * Size;
        Turn(Qkv + Stride + part, 3 * Stride, key, row, Scale);
        Turn(Qkv + (2 * Stride) + part, 3 * Stride, value, row, 1);
        new Span<float>(dk, 2 * Size * width).Clear();
        float* largest = State + ((long)head * Tokens);
        float* share = largest + ((long)Heads * Tokens);
        float* dots = Dots + ((long)head * Tokens);
        for (int begin = 0; begin < Tokens; begin += Chunk)
        {
            int count = Math.Min(Chunk, Tokens - begin);
            float* queries = Qkv + (begin * 3L * Stride) + part;
            float* grads = Grad + (begin * Stride) + part;
            Products(key, p, queries, 3 * Stride, count);
            Products(value, ds, grads, Stride, count);
            for (int i = 0; i < count; i++)
            {
                var shift = new Vector<float>(largest[begin + i]);
                var dot = new Vector<float>(dots[begin + i]);
                for (int at = i * width; at < (i + 1) * width; at += lanes)
                {
                    Vector<float> weight = Exp(Vector.Load(p + at) - shift) * share[begin + i];
                    weight.Store(p + at);
                    (weight * (Vector.Load(ds + at) - dot)).Store(ds + at);
                }
            }

            Mix(p, dv, grads, Stride, count);
            Mix(ds, dk, queries, 3 * Stride, count);
        }

        Times(dk, new Vector<float>(Scale), new Vector<float>(Scale));
        TurnBack(dk, GradQkv + Stride + part, 3 * Stride, row);
        TurnBack(dv, GradQkv + (2 * Stride) + part, 3 * Stride, row);
    }

    /// <summary>to[i] = sum over d of rows[i, d] z[d].</summary>
    private readonly void Products(float* z, float* to, float* rows, long stride, int count)
    {
        new Span<float>(to, count * Width).Clear();
        Add(z, Size, rows, stride, 1, to, count);
    }

    /// <summary>to[d] += sum over i of rows[i, d] p[i].</summary>
    private readonly void Mix(float* p, float* to, float* rows, long stride, int count) =>
        Add(p, count, rows, 1, stride, to, Size);

    /// <summary>to[i] += sum over p of a[i across + p along] w[p], for so many i.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add(float* w, int depth, float* a, long across, long along, float* to, int count)
    {
        int lanes = Vector<float>.Count;
        int width = 2 * lanes;
        int i = 0;
        for (; i + 4 <= count; i += 4, to += 4 * width)
        {
            float* a0 = a + (i * across);
            float* a1 = a0 + across;
            float* a2 = a1 + across;
            float* a3 = a2 + across;
            Vector<float> c00 = Vector.Load(to), c01 = Vector.Load(to + lanes);
            Vector<float> c10 = Vector.Load(to + width), c11 = Vector.Load(to + width + lanes);
            Vector<float> c20 = Vector.Load(to + (2 * width)), c21 = Vector.Load(to + (2 * width) + lanes);
            Vector<float> c30 = Vector.Load(to + (3 * width)), c31 = Vector.Load(to + (3 * width) + lanes);
            float* b = w;
            long at = 0;
            for (int p = 0; p < depth; p++, at += along, b += width)
            {
                Vector<float> b0 = Vector.Load(b);
                Vector<float> b1 = Vector.Load(b + lanes);
                var factor = new Vector<float>(a0[at]);
                c00 = Vector.MultiplyAddEstimate(factor, b0, c00);
                c01 = Vector.MultiplyAddEstimate(factor, b1, c01);
                factor = new Vector<float>(a1[at]);
                c10 = Vector.MultiplyAddEstimate(factor, b0, c10);
                c11 = Vector.MultiplyAddEstimate(factor, b1, c11);
                factor = new Vector<float>(a2[at]);
                c20 = Vector.MultiplyAddEstimate(factor, b0, c20);
                c21 = Vector.MultiplyAddEstimate(factor, b1, c21);
                factor = new Vector<float>(a3[at]);
                c30 = Vector.MultiplyAddEstimate(factor, b0, c30);
                c31 = Vector.MultiplyAddEstimate(factor, b1, c31);
            }

            c00.Store(to);
            c01.Store(to + lanes);
            c10.Store(to + width);
            c11.Store(to + width + lanes);
            c20.Store(to + (2 * width));
            c21.Store(to + (2 * width) + lanes);
            c30.Store(to + (3 * width));
            c31.Store(to + (3 * width) + lanes);
        }

        for (; i < count; i++, to += width)
        {
            Vector<float> c0 = Vector.Load(to), c1 = Vector.Load(to + lanes);
            for (int p = 0; p < depth; p++)
            {
                var factor = new Vector<float>(a[(i * across) + (p * along)]);
                c0 = Vector.MultiplyAddEstimate(factor, Vector.Load(w + (p * width)), c0);
                c1 = Vector.MultiplyAddEstimate(factor, Vector.Load(w + (p * width) + lanes), c1);
            }

            c0.Store(to);
            c1.Store(to + lanes);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<float> Exp(Vector<float> x) => Exponential.OfNegative(new HostLane(x)).Value;

    private readonly void Times(float* rows, Vector<float> factor0, Vector<float> factor1)
    {
        int lanes = Vector<float>.Count;
        for (float* at = rows; at < rows + (Size * Width); at += Width)
        {
            (Vector.Load(at) * factor0).Store(at);
            (Vector.Load(at + lanes) * factor1).Store(at + lanes);
        }
    }

    /// <summary>Rows, turned; rows beyond the last are the last again, and are dropped in the end.</summary>
    private readonly void Turn(float* from, long stride, float* to, int row, float factor)
    {
        int width = Width;
        for (int i = 0; i < width; i++)
        {
            float* line = from + (Math.Min(row + i, Tokens - 1) * stride);
            for (int d = 0; d < Size; d++)
            {
                to[(d * width) + i] = line[d] * factor;
            }
        }
    }

    private readonly void TurnBack(float* from, float* to, long stride, int row)
    {
        int width = Width;
        int wanted = Math.Min(width, Tokens - row);
        for (int i = 0; i < wanted; i++)
        {
            float* line = to + ((row + i) * stride);
            for (int d = 0; d < Size; d++)
            {
                line[d] = from[(d * width) + i];
            }
        }
    }

    private static void StoreFirst(Vector<float> low, Vector<float> high, float* to, int count)
    {
        float* both = stackalloc float[Width];
        low.Store(both);
        high.Store(both + Vector<float>.Count);
        new Span<float>(both, Math.Min(count, Width)).CopyTo(new Span<float>(to, Math.Min(count, Width)));
    }

    private static void LoadFirst(float* from, float* to, int count)
    {
        for (int i = 0; i < Width; i++)
        {
            to[i] = from[Math.Min(i, count - 1)];
        }
    }
}
