using ILGPU;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Linear;

/// <summary>Attention on OpenCL CPU devices: a group of one item has 16 tokens, and the compiler makes SIMD of them.</summary>
/// <remarks>
/// Shapes: as <see cref="AttentionArguments"/>; a group has 16 tokens of a head and walks all tokens, 32 at a time.
/// Storage: F32, accumulation binary32.
/// Traffic: keys and values of a head are read tokens / 16 times, mostly from cache.
/// Needs: 4 KiB of shared memory for 16 of the head's size, and 4 KiB; sizes up to 256.
/// Order: a logit's products in ascending dimension, a token's values in ascending token: the same for every launch.
/// Domain: NaN, or an infinite logit of the positive sign, makes its row NaN; backward, every row it reaches.
/// Error: derived in the reference.
/// Every sum is four times sixteen in registers, and everything between the sums passes through shared memory: there
/// the compiler finds its SIMD.
/// </remarks>
internal static class AttentionRows
{
    /// <summary>Largest size of a head.</summary>
    internal const int MaxSize = 256;

    /// <summary>
    /// Tokens that are walked at a time. PoCL 6, 1024 tokens, heads of 64: 32 and 16 are alike, 64 take three times as long,
    /// since their rows, 3 KiB from each other, meet in a quarter of the first-level cache.
    /// </summary>
    internal const int Chunk = 32;

    internal const int SharedBytes = 64 * (4 * MaxSize + 2 * Chunk);

    [DeviceKernel("linear/attention.rows")]
    internal static void Forward(AttentionArguments t)
    {
        ArrayView<Sixteen> q = SharedMemory.Allocate<Sixteen>(MaxSize);
        ArrayView<Sixteen> o = SharedMemory.Allocate<Sixteen>(MaxSize);
        ArrayView<Sixteen> p = SharedMemory.Allocate<Sixteen>(Chunk);
        int blocks = (t.Tokens + Sixteen.Width - 1) / Sixteen.Width;
        int head = Grid.IdxX / blocks;
        int row = Grid.IdxX % blocks * Sixteen.Width;
        int part = head * t.Size;
        Turn(t.Qkv, q, t, row, 3L * t.Width, part, t.Scale);
        Clear(o, t.Size);
        Sixteen largest = Sixteen.Of(float.NegativeInfinity);
        Sixteen sum = Sixteen.Of(0f);
        for (int begin = 0; begin < t.Tokens; begin += Chunk)
        {
            int count = IntrinsicMath.Min(Chunk, t.Tokens - begin);
            Products(q, p, t.Size, t.Qkv, 3L * t.Width, begin, count, t.Width + part);
            Sixteen next = largest;
            for (int k = 0; k < count; k++)
            {
                Sixteen logit = p[k];
                next = Sixteen.IfGreater(logit, next, logit, next);
            }

            Sixteen shift = largest.Exp(next);
            largest = next;
            sum = sum.Times(shift);
            for (int k = 0; k < count; k++)
            {
                Sixteen weight = p[k].Exp(largest);
                p[k] = weight;
                sum.Add(1f, weight);
            }

            for (int d = 0; d < t.Size; d++)
            {
                o[d] = o[d].Times(shift);
            }

            Mix(p, o, t.Size, t.Qkv, 3L * t.Width, begin, count, 2 * t.Width + part);
        }

        Sixteen share = sum.Inverse();
        for (int d = 0; d < t.Size; d++)
        {
            o[d] = o[d].Times(share);
        }

        TurnBack(o, t.Mixed, t, row, t.Width, part);
        long at = (long)head * t.Tokens + row;
        int wanted = IntrinsicMath.Min(Sixteen.Width, t.Tokens - row);
        largest.StoreFirst(t.State, at, wanted);
        share.StoreFirst(t.State, (long)t.Heads * t.Tokens + at, wanted);
    }

    /// <summary>The gradient of the queries; writes the dots.</summary>
    [DeviceKernel("linear/attention.queryrows")]
    internal static void BackQueries(AttentionArguments t)
    {
        ArrayView<Sixteen> q = SharedMemory.Allocate<Sixteen>(MaxSize);
        ArrayView<Sixteen> g = SharedMemory.Allocate<Sixteen>(MaxSize);
        ArrayView<Sixteen> dq = SharedMemory.Allocate<Sixteen>(MaxSize);
        ArrayView<Sixteen> own = SharedMemory.Allocate<Sixteen>(3); // largest, share, dots
        ArrayView<Sixteen> p = SharedMemory.Allocate<Sixteen>(Chunk);
        ArrayView<Sixteen> ds = SharedMemory.Allocate<Sixteen>(Chunk);
        int blocks = (t.Tokens + Sixteen.Width - 1) / Sixteen.Width;
        int head = Grid.IdxX / blocks;
        int row = Grid.IdxX % blocks * Sixteen.Width;
        int part = head * t.Size;
        // The dots of gradient and result; dq is room for the result meanwhile.
        Turn(t.Grad, g, t, row, t.Width, part, 1f);
        Turn(t.Mixed, dq, t, row, t.Width, part, 1f);
        Sixteen dots = default;
        for (int d = 0; d < t.Size; d++)
        {
            dots.AddProducts(g[d], dq[d]);
        }

        Clear(dq, t.Size);
        Turn(t.Qkv, q, t, row, 3L * t.Width, part, t.Scale);
        long at = (long)head * t.Tokens;
        own[0] = Sixteen.Strided(t.State, row, t.Tokens - 1, 1, at);
        own[1] = Sixteen.Strided(t.State, row, t.Tokens - 1, 1, (long)t.Heads * t.Tokens + at);
        own[2] = dots;
        for (int begin = 0; begin < t.Tokens; begin += Chunk)
        {
            int count = IntrinsicMath.Min(Chunk, t.Tokens - begin);
            Products(q, p, t.Size, t.Qkv, 3L * t.Width, begin, count, t.Width + part);
            Products(g, ds, t.Size, t.Qkv, 3L * t.Width, begin, count, 2 * t.Width + part);
            for (int k = 0; k < count; k++)
            {
                ds[k] = p[k].Exp(own[0]).Times(own[1]).Times(ds[k].Minus(own[2]));
            }

            Mix(ds, dq, t.Size, t.Qkv, 3L * t.Width, begin, count, t.Width + part);
        }

        for (int d = 0; d < t.Size; d++)
        {
            dq[d] = dq[d].Times(t.Scale);
        }

        TurnBack(dq, t.GradQkv, t, row, 3L * t.Width, part);
        own[2].StoreFirst(t.Dots, at + row, IntrinsicMath.Min(Sixteen.Width, t.Tokens - row));
    }

    /// <summary>The gradients of keys and values; reads the dots.</summary>
    [DeviceKernel("linear/attention.keyrows")]
    internal static void BackKeys(AttentionArguments t)
    {
        ArrayView<Sixteen> key = SharedMemory.Allocate<Sixteen>(MaxSize);
        ArrayView<Sixteen> value = SharedMemory.Allocate<Sixteen>(MaxSize);
        ArrayView<Sixteen> dk = SharedMemory.Allocate<Sixteen>(MaxSize);
        ArrayView<Sixteen> dv = SharedMemory.Allocate<Sixteen>(MaxSize);
        ArrayView<Sixteen> p = SharedMemory.Allocate<Sixteen>(Chunk);
        ArrayView<Sixteen> ds = SharedMemory.Allocate<Sixteen>(Chunk);
        int blocks = (t.Tokens + Sixteen.Width - 1) / Sixteen.Width;
        int head = Grid.IdxX / blocks;
        int row = Grid.IdxX % blocks * Sixteen.Width;
        int part = head * t.Size;
        Turn(t.Qkv, key, t, row, 3L * t.Width, t.Width + part, t.Scale);
        Turn(t.Qkv, value, t, row, 3L * t.Width, 2 * t.Width + part, 1f);
        Clear(dk, t.Size);
        Clear(dv, t.Size);
        long at = (long)head * t.Tokens;
        long shares = (long)t.Heads * t.Tokens + at;
        for (int begin = 0; begin < t.Tokens; begin += Chunk)
        {
            int count = IntrinsicMath.Min(Chunk, t.Tokens - begin);
            Products(key, p, t.Size, t.Qkv, 3L * t.Width, begin, count, part);
            Products(value, ds, t.Size, t.Grad, t.Width, begin, count, part);
            for (int i = 0; i < count; i++)
            {
                Sixteen weight = p[i].Exp(Sixteen.Of(t.State[at + begin + i])).Times(t.State[shares + begin + i]);
                p[i] = weight;
                ds[i] = weight.Times(ds[i].Minus(Sixteen.Of(t.Dots[at + begin + i])));
            }

            Mix(p, dv, t.Size, t.Grad, t.Width, begin, count, part);
            Mix(ds, dk, t.Size, t.Qkv, 3L * t.Width, begin, count, part);
        }

        for (int d = 0; d < t.Size; d++)
        {
            dk[d] = dk[d].Times(t.Scale);
        }

        TurnBack(dk, t.GradQkv, t, row, 3L * t.Width, t.Width + part);
        TurnBack(dv, t.GradQkv, t, row, 3L * t.Width, 2 * t.Width + part);
    }

    /// <summary>Groups of a launch, of one item each.</summary>
    internal static long Groups(int tokens, int heads) =>
        ((long)tokens + Sixteen.Width - 1) / Sixteen.Width * heads;

    /// <summary>to[i] = sum over d of view[begin + i, offset + d] z[d], for so many rows i of the view.</summary>
    private static void Products(
        ArrayView<Sixteen> z, ArrayView<Sixteen> to, int size, ArrayView<float> view, long stride, int begin, int count,
        int offset)
    {
        for (int i = 0; i < count; i += 4)
        {
            // Rows beyond the last are the last again, and are not looked at: the chunk has room for them.
            int last = count - 1;
            var sums = default(Four);
            sums.Add(
                z, size, view, (begin + i) * stride + offset,
                (begin + IntrinsicMath.Min(i + 1, last)) * stride + offset,
                (begin + IntrinsicMath.Min(i + 2, last)) * stride + offset,
                (begin + IntrinsicMath.Min(i + 3, last)) * stride + offset, 1);
            to[i] = sums.C0;
            to[i + 1] = sums.C1;
            to[i + 2] = sums.C2;
            to[i + 3] = sums.C3;
        }
    }

    /// <summary>to[d] += sum over i of view[begin + i, offset + d] p[i].</summary>
    private static void Mix(
        ArrayView<Sixteen> p, ArrayView<Sixteen> to, int size, ArrayView<float> view, long stride, int begin, int count,
        int offset)
    {
        long at = begin * stride + offset;
        int d = 0;
        for (; d + 4 <= size; d += 4)
        {
            var sums = new Four { C0 = to[d], C1 = to[d + 1], C2 = to[d + 2], C3 = to[d + 3] };
            sums.Add(p, count, view, at + d, at + d + 1, at + d + 2, at + d + 3, stride);
            to[d] = sums.C0;
            to[d + 1] = sums.C1;
            to[d + 2] = sums.C2;
            to[d + 3] = sums.C3;
        }

        for (; d < size; d++)
        {
            Sixteen sum = to[d];
            for (int i = 0; i < count; i++)
            {
                sum.Add(view[at + d + i * stride], p[i]);
            }

            to[d] = sum;
        }
    }

    private static void Clear(ArrayView<Sixteen> to, int size)
    {
        for (int d = 0; d < size; d++)
        {
            to[d] = Sixteen.Of(0f);
        }
    }

    /// <summary>Sixteen rows, turned; rows beyond the last are the last again, and are dropped in the end.</summary>
    private static void Turn(
        ArrayView<float> view, ArrayView<Sixteen> to, AttentionArguments t, int row, long stride, int offset,
        float factor)
    {
        for (int d = 0; d < t.Size; d++)
        {
            to[d] = Sixteen.Strided(view, row, t.Tokens - 1, stride, offset + d).Times(factor);
        }
    }

    private static void TurnBack(
        ArrayView<Sixteen> from, ArrayView<float> view, AttentionArguments t, int row, long stride, int offset)
    {
        ArrayView<float> numbers = from.Cast<float>();
        int wanted = IntrinsicMath.Min(Sixteen.Width, t.Tokens - row);
        for (int i = 0; i < wanted; i++)
        {
            long at = (row + i) * stride + offset;
            for (int d = 0; d < t.Size; d++)
            {
                view[at + d] = numbers[d * Sixteen.Width + i];
            }
        }
    }

    /// <summary>Four times sixteen sums.</summary>
    private struct Four
    {
        public Sixteen C0;
        public Sixteen C1;
        public Sixteen C2;
        public Sixteen C3;

        /// <summary>C_i += sum over p of view[at_i + p step] w[p].</summary>
        internal void Add(
            ArrayView<Sixteen> w, int count, ArrayView<float> view, long at0, long at1, long at2, long at3, long step)
        {
            for (int p = 0; p < count; p++)
            {
                Sixteen both = w[p];
                long ahead = p * step;
                C0.Add(view[at0 + ahead], both);
                C1.Add(view[at1 + ahead], both);
                C2.Add(view[at2 + ahead], both);
                C3.Add(view[at3 + ahead], both);
            }
        }
    }
}
