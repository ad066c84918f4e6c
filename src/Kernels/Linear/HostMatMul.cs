using System.Numerics;
using System.Runtime.CompilerServices;
using Kernels.DeviceCode.Linear;
using Kernels.Host;
using Kernels.Launching;

namespace Kernels.Linear;

/// <summary>
/// The product on ILGPU's CPU accelerator: packed panels of op(B), six rows by two SIMD registers at a time. Products
/// are added in ascending k to C0 + bias, as on the devices.
/// </summary>
internal static class HostMatMul
{
    private const int Rows = TilePlan.HostBlockRows;
    private const int Columns = MatMulPanel.Columns;
    private const int Depth = MatMulPanel.Depth;

    // A thread is woken for about ten microseconds of work.
    private const long Grain = 500_000;

    /// <summary>C = act(C0 + bias + op(A) op(B)); m and n are positive.</summary>
    internal static unsafe void Run<TActivation>(in HostProduct product, TilePlan plan, int threads)
        where TActivation : struct, IActivation
    {
        var work = new Work<TActivation> { Product = product, Blocks = plan.Blocks };
        long unit = Math.Max(1, 2L * plan.Blocks * Rows * Columns * product.K);
        HostPool.Run(work, plan.Groups, Math.Max(1, Grain / unit), threads);
    }

    private struct Work<TActivation> : IHostWork
        where TActivation : struct, IActivation
    {
        public HostProduct Product;
        public int Blocks;

        public readonly void Run(long begin, long end)
        {
            int panels = (Product.N + Columns - 1) / Columns;
            float[] packed = Scratch.Panel ??= GC.AllocateUninitializedArray<float>(Columns * Depth);
            for (long unit = begin; unit < end; unit++)
            {
                int rowsBegin = (int)(unit / panels) * Blocks * Rows;
                int rowsEnd = (int)Math.Min(Product.M, (long)rowsBegin + (Blocks * Rows));
                Multiply<TActivation>(Product, packed, rowsBegin, rowsEnd, (int)(unit % panels) * Columns);
            }
        }
    }

    private static class Scratch
    {
        [ThreadStatic]
        internal static float[]? Panel;
    }

    private static unsafe void Multiply<TActivation>(
        in HostProduct t, float[] packed, int rowsBegin, int rowsEnd, int columnsBegin)
        where TActivation : struct, IActivation
    {
        int width = 2 * Vector<float>.Count;
        int columnsEnd = Math.Min(t.N, columnsBegin + Columns);
        float* sums = stackalloc float[Rows * width];
        fixed (float* panel = packed)
        {
            int first = 0;
            do
            {
                int depth = Math.Min(Depth, t.K - first);
                bool last = first + depth >= t.K;
                for (int column = columnsBegin; column < columnsEnd; column += width)
                {
                    Pack(t, panel + ((column - columnsBegin) * Depth), column, width, first, depth);
                }

                for (int row = rowsBegin; row < rowsEnd; row += Rows)
                {
                    for (int column = columnsBegin; column < columnsEnd; column += width)
                    {
                        int rows = Math.Min(Rows, rowsEnd - row);
                        int columns = Math.Min(width, columnsEnd - column);
                        Start(t, sums, first > 0, row, rows, column, columns, width);
                        Add(t, sums, panel + ((column - columnsBegin) * Depth), row, rows, first, depth);
                        Store<TActivation>(t, sums, last, row, rows, column, columns, width);
                    }
                }

                first += depth;
            }
            while (first < t.K);
        }
    }

    /// <summary>Columns of op(B), [depth, width]; zeros beyond the last column.</summary>
    private static unsafe void Pack(in HostProduct t, float* to, int column, int width, int first, int depth)
    {
        int columns = Math.Min(width, t.N - column);
        if (columns < width)
        {
            new Span<float>(to, depth * width).Clear();
        }

        if (!t.TransposeB)
        {
            float* from = t.B + ((long)first * t.N) + column;
            for (int p = 0; p < depth; p++, from += t.N, to += width)
            {
                new ReadOnlySpan<float>(from, columns).CopyTo(new Span<float>(to, width));
            }

            return;
        }

        for (int j = 0; j < columns; j++)
        {
            float* from = t.B + ((long)(column + j) * t.K) + first;
            for (int p = 0; p < depth; p++)
            {
                to[(p * width) + j] = from[p];
            }
        }
    }

    private static unsafe void Start(
        in HostProduct t, float* sums, bool partial, int row, int rows, int column, int columns, int width)
    {
        new Span<float>(sums, Rows * width).Clear();
        for (int i = 0; i < rows; i++)
        {
            var sum = new Span<float>(sums + (i * width), columns);
            if (partial || t.Accumulate)
            {
                new ReadOnlySpan<float>(t.C + ((long)(row + i) * t.N) + column, columns).CopyTo(sum);
            }

            if (t.Bias != null && !partial)
            {
                for (int j = 0; j < columns; j++)
                {
                    sum[j] += t.Bias[column + j];
                }
            }
        }
    }

    private static unsafe void Store<TActivation>(
        in HostProduct t, float* sums, bool last, int row, int rows, int column, int columns, int width)
        where TActivation : struct, IActivation
    {
        for (int i = 0; i < rows; i++)
        {
            float* sum = sums + (i * width);
            if (last && typeof(TActivation) != typeof(Identity))
            {
                for (int j = 0; j < width; j += Vector<float>.Count)
                {
                    TActivation.Apply(new HostLane(Vector.Load(sum + j))).Value.Store(sum + j);
                }
            }

            new ReadOnlySpan<float>(sum, columns).CopyTo(
                new Span<float>(t.C + ((long)(row + i) * t.N) + column, columns));
        }
    }

    /// <summary>Adds the products of <paramref name="depth"/> successive k to the sums of six rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static unsafe void Add(in HostProduct t, float* sums, float* b, int row, int rows, int first, int depth)
    {
        int count = Vector<float>.Count;
        int width = 2 * count;
        // Rows beyond the last are the last one again; their sums are dropped.
        float* a0 = t.LineOfA(row, first);
        float* a1 = t.LineOfA(row + Math.Min(1, rows - 1), first);
        float* a2 = t.LineOfA(row + Math.Min(2, rows - 1), first);
        float* a3 = t.LineOfA(row + Math.Min(3, rows - 1), first);
        float* a4 = t.LineOfA(row + Math.Min(4, rows - 1), first);
        float* a5 = t.LineOfA(row + Math.Min(5, rows - 1), first);
        Vector<float> c00 = Vector.Load(sums), c01 = Vector.Load(sums + count);
        Vector<float> c10 = Vector.Load(sums + width), c11 = Vector.Load(sums + width + count);
        Vector<float> c20 = Vector.Load(sums + (2 * width)), c21 = Vector.Load(sums + (2 * width) + count);
        Vector<float> c30 = Vector.Load(sums + (3 * width)), c31 = Vector.Load(sums + (3 * width) + count);
        Vector<float> c40 = Vector.Load(sums + (4 * width)), c41 = Vector.Load(sums + (4 * width) + count);
        Vector<float> c50 = Vector.Load(sums + (5 * width)), c51 = Vector.Load(sums + (5 * width) + count);
        long step = t.TransposeA ? t.M : 1;
        long at = 0;
        for (int p = 0; p < depth; p++, at += step, b += width)
        {
            Vector<float> b0 = Vector.Load(b);
            Vector<float> b1 = Vector.Load(b + count);
            var a = new Vector<float>(a0[at]);
            c00 = Vector.MultiplyAddEstimate(a, b0, c00);
            c01 = Vector.MultiplyAddEstimate(a, b1, c01);
            a = new Vector<float>(a1[at]);
            c10 = Vector.MultiplyAddEstimate(a, b0, c10);
            c11 = Vector.MultiplyAddEstimate(a, b1, c11);
            a = new Vector<float>(a2[at]);
            c20 = Vector.MultiplyAddEstimate(a, b0, c20);
            c21 = Vector.MultiplyAddEstimate(a, b1, c21);
            a = new Vector<float>(a3[at]);
            c30 = Vector.MultiplyAddEstimate(a, b0, c30);
            c31 = Vector.MultiplyAddEstimate(a, b1, c31);
            a = new Vector<float>(a4[at]);
            c40 = Vector.MultiplyAddEstimate(a, b0, c40);
            c41 = Vector.MultiplyAddEstimate(a, b1, c41);
            a = new Vector<float>(a5[at]);
            c50 = Vector.MultiplyAddEstimate(a, b0, c50);
            c51 = Vector.MultiplyAddEstimate(a, b1, c51);
        }

        c00.Store(sums);
        c01.Store(sums + count);
        c10.Store(sums + width);
        c11.Store(sums + width + count);
        c20.Store(sums + (2 * width));
        c21.Store(sums + (2 * width) + count);
        c30.Store(sums + (3 * width));
        c31.Store(sums + (3 * width) + count);
        c40.Store(sums + (4 * width));
        c41.Store(sums + (4 * width) + count);
        c50.Store(sums + (5 * width));
        c51.Store(sums + (5 * width) + count);
    }
}

/// <summary>A product in the host's memory.</summary>
internal unsafe struct HostProduct
{
    public float* A;
    public float* B;
    public float* C;
    public float* Bias; // null: none
    public int M;
    public int N;
    public int K;
    public bool TransposeA;
    public bool TransposeB;
    public bool Accumulate;

    /// <summary>Element (row, p) of op(A).</summary>
    internal readonly float* LineOfA(int row, int p) => TransposeA ? A + ((long)p * M) + row : A + ((long)row * K) + p;
}
