using ILGPU;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Storage;
using Sixteen = Kernels.DeviceCode.Linear.Sixteen;

namespace Kernels.DeviceCode.Quantization;

/// <summary>A quantized matrix whose rows have one codebook and one scale each; codes are numbers.</summary>
internal struct RowCodebooks
{
    /// <summary>Numbers of the table of a row.</summary>
    internal const int TableLength = 256;

    public ArrayView<uint> Words;
    public ArrayView<float> Codebook;
    public PackedFormat Format;
    public ScopeTable Scope;
    public ScaleTable Scale;

    /// <summary>The row that w begins with.</summary>
    public int FirstRow;

    /// <summary>Values of the bits of a code: 2^b, or k digits.</summary>
    public readonly int CodeValues => Format.FieldBits > 0 ? 1 << Format.FieldBits : Format.Codes;

    /// <summary>What a code of a row stands for, whatever its bits are.</summary>
    public readonly float Value(int row, int code) =>
        Scale.Of(row, 0) * Codebook[Scope.Of(row, 0) * Format.Codes + Format.Clamp(code)];

    /// <summary>A group makes the table of a row; a barrier must follow.</summary>
    public readonly void Fill(ArrayView<float> table, int row)
    {
        for (int code = Group.IdxY * Group.DimX + Group.IdxX; code < CodeValues; code += Group.DimX * Group.DimY)
        {
            table[code] = Value(row, code);
        }
    }
}

/// <summary>Whole planar blocks of rows that have one codebook and one scale each; a lane of a block per item.</summary>
/// <remarks>
/// Source: JLCM, arXiv:2309.17361: W = s C[I], with nothing to tell for a weight but its code.
/// Shapes: packed [rows, RunWords] words, w [rows, columns]; a group has some neighbouring blocks of a row.
/// Storage: codebook F32, scales and w F32, F16 or BF16. Traffic: the packed words once, w written once.
/// Needs: groups of 32 x blocks, 1024 bytes of shared memory, one barrier: the products s c are made once for a group.
/// Order: none, each weight is by itself. Domain: bits that are no code are code k - 1.
/// Error: one rounding, of s c, and one to the storage of w.
/// </remarks>
internal static class Dequantize
{
    [DeviceKernel("quantization/dequantize.rows")]
    internal static void Rows<TCodes, TStorage>(RowCodebooks t, TStorage w, int rowBlocks, int rowGroups, int firstGroup)
        where TCodes : struct, ILaneCodes
        where TStorage : struct, IStorage
    {
        ArrayView<float> table = SharedMemory.Allocate<float>(RowCodebooks.TableLength);
        int row = (firstGroup + Grid.IdxX) / rowGroups;
        t.Fill(table, row);
        Group.Barrier();
        // Computed behind the barrier, and long before they are added: the compilers of CPU devices then see neighbours.
        int block = (firstGroup + Grid.IdxX - row * rowGroups) * Group.DimY + Group.IdxY;
        if (block < rowBlocks)
        {
            long lane = Group.IdxX;
            var sink = new WeightSink<TStorage>
            {
                Table = table,
                W = w,
                Place = (long)(row - t.FirstRow) * t.Format.RunCodes + (long)block * t.Format.BlockCodes + lane,
            };
            TCodes.Visit(
                t.Words, (long)row * t.Format.RunWords + (long)block * t.Format.BlockWords + lane, t.Format, ref sink);
        }
    }

    /// <summary>The same on OpenCL CPU devices, a row per group of one item; also the last block, where it has a multiple of
    /// sixteen lanes.</summary>
    [DeviceKernel("quantization/dequantize.rowsixteens")]
    internal static void RowSixteens<TBits, TStorage>(RowCodebooks t, TStorage w, int rowCodes, int firstRow)
        where TBits : struct, IFieldBits
        where TStorage : struct, IStorage
    {
        ArrayView<float> table = SharedMemory.Allocate<float>(RowCodebooks.TableLength);
        int row = firstRow + Grid.IdxX;
        t.Fill(table, row);
        Group.Barrier();
        long place = (long)(row - t.FirstRow) * t.Format.RunCodes;
        long word = (long)row * t.Format.RunWords;
        for (int first = 0; first < rowCodes; first += t.Format.BlockCodes)
        {
            int lanes = t.Format.LanesOf(rowCodes - first);
            for (int step = 0; step < 32; step++)
            {
                for (int lane = 0; lane < lanes; lane += Sixteen.Width)
                {
                    Sixteen values = SixteenWords.Fields<TBits>(t.Words, word + lane, lanes, step).Look(table);
                    Store(w, place, values);
                    place += Sixteen.Width;
                }
            }

            word += t.Format.BlockWords;
        }
    }

    private static void Store<TStorage>(TStorage w, long at, Sixteen v)
        where TStorage : struct, IStorage
    {
        w.Write(at + 0, w.Encode(v.V0, 0));
        w.Write(at + 1, w.Encode(v.V1, 0));
        w.Write(at + 2, w.Encode(v.V2, 0));
        w.Write(at + 3, w.Encode(v.V3, 0));
        w.Write(at + 4, w.Encode(v.V4, 0));
        w.Write(at + 5, w.Encode(v.V5, 0));
        w.Write(at + 6, w.Encode(v.V6, 0));
        w.Write(at + 7, w.Encode(v.V7, 0));
        w.Write(at + 8, w.Encode(v.V8, 0));
        w.Write(at + 9, w.Encode(v.V9, 0));
        w.Write(at + 10, w.Encode(v.V10, 0));
        w.Write(at + 11, w.Encode(v.V11, 0));
        w.Write(at + 12, w.Encode(v.V12, 0));
        w.Write(at + 13, w.Encode(v.V13, 0));
        w.Write(at + 14, w.Encode(v.V14, 0));
        w.Write(at + 15, w.Encode(v.V15, 0));
    }

    private struct WeightSink<TStorage> : ICodeSink
        where TStorage : struct, IStorage
    {
        public ArrayView<float> Table;
        public TStorage W;
        public long Place;

        public readonly void Take(int step, int code) =>
            W.Write(Place + step * PackedFormat.Lanes, W.Encode(Table[code], 0));
    }
}
