using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Linear;

/// <summary>Attention on GPUs: a group has 32 tokens of a head and 64 of its dimensions, and walks tiles of 32 tokens.</summary>
/// <remarks>
/// Shapes: as <see cref="AttentionArguments"/>; an item makes 4 x 4 logits of a tile, and 4 x 8 of the result.
/// Storage: F32, accumulation binary32.
/// Traffic: keys and values of a head are read tokens / 32 times; sizes above 64 compute the logits for each 64 again.
/// Needs: 64 items a group; 24 KiB of shared memory forward, 40 KiB and 44 KiB backward.
/// Order: a logit's products in ascending dimension, a token's values in ascending token, sums of a tile's weights by
/// eights: the same for every launch.
/// Domain: NaN, or an infinite logit of the positive sign, makes its row NaN; backward, every row it reaches.
/// Error: derived in the reference.
/// A tile's stride is 17 packets, and item (y, x) has rows y + 8 i and columns x + 8 j: reads of eight items then fall
/// into different banks, and so do the stores of weights with their stride of 40.
/// </remarks>
internal static partial class AttentionTile
{
    /// <summary>Tokens of a tile.</summary>
    internal const int Side = 32;

    /// <summary>Dimensions of a tile.</summary>
    internal const int Depth = 64;

    /// <summary>Items of a group.</summary>
    internal const int GroupSize = 64;

    private const int Stride = 17;       // packets
    private const int WeightStride = 10; // packets

    [DeviceKernel("linear/attention.tile")]
    internal static void Forward(AttentionArguments t)
    {
        ArrayView<Quad> q = SharedMemory.Allocate<Quad>(Side * Stride);
        ArrayView<Quad> kv = SharedMemory.Allocate<Quad>(Side * Stride);
        ArrayView<Quad> weights = SharedMemory.Allocate<Quad>(Side * WeightStride);
        ArrayView<float> peaks = SharedMemory.Allocate<float>(Side * 8);
        ArrayView<float> sums = SharedMemory.Allocate<float>(Side * 8);
        int y = Group.IdxX >> 3;
        int x = Group.IdxX & 7;
        Place at = Place.Of(t);
        Quad largest = Repeat(float.NegativeInfinity);
        Quad sum = Repeat(0f);
        Result o = default;
        for (int begin = 0; begin < t.Tokens; begin += Side)
        {
            Square s = default;
            for (int slice = 0; slice < at.Slices; slice++)
            {
                Group.Barrier();
                if (at.Slices > 1 || begin == 0)
                {
                    Load(q, t.Qkv, t, at.Row, 3L * t.Width, at.Part, slice);
                }

                Load(kv, t.Qkv, t, begin, 3L * t.Width, t.Width + at.Part, slice);
                Group.Barrier();
                s.AddProducts(q, kv, y, x, t.Size - slice * Depth);
            }

            s.Scale(t.Scale, x, t.Tokens - begin, float.NegativeInfinity);
            PutRows(peaks, y, x, s.Peaks());
            Group.Barrier();
            Quad next = Larger(largest, RowPeaks(peaks, y));
            Quad shift = Exp(largest, next);
            largest = next;
            s.Exp(next);
            PutRows(sums, y, x, s.Sums());
            s.Put(weights, y, x);
            Load(kv, t.Qkv, t, begin, 3L * t.Width, 2 * t.Width + at.Part, at.Slice);
            Group.Barrier();
            sum = Add(Times(sum, shift), RowSums(sums, y));
            o.Times(shift);
            o.Mix(weights, kv, y, x);
        }

        Quad share = new() { X = 1f / sum.X, Y = 1f / sum.Y, Z = 1f / sum.Z, W = 1f / sum.W };
        o.Times(share);
        o.Store(t.Mixed, t, at, y, x, t.Width, at.Part);
        if (x == 0 && at.Slice == 0)
        {
            long state = (long)at.Head * t.Tokens + at.Row + y;
            int left = t.Tokens - at.Row - y;
            StoreRows(t.State, state, left, largest);
            StoreRows(t.State, (long)t.Heads * t.Tokens + state, left, share);
        }
    }

    /// <summary>The gradient of the queries; writes the dots.</summary>
    [DeviceKernel("linear/attention.querytile")]
    internal static void BackQueries(AttentionArguments t)
    {
        ArrayView<Quad> q = SharedMemory.Allocate<Quad>(Side * Stride);
        ArrayView<Quad> g = SharedMemory.Allocate<Quad>(Side * Stride);
        ArrayView<Quad> key = SharedMemory.Allocate<Quad>(Side * Stride);
        ArrayView<Quad> value = SharedMemory.Allocate<Quad>(Side * Stride);
        ArrayView<Quad> weights = SharedMemory.Allocate<Quad>(Side * WeightStride);
        ArrayView<float> sums = SharedMemory.Allocate<float>(Side * 8);
        int y = Group.IdxX >> 3;
        int x = Group.IdxX & 7;
        Place at = Place.Of(t);
        PutRows(sums, y, x, new Quad
        {
            X = Dots(t, at, y, x),
            Y = Dots(t, at, y + 8, x),
            Z = Dots(t, at, y + 16, x),
            W = Dots(t, at, y + 24, x),
        });
        Group.Barrier();
        Quad dots = RowSums(sums, y);
        long state = (long)at.Head * t.Tokens + at.Row + y;
        int left = t.Tokens - at.Row - y;
        if (x == 0 && at.Slice == 0)
        {
            StoreRows(t.Dots, state, left, dots);
        }

        Quad largest = ReadRows(t.State, state, left);
        Quad share = ReadRows(t.State, (long)t.Heads * t.Tokens + state, left);
        Result dq = default;
        for (int begin = 0; begin < t.Tokens; begin += Side)
        {
            Square s = default;
            Square ds = default;
            for (int slice = 0; slice < at.Slices; slice++)
            {
                Group.Barrier();
                if (at.Slices > 1 || begin == 0)
                {
                    Load(q, t.Qkv, t, at.Row, 3L * t.Width, at.Part, slice);
                    Load(g, t.Grad, t, at.Row, t.Width, at.Part, slice);
                }

                Load(key, t.Qkv, t, begin, 3L * t.Width, t.Width + at.Part, slice);
                Load(value, t.Qkv, t, begin, 3L * t.Width, 2 * t.Width + at.Part, slice);
                Group.Barrier();
                s.AddProducts(q, key, y, x, t.Size - slice * Depth);
                ds.AddProducts(g, value, y, x, t.Size - slice * Depth);
            }

            s.Scale(t.Scale, x, t.Tokens - begin, float.NegativeInfinity);
            s.Exp(largest);
            s.TimesRows(share);
            ds.MinusRows(dots);
            ds.Times(s);
            ds.Scale(1f, x, t.Tokens - begin, 0f);
            ds.Put(weights, y, x);
            if (at.Slices > 1)
            {
                Group.Barrier();
                Load(key, t.Qkv, t, begin, 3L * t.Width, t.Width + at.Part, at.Slice);
            }

            Group.Barrier();
            dq.Mix(weights, key, y, x);
        }

        dq.Times(Repeat(t.Scale));
        dq.Store(t.GradQkv, t, at, y, x, 3L * t.Width, at.Part);
    }

    /// <summary>The gradients of keys and values; reads the dots.</summary>
    [DeviceKernel("linear/attention.keytile")]
    internal static void BackKeys(AttentionArguments t)
    {
        ArrayView<Quad> key = SharedMemory.Allocate<Quad>(Side * Stride);
        ArrayView<Quad> value = SharedMemory.Allocate<Quad>(Side * Stride);
        ArrayView<Quad> q = SharedMemory.Allocate<Quad>(Side * Stride);
        ArrayView<Quad> g = SharedMemory.Allocate<Quad>(Side * Stride);
        ArrayView<Quad> weights = SharedMemory.Allocate<Quad>(Side * WeightStride);
        ArrayView<Quad> slopes = SharedMemory.Allocate<Quad>(Side * WeightStride);
        int y = Group.IdxX >> 3;
        int x = Group.IdxX & 7;
        Place at = Place.Of(t);
        Result dk = default;
        Result dv = default;
        for (int begin = 0; begin < t.Tokens; begin += Side)
        {
            Square s = default;
            Square ds = default;
            for (int slice = 0; slice < at.Slices; slice++)
            {
                Group.Barrier();
                if (at.Slices > 1 || begin == 0)
                {
                    Load(key, t.Qkv, t, at.Row, 3L * t.Width, t.Width + at.Part, slice);
                    Load(value, t.Qkv, t, at.Row, 3L * t.Width, 2 * t.Width + at.Part, slice);
                }

                Load(q, t.Qkv, t, begin, 3L * t.Width, at.Part, slice);
                Load(g, t.Grad, t, begin, t.Width, at.Part, slice);
                Group.Barrier();
                s.AddProducts(key, q, y, x, t.Size - slice * Depth);
                ds.AddProducts(value, g, y, x, t.Size - slice * Depth);
            }

            // Columns are queries here: state and dots of x, x + 8, x + 16, x + 24.
            long state = (long)at.Head * t.Tokens + begin + x;
            int left = t.Tokens - begin - x;
            s.Scale(t.Scale, x, t.Tokens - begin, float.NegativeInfinity);
            s.ExpColumns(ReadRows(t.State, state, left), ReadRows(t.State, (long)t.Heads * t.Tokens + state, left));
            ds.MinusColumns(ReadRows(t.Dots, state, left));
            ds.Times(s);
            s.Scale(1f, x, t.Tokens - begin, 0f);
            ds.Scale(1f, x, t.Tokens - begin, 0f);
            s.Put(weights, y, x);
            ds.Put(slopes, y, x);
            if (at.Slices > 1)
            {
                Group.Barrier();
                Load(q, t.Qkv, t, begin, 3L * t.Width, at.Part, at.Slice);
                Load(g, t.Grad, t, begin, t.Width, at.Part, at.Slice);
            }

            Group.Barrier();
            dv.Mix(weights, g, y, x);
            dk.Mix(slopes, q, y, x);
        }

        dk.Times(Repeat(t.Scale));
        dk.Store(t.GradQkv, t, at, y, x, 3L * t.Width, t.Width + at.Part);
        dv.Store(t.GradQkv, t, at, y, x, 3L * t.Width, 2 * t.Width + at.Part);
    }

    /// <summary>Groups of a launch.</summary>
    internal static long Groups(int tokens, int heads, int size) =>
        ((long)tokens + Side - 1) / Side * heads * ((size + Depth - 1) / Depth);

    /// <summary>32 rows of 64 dimensions into shared memory; zeros beyond the last token and the last dimension.</summary>
    private static void Load(
        ArrayView<Quad> to, ArrayView<float> view, AttentionArguments t, int row, long stride, int offset, int slice)
    {
        ArrayView<float> tile = to.Cast<float>();
        int item = Group.IdxX;
        int dimension = slice * Depth + item;
        int rows = Utilities.Select(dimension < t.Size, IntrinsicMath.Min(Side, t.Tokens - row), 0);
        for (int r = 0; r < Side; r++)
        {
            float number = 0f;
            if (r < rows)
            {
                number = view[(row + r) * stride + offset + dimension];
            }

            tile[r * Stride * 4 + item] = number;
        }
    }

    /// <summary>An eighth of the dot of gradient and result of one row.</summary>
    private static float Dots(AttentionArguments t, Place at, int row, int x)
    {
        float sum = 0f;
        if (at.Row + row < t.Tokens)
        {
            long start = (long)(at.Row + row) * t.Width + at.Part;
            for (int d = x; d < t.Size; d += 8)
            {
                sum += t.Grad[start + d] * t.Mixed[start + d];
            }
        }

        return sum;
    }

    /// <summary>What a group does.</summary>
    private struct Place
    {
        public int Head;
        public int Row;    // first token
        public int Part;   // first dimension of the head in a token
        public int Slice;  // of the head's dimensions, for the result
        public int Slices;

        internal static Place Of(AttentionArguments t)
        {
            int blocks = (t.Tokens + Side - 1) / Side;
            int slices = (t.Size + Depth - 1) / Depth;
            int unit = Grid.IdxX / blocks;
            return new Place
            {
                Head = unit / slices,
                Row = Grid.IdxX % blocks * Side,
                Part = unit / slices * t.Size,
                Slice = unit % slices,
                Slices = slices,
            };
        }
    }
}
