using ILGPU;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Linear;
using Kernels.DeviceCode.Reductions;

namespace Kernels.DeviceCode.Quantization;

/// <summary>A product y = act(C0 + bias + x Q^T) with a quantized matrix Q.</summary>
internal struct QuantizedProductArguments
{
    /// <summary>Q, [rows, columns].</summary>
    public RowCodebooks Q;

    /// <summary>[n, columns].</summary>
    public ArrayView<float> X;

    /// <summary>[n, rows].</summary>
    public ArrayView<float> Y;
    public ArrayView<float> Bias;
    public int Rows;
    public int Columns;
    public int HasBias;    // 0 or 1
    public int Accumulate; // 1: C0 is what y holds, 0: C0 is zero

    /// <summary>Ends an element of y whose products have this sum.</summary>
    public readonly void End<TActivation>(int vector, int row, float sum)
        where TActivation : struct, IActivation
    {
        long at = (long)vector * Rows + row;
        if (HasBias != 0)
        {
            sum += Bias[row];
        }

        if (Accumulate != 0)
        {
            sum += Y[at];
        }

        Y[at] = TActivation.Apply(Lane.Of(sum)).Value;
    }

    /// <summary>The products of what is not whole blocks of a lane of a row.</summary>
    public readonly float Tail(ArrayView<float> table, int row, long x, int first, int lane)
    {
        int left = Columns - first;
        int lanes = Q.Format.LanesOf(left);
        float sum = 0f;
        if (lane < lanes)
        {
            int count = Q.Format.StepsOf(left, lanes, lane);
            long word = (long)row * Q.Format.RunWords + (long)(first / Q.Format.BlockCodes) * Q.Format.BlockWords + lane;
            for (int step = 0; step < count; step++)
            {
                int code = Q.Format.Clamp(Q.Format.Code(Q.Words, word, lanes, step));
                sum += table[code] * X[x + first + (long)step * lanes + lane];
            }
        }

        return sum;
    }
}

/// <summary>The product of packed rows with few vectors: weights are looked up, and never stored.</summary>
/// <remarks>
/// Source: JLCM, arXiv:2309.17361; the table of a row in shared memory as in SqueezeLLM (arXiv:2306.07629), whose atomic sums
/// are here sums in a fixed order. Shapes: packed [rows, RunWords] words, x [n, columns], y [n, rows], bias [rows].
/// Storage: codebook, x, y F32, scales F32, F16 or BF16. Traffic: the packed words once for each vector, y once.
/// Needs: groups of 32 x rows, at most four rows; 4608 bytes of shared memory; six barriers. On OpenCL CPU
/// devices groups of one item, and 64 bytes more.
/// Order: a lane's products as its codes come out of their words, then lanes in a tree, then bias, then C0.
/// Domain: any sizes; bits that are no code are code k - 1. NaN and infinity reach what they are multiplied with.
/// Error: gamma(columns + 3) (sum |x| |s c| + |bias| + |C0|), derived in the reference.
/// </remarks>
internal static class QuantizedProduct
{
    internal const int MaxGroupRows = 4;

    [DeviceKernel("quantization/product.rows")]
    internal static void Rows<TCodes, TActivation>(QuantizedProductArguments t, int rowGroups, int firstGroup)
        where TCodes : struct, ILaneCodes
        where TActivation : struct, IActivation
    {
        ArrayView<float> tables = SharedMemory.Allocate<float>(MaxGroupRows * RowCodebooks.TableLength);
        ArrayView<float> sums = SharedMemory.Allocate<float>(MaxGroupRows * PackedFormat.Lanes);
        int group = firstGroup + Grid.IdxX;
        int vector = group / rowGroups;
        int row = (group - vector * rowGroups) * Group.DimY + Group.IdxY;
        int inside = IntrinsicMath.Min(row, t.Rows - 1);
        int lane = Group.IdxX;
        ArrayView<float> table = tables.SubView(Group.IdxY * RowCodebooks.TableLength, RowCodebooks.TableLength);
        for (int code = lane; code < t.Q.CodeValues; code += PackedFormat.Lanes)
        {
            table[code] = t.Q.Value(inside, code);
        }

        Group.Barrier();
        var sink = new ProductSink { Table = table, X = t.X, At = (long)vector * t.Columns + lane };
        long word = (long)inside * t.Q.Format.RunWords + lane;
        int first = 0;
        for (; first + t.Q.Format.BlockCodes <= t.Columns; first += t.Q.Format.BlockCodes)
        {
            TCodes.Visit(t.Q.Words, word, t.Q.Format, ref sink);
            sink.At += t.Q.Format.BlockCodes;
            word += t.Q.Format.BlockWords;
        }

        int own = Group.IdxY * PackedFormat.Lanes + lane;
        sums[own] = sink.Sum + t.Tail(table, inside, (long)vector * t.Columns, first, lane);
        for (int half = PackedFormat.Lanes / 2; half > 0; half >>= 1)
        {
            Group.Barrier();
            if (lane < half)
            {
                sums[own] += sums[own + half];
            }
        }

        if ((lane == 0) & (row < t.Rows))
        {
            t.End<TActivation>(vector, row, sums[own]);
        }
    }

    /// <summary>The same on OpenCL CPU devices, a row per group of one item, sixteen lanes at a time.</summary>
    [DeviceKernel("quantization/product.rowsixteens")]
    internal static void RowSixteens<TBits, TActivation>(
        QuantizedProductArguments t, int vectors, int sixteenCodes, int firstRow)
        where TBits : struct, IFieldBits
        where TActivation : struct, IActivation
    {
        ArrayView<float> table = SharedMemory.Allocate<float>(RowCodebooks.TableLength);
        ArrayView<Sixteen> room = SharedMemory.Allocate<Sixteen>(1);
        int row = firstRow + Grid.IdxX;
        t.Q.Fill(table, row);
        Group.Barrier();
        for (int vector = 0; vector < vectors; vector++)
        {
            Sixteen sum = default;
            long x = (long)vector * t.Columns;
            long word = (long)row * t.Q.Format.RunWords;
            int first = 0;
            for (; first < sixteenCodes; first += t.Q.Format.BlockCodes)
            {
                int lanes = t.Q.Format.LanesOf(sixteenCodes - first);
                for (int step = 0; step < 32; step++)
                {
                    for (int lane = 0; lane < lanes; lane += Sixteen.Width)
                    {
                        Sixteen q = SixteenWords.Fields<TBits>(t.Q.Words, word + lane, lanes, step).Look(table);
                        sum.AddProducts(q, Sixteen.Contiguous(t.X, x));
                        x += Sixteen.Width;
                    }
                }

                word += t.Q.Format.BlockWords;
            }

            float rest = 0f;
            for (int lane = 0; sixteenCodes < t.Columns && lane < PackedFormat.Lanes; lane++)
            {
                rest += t.Tail(table, row, (long)vector * t.Columns, sixteenCodes, lane);
            }

            t.End<TActivation>(vector, row, sum.Sum(room, 0, Sixteen.Zero(x)) + rest);
        }
    }

    private struct ProductSink : ICodeSink
    {
        public ArrayView<float> Table;
        public ArrayView<float> X;
        public long At;
        public float Sum;

        public void Take(int step, int code) => Sum += Table[code] * X[At + step * PackedFormat.Lanes];
    }
}

/// <summary>Ends what a product of dequantized rows, or partial sums, began, an element of y per item.</summary>
/// <remarks>Source: as <see cref="QuantizedProduct"/>. Order: parts, the scale, bias, C0. Traffic: the sums once, y written
/// once (and read once where it is added to).</remarks>
internal struct ProductEndWork<TActivation> : IItemWork
    where TActivation : struct, IActivation
{
    public QuantizedProductArguments Product;

    /// <summary>Sums of products, [parts, slab rows, n].</summary>
    public ArrayView<float> Sums;
    public int Parts;
    public int FirstRow;
    public int SlabRows;
    public int Vectors;
    public int IsUnscaled; // 1: the sums have yet to be multiplied by the scale of their row

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int vector = (int)(i / SlabRows);
        int row = (int)(i - (long)vector * SlabRows);
        float sum = 0f;
        for (int part = 0; part < Parts; part++)
        {
            sum += Sums[((long)part * SlabRows + row) * Vectors + vector];
        }

        if (IsUnscaled != 0)
        {
            sum *= Product.Q.Scale.Of(FirstRow + row, 0);
        }

        Product.End<TActivation>(vector, FirstRow + row, sum);
    }
}
