using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Linear;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.VectorQuantization;

/// <summary>The tensors and sizes of a pass over rows whose codes are known.</summary>
internal struct QuantizeArguments<TRow, TCode>
    where TRow : struct, IStorage
    where TCode : struct, IStorage
{
    public CodeOfRow<TCode> Codes;
    public TRow X;

    /// <summary>Only read where <see cref="HasGrad"/> is not 0.</summary>
    public TRow Grad;

    /// <summary>Out: only written where the same is said of them.</summary>
    public TRow Output;
    public TRow GradX;

    /// <summary>Out: sums of (z - e)^2, one for each row or, of lanes, for each group.</summary>
    public ArrayView<float> Sums;

    /// <summary>How many rows have a code, [1].</summary>
    public ArrayView<int> Used;

    /// <summary>2 beta / d.</summary>
    public float Slope;
    public int HasGrad;
    public int HasOutput;
    public int HasGradX;
    public int HasLoss;

    /// <summary>2 beta / (m d), of the m rows that have a code.</summary>
    public readonly float SlopeOfMean() => Slope / Used[0];

    /// <summary>Whether the rows matter; for the output alone, only their codes do.</summary>
    public readonly bool ReadsRows() => (HasLoss | HasGradX) != 0;
}

/// <summary>Where the code of a row is; rows of all heads are counted through.</summary>
internal struct CodeOfRow<TCode>
    where TCode : struct, IStorage
{
    /// <summary>[heads, codes, d].</summary>
    public TCode Codes;

    /// <summary>[rows, heads].</summary>
    public ArrayView<int> Index;

    /// <summary>Rows times heads.</summary>
    public long Rows;
    public int CodeCount;
    public int Dimension;
    public int Heads;

    /// <summary>0, but not for a compiler to know.</summary>
    public int Zero;

    /// <summary>The code's first element; -1 where the row has none.</summary>
    public readonly long First(long row)
    {
        long place = Place(row);
        return Utilities.Select(place < 0, -1L, place * Dimension);
    }

    /// <summary>Which code it is among those of all heads; -1 where the row has none, or an index out of range.</summary>
    public readonly long Place(long row)
    {
        int code = Index[row];
        long head = 0;
        if (Heads > 1)
        {
            head = row % Heads;
        }

        return Utilities.Select((code >= 0) & (code < CodeCount), head * CodeCount + code, -1L);
    }
}

/// <summary>Output, loss and gradient of rows whose codes are known, in one pass over the rows.</summary>
/// <remarks>
/// Source: van den Oord et al. 2017, arXiv:1711.00937, equation 3: loss = mean (e - z)^2, dz = g + 2 beta / (m d) (z - e),
/// the output is e itself.
/// Shapes: x, output, gradients [rows, heads, d], index [rows, heads], codes [heads, k, d], counts [heads, k], loss [2].
/// Storage: rows F32, F16, BF16, all the same; codes F32, F16, BF16; arithmetic binary32.
/// Traffic: x, codes of the rows and incoming gradient are read once, output and outgoing gradient written once, the index
/// is read twice; 4 bytes for each row (of a GPU: for 256 items) are written and read for the loss.
/// Needs: rows: 8 KiB of shared memory, at most 256 items. Lanes: 1 KiB, a group size that is a power of two up to 256.
/// Order: the squares of a row in eight lanes (rows), or those of a group in its items and then a tree (lanes), and those
/// sums 64 to 1: fixed by the sizes and the device. The number of rows and the histogram are integers.
/// Domain: a row without a code (-1, or any index out of range) has output and gradient 0 and does not count, whatever is in
/// it. NaN and infinity stay in their element, and make the loss NaN or infinite.
/// </remarks>
internal static class QuantizeKernel
{
    /// <summary>g + slope (z - e).</summary>
    internal static T Gradient<T>(T z, T e, T g, T slope)
        where T : struct, ILane<T> => g + slope * (z - e);

    /// <summary>One row an item, for OpenCL CPU devices: their compiler makes SIMD of the loops over the row.</summary>
    [DeviceKernel("vq/quantize.rows")]
    internal static void Rows<TRow, TCode>(QuantizeArguments<TRow, TCode> t)
        where TRow : struct, IStorage
        where TCode : struct, IStorage
    {
        ArrayView<Eight> room = SharedMemory.Allocate<Eight>(RowLanes.MostRows);
        long row = (long)Grid.IdxX * Group.DimX + Group.IdxX;
        if (row < t.Codes.Rows)
        {
            // Bounds that differ between the items: else PoCL would run the items inside of these loops.
            int d = IntrinsicMath.Min(t.Codes.Dimension, t.Codes.Dimension + Group.IdxX);
            long at = row * t.Codes.Dimension;
            long e = t.Codes.First(row);
            if (e < 0)
            {
                Clear(t, row, at, d);
            }
            else
            {
                if (t.HasLoss != 0)
                {
                    t.Sums[row] = Squares(t, at, e, d, room);
                }

                if (t.HasGradX != 0)
                {
                    float slope = t.SlopeOfMean();
                    if (t.HasGrad != 0)
                    {
                        Descend(t, at, e, d, slope);
                    }
                    else
                    {
                        Slopes(t, at, e, d, slope);
                    }
                }

                // Last: the output may lie in the place of the rows.
                if (t.HasOutput != 0)
                {
                    Eight.Copy(t.Codes.Codes, e, t.Output, at, d);
                }
            }
        }
    }

    /// <summary>Some lanes a row, for GPUs; consecutive items have consecutive elements or, in packets, fours of them.</summary>
    [DeviceKernel("vq/quantize.lanes")]
    internal static void Lanes<TRow, TCode, TAccess>(QuantizeArguments<TRow, TCode> t, RowLanes lanes)
        where TRow : struct, IStorage
        where TCode : struct, IStorage
        where TAccess : struct, IAccess
    {
        ArrayView<float> shared = SharedMemory.Allocate<float>(GroupTree.MaxGroup);
        long row = lanes.Row();
        float sum = 0f;
        if (row < t.Codes.Rows)
        {
            long at = row * t.Codes.Dimension;
            long code = t.Codes.First(row);
            bool known = code >= 0;
            long e = Utilities.Select(known, code, 0L);
            float slope = 0f;
            if (t.HasGradX != 0)
            {
                slope = t.SlopeOfMean();
            }

            for (int i = lanes.Lane(); i < lanes.Units; i += lanes.Count)
            {
                if (TAccess.Packets)
                {
                    Quad z = default;
                    if (t.ReadsRows())
                    {
                        z = Update.Decode(t.X, (at >> 2) + i);
                    }

                    Quad value = Update.Decode(t.Codes.Codes, (e >> 2) + i);
                    sum += Square(z.X, value.X) + Square(z.Y, value.Y) + (Square(z.Z, value.Z) + Square(z.W, value.W));
                    if (t.HasGradX != 0)
                    {
                        Quad g = default;
                        if (t.HasGrad != 0)
                        {
                            g = Update.Decode(t.Grad, (at >> 2) + i);
                        }

                        g.X = Gradient(z.X, value.X, g.X, slope);
                        g.Y = Gradient(z.Y, value.Y, g.Y, slope);
                        g.Z = Gradient(z.Z, value.Z, g.Z, slope);
                        g.W = Gradient(z.W, value.W, g.W, slope);
                        RowLanes.Write(t.GradX, (at >> 2) + i, g, known);
                    }

                    if (t.HasOutput != 0)
                    {
                        RowLanes.Write(t.Output, (at >> 2) + i, value, known);
                    }
                }
                else
                {
                    float z = 0f;
                    if (t.ReadsRows())
                    {
                        z = t.X.Decode(t.X.Read(at + i));
                    }

                    float value = t.Codes.Codes.Decode(t.Codes.Codes.Read(e + i));
                    sum += Square(z, value);
                    if (t.HasGradX != 0)
                    {
                        float g = 0f;
                        if (t.HasGrad != 0)
                        {
                            g = t.Grad.Decode(t.Grad.Read(at + i));
                        }

                        g = Utilities.Select(known, Gradient(z, value, g, slope), 0f);
                        t.GradX.Write(at + i, t.GradX.Encode(g, 0));
                    }

                    if (t.HasOutput != 0)
                    {
                        t.Output.Write(at + i, t.Output.Encode(Utilities.Select(known, value, 0f), 0));
                    }
                }
            }

            sum = Utilities.Select(known, sum, 0f);
        }

        if (t.HasLoss != 0)
        {
            sum = GroupTree.Sum(shared, sum);
            if (Group.IdxX == 0)
            {
                t.Sums[Grid.IdxX] = sum;
            }
        }
    }

    /// <summary>The squares of a row: element i in lane i % 8, the lanes by a tree, and what fills no eight after them.</summary>
    private static float Squares<TRow, TCode>(
        QuantizeArguments<TRow, TCode> t, long at, long e, int d, ArrayView<Eight> room)
        where TRow : struct, IStorage
        where TCode : struct, IStorage
    {
        Eight lanes = default;
        int i = 0;
        for (; i + Eight.Width <= d; i += Eight.Width)
        {
            Eight difference = Eight.Load(t.X, at + i) - Eight.Load(t.Codes.Codes, e + i);
            lanes += difference * difference;
        }

        float sum = lanes.Sum(room, Group.IdxX, t.Codes.Zero);
        for (; i < d; i++)
        {
            sum += Square(t, at + i, e + i);
        }

        return sum;
    }

    private static float Square<TRow, TCode>(QuantizeArguments<TRow, TCode> t, long at, long e)
        where TRow : struct, IStorage
        where TCode : struct, IStorage =>
        Square(t.X.Decode(t.X.Read(at)), t.Codes.Codes.Decode(t.Codes.Codes.Read(e)));

    private static float Square(float z, float e)
    {
        float difference = z - e;
        return difference * difference;
    }

    private static void Clear<TRow, TCode>(QuantizeArguments<TRow, TCode> t, long row, long at, int d)
        where TRow : struct, IStorage
        where TCode : struct, IStorage
    {
        if (t.HasLoss != 0)
        {
            t.Sums[row] = 0f;
        }

        if (t.HasGradX != 0)
        {
            Eight.Clear(t.GradX, at, d);
        }

        if (t.HasOutput != 0)
        {
            Eight.Clear(t.Output, at, d);
        }
    }

    /// <summary>The gradient on top of the incoming one.</summary>
    private static void Descend<TRow, TCode>(QuantizeArguments<TRow, TCode> t, long at, long e, int d, float slope)
        where TRow : struct, IStorage
        where TCode : struct, IStorage
    {
        int i = 0;
        for (; i + Eight.Width <= d; i += Eight.Width)
        {
            Eight difference = Eight.Load(t.X, at + i) - Eight.Load(t.Codes.Codes, e + i);
            (Eight.Load(t.Grad, at + i) + difference * slope).Store(t.GradX, at + i);
        }

        for (; i < d; i++)
        {
            float z = t.X.Decode(t.X.Read(at + i));
            float g = t.Grad.Decode(t.Grad.Read(at + i));
            g = Gradient(z, t.Codes.Codes.Decode(t.Codes.Codes.Read(e + i)), g, slope);
            t.GradX.Write(at + i, t.GradX.Encode(g, 0));
        }
    }

    /// <summary>The gradient of the commitment alone.</summary>
    private static void Slopes<TRow, TCode>(QuantizeArguments<TRow, TCode> t, long at, long e, int d, float slope)
        where TRow : struct, IStorage
        where TCode : struct, IStorage
    {
        int i = 0;
        for (; i + Eight.Width <= d; i += Eight.Width)
        {
            Eight difference = Eight.Load(t.X, at + i) - Eight.Load(t.Codes.Codes, e + i);
            (difference * slope).Store(t.GradX, at + i);
        }

        for (; i < d; i++)
        {
            float z = t.X.Decode(t.X.Read(at + i));
            float g = Gradient(z, t.Codes.Codes.Decode(t.Codes.Codes.Read(e + i)), 0f, slope);
            t.GradX.Write(at + i, t.GradX.Encode(g, 0));
        }
    }

    private static float Gradient(float z, float e, float g, float slope) =>
        Gradient(Lane.Of(z), Lane.Of(e), Lane.Of(g), Lane.Of(slope)).Value;
}

/// <summary>Zeros for the histogram, and for the number of rows that have a code: one code per item.</summary>
internal struct QuantizeClear : IItemWork
{
    /// <summary>Out: [heads, codes], or empty.</summary>
    public ArrayView<int> Counts;

    /// <summary>Out: [1].</summary>
    public ArrayView<int> Used;
    public int HasCounts;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        if (HasCounts != 0)
        {
            Counts[i] = 0;
        }

        if (i == 0)
        {
            Used[0] = 0;
        }
    }
}

/// <summary>The histogram of the codes, and how many rows have one: some rows per item, as far apart as there are items.</summary>
internal struct QuantizeCount<TCode> : IItemWork
    where TCode : struct, IStorage
{
    /// <summary>Rows of an item.</summary>
    internal const int Fold = 64;

    public CodeOfRow<TCode> Codes;
    public ArrayView<int> Counts;
    public ArrayView<int> Used;
    public long Items;
    public int HasCounts;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int used = 0;
        for (long row = i; row < Codes.Rows; row += Items)
        {
            long place = Codes.Place(row);
            if (place >= 0)
            {
                used++;
                if (HasCounts != 0)
                {
                    Atomic.Add(ref Counts[place], 1);
                }
            }
        }

        Atomic.Add(ref Used[0], used);
    }
}

/// <summary>The two losses from the sum of squares: one item.</summary>
internal struct QuantizeLoss : IItemWork
{
    public ArrayView<float> Sum;
    public ArrayView<int> Used;

    /// <summary>Out: codebook and commitment loss, [2].</summary>
    public ArrayView<float> Loss;
    public float Beta;
    public int Dimension;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int used = Used[0];
        float mean = 0f;
        if (used > 0)
        {
            mean = Sum[0] / ((float)used * Dimension);
        }

        Loss[0] = mean;
        Loss[1] = mean * Beta;
    }
}
