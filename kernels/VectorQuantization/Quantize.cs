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
/// Needs: rows: no shared memory. Lanes: 1 KiB, a group size that is a power of two up to 256.
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
        long row = (long)Grid.IdxX * Group.DimX + Group.IdxX;
        if (row < t.Codes.Rows)
        {
            // Bounds that differ between the items: else PoCL would run the items inside of these loops.
            int d = IntrinsicMath.Min(t.Codes.Dimension, t.Codes.Dimension + Group.IdxX);
            long at = row * t.Codes.Dimension;
            long code = t.Codes.First(row);
            bool known = code >= 0;
            long e = Utilities.Select(known, code, 0L);
            if (t.HasLoss != 0)
            {
                t.Sums[row] = Utilities.Select(known, Squares(t, at, e, d), 0f);
            }

            if (t.HasGradX != 0)
            {
                float slope = t.SlopeOfMean();
                if (t.HasGrad != 0)
                {
                    for (int i = 0; i < d; i++)
                    {
                        float g = t.Grad.Decode(t.Grad.Read(at + i));
                        t.GradX.Write(at + i, t.GradX.Encode(Gradient(t, at + i, e + i, g, slope, known), 0));
                    }
                }
                else
                {
                    for (int i = 0; i < d; i++)
                    {
                        t.GradX.Write(at + i, t.GradX.Encode(Gradient(t, at + i, e + i, 0f, slope, known), 0));
                    }
                }
            }

            // Last: the output may lie in the place of the rows.
            if (t.HasOutput != 0)
            {
                for (int i = 0; i < d; i++)
                {
                    float value = t.Codes.Codes.Decode(t.Codes.Codes.Read(e + i));
                    t.Output.Write(at + i, t.Output.Encode(Utilities.Select(known, value, 0f), 0));
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
                    Quad z = Update.Decode(t.X, (at >> 2) + i);
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
                    float z = t.X.Decode(t.X.Read(at + i));
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
    private static float Squares<TRow, TCode>(QuantizeArguments<TRow, TCode> t, long at, long e, int d)
        where TRow : struct, IStorage
        where TCode : struct, IStorage
    {
        float s0 = 0f;
        float s1 = 0f;
        float s2 = 0f;
        float s3 = 0f;
        float s4 = 0f;
        float s5 = 0f;
        float s6 = 0f;
        float s7 = 0f;
        int i = 0;
        for (; i + 8 <= d; i += 8)
        {
            s0 += Square(t, at + i, e + i);
            s1 += Square(t, at + i + 1, e + i + 1);
            s2 += Square(t, at + i + 2, e + i + 2);
            s3 += Square(t, at + i + 3, e + i + 3);
            s4 += Square(t, at + i + 4, e + i + 4);
            s5 += Square(t, at + i + 5, e + i + 5);
            s6 += Square(t, at + i + 6, e + i + 6);
            s7 += Square(t, at + i + 7, e + i + 7);
        }

        float sum = s0 + s4 + (s2 + s6) + (s1 + s5 + (s3 + s7));
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

    private static float Gradient<TRow, TCode>(
        QuantizeArguments<TRow, TCode> t, long at, long e, float g, float slope, bool known)
        where TRow : struct, IStorage
        where TCode : struct, IStorage
    {
        float z = t.X.Decode(t.X.Read(at));
        float value = t.Codes.Codes.Decode(t.Codes.Codes.Read(e));
        return Utilities.Select(known, Gradient(z, value, g, slope), 0f);
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
