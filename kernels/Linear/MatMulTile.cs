using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Linear;

/// <summary>The product on GPUs: a group makes a 64 x 64 tile of C, an item 8 x 8 of it.</summary>
/// <remarks>
/// Shapes: op(A) [m, k], op(B) [k, n], C [m, n], bias [n]. One group a tile; the edges are masked.
/// Storage: F32, accumulation binary32.
/// Traffic: A is read n / 64 times, B m / 64 times, C written once (and read once where it is added to).
/// Needs: 64 items a group, 8704 bytes of shared memory, two barriers for 16 of depth.
/// Order: an element's products are added in ascending k to C0 + bias: the same for every launch.
/// Domain: any sizes from 0 (k = 0 gives the bias); NaN and infinity reach their row and column of C alone.
/// Error: gamma(k) sum |a| |b| and the roundings of bias and activation, derived in the reference.
/// An item's columns are 4 x and 32 + 4 x, rows alike, so that the 128-bit shared reads of eight items are contiguous.
/// The shared stride is 68 floats: the stores that turn rows into columns then fall into different banks.
/// </remarks>
internal static class MatMulTile
{
    /// <summary>Rows and columns of C a group makes.</summary>
    internal const int Side = 64;

    /// <summary>Items of a group.</summary>
    internal const int GroupSize = 64;

    internal const int Depth = 16;
    private const int Stride = 68;
    internal const int StridePackets = Stride / 4;

    [DeviceKernel("linear/matmul.tile")]
    internal static void Multiply<TA, TB, TAccess, TActivation>(MatMulArguments t)
        where TA : struct, ISide
        where TB : struct, ISide
        where TAccess : struct, IAccess
        where TActivation : struct, IActivation
    {
        ArrayView<Quad> a = SharedMemory.Allocate<Quad>(Depth * StridePackets);
        ArrayView<Quad> b = SharedMemory.Allocate<Quad>(Depth * StridePackets);
        int columns = (t.N + Side - 1) / Side;
        int row = Grid.IdxX / columns * Side;
        int column = Grid.IdxX % columns * Side;
        int y = Group.IdxX >> 3;
        int x = Group.IdxX & 7;

        Accumulators c = StartAll<TAccess>(t, row + 4 * y, column + 4 * x);

        // The next pieces of A and B are on their way to registers while the present ones are multiplied.
        Fragment nextA = default;
        Fragment nextB = default;
        if (t.K > 0)
        {
            nextA = Fetch<TA, TAccess>(t.A, t.M, t.K, row, 0);
            nextB = Fetch<TB, TAccess>(t.B, t.N, t.K, column, 0);
        }

        for (int depth = 0; depth < t.K; depth += Depth)
        {
            Group.Barrier();
            Keep<TA, TAccess>(a.Cast<float>(), nextA);
            Keep<TB, TAccess>(b.Cast<float>(), nextB);
            Group.Barrier();
            if (depth + Depth < t.K)
            {
                nextA = Fetch<TA, TAccess>(t.A, t.M, t.K, row, depth + Depth);
                nextB = Fetch<TB, TAccess>(t.B, t.N, t.K, column, depth + Depth);
            }

            for (int p = 0; p < Depth; p++)
            {
                int at = p * StridePackets;
                c.Add(a[at + y], a[at + 8 + y], b[at + x], b[at + 8 + x]);
            }
        }

        StoreAll<TAccess, TActivation>(t, row + 4 * y, column + 4 * x, c);
    }

    // Where depth is contiguous, a warp takes 8 of depth of 16 lines (packets: two items a line) or of 4 lines (scalars:
    // eight items a line), so that whole sectors are read, and its stores fall into 32 different banks.
    private static Fragment Fetch<TSide, TAccess>(ArrayView<float> view, int across, int depth, int line, int p)
        where TSide : struct, ISide
        where TAccess : struct, IAccess
    {
        int item = Group.IdxX;
        if (TAccess.Packets)
        {
            if (TSide.DepthContiguous)
            {
                line += (item & 31) >> 1;
                p += ((item >> 5) << 3) + ((item & 1) << 2);
                return new Fragment
                {
                    Q0 = Packet(view, line, across, p, depth),
                    Q1 = Packet(view, line + 16, across, p, depth),
                    Q2 = Packet(view, line + 32, across, p, depth),
                    Q3 = Packet(view, line + 48, across, p, depth),
                };
            }

            line += (item & 15) << 2;
            p += item >> 4;
            return new Fragment
            {
                Q0 = Packet(view, p, depth, line, across),
                Q1 = Packet(view, p + 4, depth, line, across),
                Q2 = Packet(view, p + 8, depth, line, across),
                Q3 = Packet(view, p + 12, depth, line, across),
            };
        }

        if (TSide.DepthContiguous)
        {
            line += item >> 3;
            p += item & 7;
            return new Fragment
            {
                Q0 = Lines(view, line, across, p, depth),
                Q1 = Lines(view, line + 32, across, p, depth),
                Q2 = Lines(view, line, across, p + 8, depth),
                Q3 = Lines(view, line + 32, across, p + 8, depth),
            };
        }

        line += item;
        return new Fragment
        {
            Q0 = Depths(view, p, depth, line, across),
            Q1 = Depths(view, p + 4, depth, line, across),
            Q2 = Depths(view, p + 8, depth, line, across),
            Q3 = Depths(view, p + 12, depth, line, across),
        };
    }

    /// <summary>Puts what <see cref="Fetch"/> brought into shared memory, [depth, across].</summary>
    internal static void Keep<TSide, TAccess>(ArrayView<float> tile, Fragment f)
        where TSide : struct, ISide
        where TAccess : struct, IAccess
    {
        int item = Group.IdxX;
        if (TAccess.Packets)
        {
            if (TSide.DepthContiguous)
            {
                int at = (((item >> 5) << 3) + ((item & 1) << 2)) * Stride + ((item & 31) >> 1);
                Spread(tile, at, Stride, f.Q0);
                Spread(tile, at + 16, Stride, f.Q1);
                Spread(tile, at + 32, Stride, f.Q2);
                Spread(tile, at + 48, Stride, f.Q3);
            }
            else
            {
                ArrayView<Quad> packets = tile.Cast<Quad>();
                int at = (item >> 4) * StridePackets + (item & 15);
                packets[at] = f.Q0;
                packets[at + 4 * StridePackets] = f.Q1;
                packets[at + 8 * StridePackets] = f.Q2;
                packets[at + 12 * StridePackets] = f.Q3;
            }
        }
        else if (TSide.DepthContiguous)
        {
            int at = (item & 7) * Stride + (item >> 3);
            Spread(tile, at, 8, f.Q0);
            Spread(tile, at + 32, 8, f.Q1);
            Spread(tile, at + 8 * Stride, 8, f.Q2);
            Spread(tile, at + 8 * Stride + 32, 8, f.Q3);
        }
        else
        {
            Spread(tile, item, Stride, f.Q0);
            Spread(tile, item + 4 * Stride, Stride, f.Q1);
            Spread(tile, item + 8 * Stride, Stride, f.Q2);
            Spread(tile, item + 12 * Stride, Stride, f.Q3);
        }
    }

    private static void Spread(ArrayView<float> tile, int at, int stride, Quad q)
    {
        tile[at] = q.X;
        tile[at + stride] = q.Y;
        tile[at + 2 * stride] = q.Z;
        tile[at + 3 * stride] = q.W;
    }

    /// <summary>Four neighbours of a line, or zeros outside; never a branch.</summary>
    private static Quad Packet(ArrayView<float> view, int line, int lines, int position, int length)
    {
        bool inside = (line < lines) & (position < length);
        Quad q = view.Cast<Quad>()[Utilities.Select(inside, (long)line * length + position, 0L) >> 2];
        return new Quad
        {
            X = Utilities.Select(inside, q.X, 0f),
            Y = Utilities.Select(inside, q.Y, 0f),
            Z = Utilities.Select(inside, q.Z, 0f),
            W = Utilities.Select(inside, q.W, 0f),
        };
    }

    /// <summary>One position of four lines that are 8 apart.</summary>
    private static Quad Lines(ArrayView<float> view, int line, int lines, int position, int length) => new()
    {
        X = One(view, line, lines, position, length),
        Y = One(view, line + 8, lines, position, length),
        Z = One(view, line + 16, lines, position, length),
        W = One(view, line + 24, lines, position, length),
    };

    /// <summary>One position of four successive lines.</summary>
    private static Quad Depths(ArrayView<float> view, int line, int lines, int position, int length) => new()
    {
        X = One(view, line, lines, position, length),
        Y = One(view, line + 1, lines, position, length),
        Z = One(view, line + 2, lines, position, length),
        W = One(view, line + 3, lines, position, length),
    };

    private static float One(ArrayView<float> view, int line, int lines, int position, int length)
    {
        bool inside = (line < lines) & (position < length);
        float value = view[Utilities.Select(inside, (long)line * length + position, 0L)];
        return Utilities.Select(inside, value, 0f);
    }

    /// <summary>What the products are added to: C0 + bias.</summary>
    private static Accumulators StartAll<TAccess>(MatMulArguments t, int row, int column)
        where TAccess : struct, IAccess
    {
        Accumulators c = default;
        if (t.Accumulate != 0)
        {
            c.R0 = Load<TAccess>(t, row, column);
            c.R1 = Load<TAccess>(t, row + 1, column);
            c.R2 = Load<TAccess>(t, row + 2, column);
            c.R3 = Load<TAccess>(t, row + 3, column);
            c.R4 = Load<TAccess>(t, row + 32, column);
            c.R5 = Load<TAccess>(t, row + 33, column);
            c.R6 = Load<TAccess>(t, row + 34, column);
            c.R7 = Load<TAccess>(t, row + 35, column);
        }

        if (t.HasBias != 0)
        {
            var ones = new Quad { X = 1f, Y = 1f, Z = 1f, W = 1f };
            c.Add(ones, ones, BiasOf(t, column), BiasOf(t, column + 32));
        }

        return c;
    }

    private static QuadPair Load<TAccess>(MatMulArguments t, int row, int column)
        where TAccess : struct, IAccess
    {
        if (TAccess.Packets)
        {
            return new QuadPair
            {
                Low = Packet(t.C, row, t.M, column, t.N),
                High = Packet(t.C, row, t.M, column + 32, t.N),
            };
        }

        return new QuadPair { Low = LoadFour(t, row, column), High = LoadFour(t, row, column + 32) };
    }

    private static Quad LoadFour(MatMulArguments t, int row, int column) => new()
    {
        X = One(t.C, row, t.M, column, t.N),
        Y = One(t.C, row, t.M, column + 1, t.N),
        Z = One(t.C, row, t.M, column + 2, t.N),
        W = One(t.C, row, t.M, column + 3, t.N),
    };

    private static void StoreAll<TAccess, TActivation>(MatMulArguments t, int row, int column, Accumulators c)
        where TAccess : struct, IAccess
        where TActivation : struct, IActivation
    {
        Store<TAccess, TActivation>(t, row, column, c.R0);
        Store<TAccess, TActivation>(t, row + 1, column, c.R1);
        Store<TAccess, TActivation>(t, row + 2, column, c.R2);
        Store<TAccess, TActivation>(t, row + 3, column, c.R3);
        Store<TAccess, TActivation>(t, row + 32, column, c.R4);
        Store<TAccess, TActivation>(t, row + 33, column, c.R5);
        Store<TAccess, TActivation>(t, row + 34, column, c.R6);
        Store<TAccess, TActivation>(t, row + 35, column, c.R7);
    }

    private static Quad BiasOf(MatMulArguments t, int column) => new()
    {
        X = One(t.Bias, 0, 1, column, t.N),
        Y = One(t.Bias, 0, 1, column + 1, t.N),
        Z = One(t.Bias, 0, 1, column + 2, t.N),
        W = One(t.Bias, 0, 1, column + 3, t.N),
    };

    private static void Store<TAccess, TActivation>(MatMulArguments t, int row, int column, QuadPair c)
        where TAccess : struct, IAccess
        where TActivation : struct, IActivation
    {
        if (row >= t.M)
        {
            return;
        }

        long at = (long)row * t.N + column;
        StoreFour<TAccess>(t, at, column, Apply<TActivation>(c.Low));
        StoreFour<TAccess>(t, at + 32, column + 32, Apply<TActivation>(c.High));
    }

    private static void StoreFour<TAccess>(MatMulArguments t, long at, int column, Quad q)
        where TAccess : struct, IAccess
    {
        if (TAccess.Packets)
        {
            if (column < t.N)
            {
                t.C.Cast<Quad>()[at >> 2] = q;
            }

            return;
        }

        if (column < t.N)
        {
            t.C[at] = q.X;
        }

        if (column + 1 < t.N)
        {
            t.C[at + 1] = q.Y;
        }

        if (column + 2 < t.N)
        {
            t.C[at + 2] = q.Z;
        }

        if (column + 3 < t.N)
        {
            t.C[at + 3] = q.W;
        }
    }

    private static Quad Apply<TActivation>(Quad c)
        where TActivation : struct, IActivation => new()
        {
            X = TActivation.Apply(Lane.Of(c.X)).Value,
            Y = TActivation.Apply(Lane.Of(c.Y)).Value,
            Z = TActivation.Apply(Lane.Of(c.Z)).Value,
            W = TActivation.Apply(Lane.Of(c.W)).Value,
        };

    /// <summary>Sixteen floats of an operand on their way from global to shared memory.</summary>
    internal struct Fragment
    {
        public Quad Q0;
        public Quad Q1;
        public Quad Q2;
        public Quad Q3;
    }

    /// <summary>Eight columns of one row: four, and the four 32 further on.</summary>
    internal struct QuadPair
    {
        public Quad Low;
        public Quad High;

        internal void Add(float a, Quad low, Quad high)
        {
            Low.X += a * low.X;
            Low.Y += a * low.Y;
            Low.Z += a * low.Z;
            Low.W += a * low.W;
            High.X += a * high.X;
            High.Y += a * high.Y;
            High.Z += a * high.Z;
            High.W += a * high.W;
        }
    }

    /// <summary>An item's 8 x 8 part of C, in registers: nothing here may be indexed.</summary>
    internal struct Accumulators
    {
        public QuadPair R0;
        public QuadPair R1;
        public QuadPair R2;
        public QuadPair R3;
        public QuadPair R4;
        public QuadPair R5;
        public QuadPair R6;
        public QuadPair R7;

        internal void Add(Quad aLow, Quad aHigh, Quad bLow, Quad bHigh)
        {
            R0.Add(aLow.X, bLow, bHigh);
            R1.Add(aLow.Y, bLow, bHigh);
            R2.Add(aLow.Z, bLow, bHigh);
            R3.Add(aLow.W, bLow, bHigh);
            R4.Add(aHigh.X, bLow, bHigh);
            R5.Add(aHigh.Y, bLow, bHigh);
            R6.Add(aHigh.Z, bLow, bHigh);
            R7.Add(aHigh.W, bLow, bHigh);
        }
    }
}
