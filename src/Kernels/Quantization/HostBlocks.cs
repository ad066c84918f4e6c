using System.Numerics;
using System.Runtime.Intrinsics;
using ILGPU;
using Kernels.DeviceCode.Linear;
using Kernels.DeviceCode.Quantization;
using Kernels.DeviceCode.Storage;
using Kernels.Host;

namespace Kernels.Quantization;

/// <summary>Planar blocks on ILGPU's CPU accelerator: rows that have one codebook and one scale each.</summary>
internal static unsafe class HostBlocks
{
    /// <summary>Most codes of a block.</summary>
    internal const int MostCodes = 32 * 32;

    // Weights worth a thread.
    private const int Grain = 1 << 15;

    /// <summary>Writes all weights.</summary>
    internal static void Dequantize<TStorage>(in RowCodebooks t, TStorage w, float* floats, int rows, int threads)
        where TStorage : struct, IStorage
    {
        var work = new DequantizeWork<TStorage> { Rows = t, W = w, Floats = floats };
        HostPool.Run(work, rows, Math.Max(1, Grain / t.Format.RunCodes), threads);
    }

    /// <summary>y = act(C0 + bias + x Q^T) for a few vectors: a block of weights at a time, in the first-level cache.</summary>
    internal static void Multiply<TActivation>(in QuantizedProductArguments t, int vectors, int threads)
        where TActivation : struct, IActivation
    {
        var work = new MultiplyWork<TActivation> { Product = t, Vectors = vectors };
        HostPool.Run(work, t.Rows, Math.Max(1, Grain / t.Columns), threads);
    }

    /// <summary>The weights of a block, in their order, where a table has one for each code.</summary>
    internal static void Decode(in PackedFormat format, uint* words, float* table, int codes, float* to)
    {
        int lanes = format.LanesOf(codes);
        if (format.FieldBits == 0)
        {
            Digits(format, words, table, codes, lanes, to);
            return;
        }

        bool isInRegisters = format.FieldBits <= 4 && Vector256.IsHardwareAccelerated && lanes % 8 == 0
            && codes == lanes * 32;
        if (isInRegisters)
        {
            InRegisters(format.FieldBits, words, table, lanes, to);
            return;
        }

        for (int step = 0; step * lanes < codes; step++)
        {
            int count = Math.Min(lanes, codes - (step * lanes));
            for (int lane = 0; lane < count; lane++)
            {
                to[(step * lanes) + lane] = table[Field(format.FieldBits, words + lane, lanes, step)];
            }
        }
    }

    /// <summary>The table of a row.</summary>
    internal static void Fill(in RowCodebooks rows, int row, float* table)
    {
        for (int code = 0; code < rows.CodeValues; code++)
        {
            table[code] = rows.Value(row, code);
        }
    }

    /// <summary>The view as a pointer.</summary>
    internal static T* Pointer<T>(ArrayView<T> view)
        where T : unmanaged => (T*)TensorView.BufferOf(view)!.NativePtr + TensorView.IndexOf(view);

    /// <summary>The field of a step of a lane.</summary>
    internal static int Field(int bits, uint* words, int lanes, int step)
    {
        int code = 0;
        int row = 0;
        for (int width = 8; width > 0; width >>= 1)
        {
            if ((bits & width) != 0)
            {
                uint part = words[(row + (step * width >> 5)) * lanes] >> ((step * width) & 31);
                code |= ((int)part & ((1 << width) - 1)) << row;
                row += width;
            }
        }

        return code;
    }

    private static void Digits(in PackedFormat format, uint* words, float* table, int codes, int lanes, float* to)
    {
        int half = format.UnitDigits / 2;
        for (int lane = 0; lane < lanes; lane++)
        {
            for (int unit = 0; unit < 4 / format.UnitBytes; unit++)
            {
                uint number = format.UnitBytes == 4 ? words[lane] : (words[lane] >> (8 * unit)) & 0xFF;
                uint high = number / format.HalfPower;
                uint low = number - (high * format.HalfPower);
                // Side by side: a digit waits for the last.
                int at = (unit * format.UnitDigits * lanes) + lane;
                int far = at + (half * lanes);
                for (int digit = 0; digit < half && at < codes; digit++, at += lanes, far += lanes)
                {
                    to[at] = table[format.TakeDigit(ref low)];
                    int code = format.TakeDigit(ref high);
                    if (far < codes)
                    {
                        to[far] = table[code];
                    }
                }

                if (far < codes && 2 * half < format.UnitDigits)
                {
                    to[far] = table[format.TakeDigit(ref high)];
                }
            }
        }
    }

    /// <summary>Codes of at most four bits of eight lanes at a time, the table in two registers.</summary>
    private static void InRegisters(int bits, uint* words, float* table, int lanes, float* to)
    {
        Vector256<float> first = Vector256.Load(table);
        Vector256<float> second = Vector256.Load(table + 8);
        var mask = Vector256.Create((1u << bits) - 1);
        for (int lane = 0; lane < lanes; lane += 8)
        {
            if (bits == 3)
            {
                Vector256<uint> high = Vector256.Load(words + (2 * lanes) + lane);
                for (int step = 0; step < 32; step++)
                {
                    Vector256<uint> low = Vector256.Load(words + ((step >> 4) * lanes) + lane) >> ((2 * step) & 31);
                    Vector256<uint> code = (low & Vector256.Create(3u))
                        | (((high >> step) & Vector256.Create(1u)) << 2);
                    Vector256.ShuffleNative(first, code.AsInt32()).Store(to + (step * lanes) + lane);
                }

                continue;
            }

            int each = 32 / bits;
            for (int row = 0; row < bits; row++)
            {
                Vector256<uint> word = Vector256.Load(words + (row * lanes) + lane);
                float* at = to + (row * each * lanes) + lane;
                for (int step = 0; step < each; step++, at += lanes)
                {
                    Vector256<uint> code = word & mask;
                    word >>= bits;
                    Vector256<float> value = Vector256.ShuffleNative(first, code.AsInt32());
                    if (bits == 4)
                    {
                        Vector256<uint> isSecond = Vector256.GreaterThan(code.AsInt32(), Vector256.Create(7)).AsUInt32();
                        Vector256<float> other = Vector256.ShuffleNative(
                            second, (code & Vector256.Create(7u)).AsInt32());
                        value = Vector256.ConditionalSelect(isSecond.AsSingle(), other, value);
                    }

                    value.Store(at);
                }
            }
        }
    }

    private struct DequantizeWork<TStorage> : IHostWork
        where TStorage : struct, IStorage
    {
        public RowCodebooks Rows;
        public TStorage W;

        /// <summary>W, where it is F32.</summary>
        public float* Floats;

        public readonly void Run(long begin, long end)
        {
            float* table = stackalloc float[RowCodebooks.TableLength];
            float* weights = stackalloc float[MostCodes];
            PackedFormat format = Rows.Format;
            uint* words = Pointer(Rows.Words);
            for (long row = Rows.FirstRow + begin; row < Rows.FirstRow + end; row++)
            {
                Fill(Rows, (int)row, table);
                for (int first = 0, block = 0; first < format.RunCodes; first += format.BlockCodes, block++)
                {
                    int codes = Math.Min(format.BlockCodes, format.RunCodes - first);
                    long at = ((row - Rows.FirstRow) * format.RunCodes) + first;
                    uint* from = words + (row * format.RunWords) + ((long)block * format.BlockWords);
                    Decode(format, from, table, codes, Floats is null ? weights : Floats + at);
                    if (Floats is not null)
                    {
                        continue;
                    }

                    for (int i = 0; i < codes; i++)
                    {
                        W.Write(at + i, W.Encode(weights[i], 0));
                    }
                }
            }
        }
    }

    private struct MultiplyWork<TActivation> : IHostWork
        where TActivation : struct, IActivation
    {
        public QuantizedProductArguments Product;
        public int Vectors;

        public readonly void Run(long begin, long end)
        {
            float* table = stackalloc float[RowCodebooks.TableLength];
            float* weights = stackalloc float[MostCodes];
            float* sums = stackalloc float[Vectors];
            PackedFormat format = Product.Q.Format;
            uint* words = Pointer(Product.Q.Words);
            float* x = Pointer(Product.X);
            for (int row = (int)begin; row < end; row++)
            {
                Fill(Product.Q, row, table);
                new Span<float>(sums, Vectors).Clear();
                for (int first = 0, block = 0; first < Product.Columns; first += format.BlockCodes, block++)
                {
                    int codes = Math.Min(format.BlockCodes, Product.Columns - first);
                    uint* from = words + ((long)row * format.RunWords) + ((long)block * format.BlockWords);
                    Decode(format, from, table, codes, weights);
                    for (int vector = 0; vector < Vectors; vector++)
                    {
                        sums[vector] += Dot(weights, x + ((long)vector * Product.Columns) + first, codes);
                    }
                }

                for (int vector = 0; vector < Vectors; vector++)
                {
                    Product.End<TActivation>(vector, row, sums[vector]);
                }
            }
        }

        private static float Dot(float* a, float* b, int length)
        {
            int count = Vector<float>.Count;
            Vector<float> sum0 = default, sum1 = default, sum2 = default, sum3 = default;
            int i = 0;
            for (; i + (4 * count) <= length; i += 4 * count)
            {
                sum0 = Vector.MultiplyAddEstimate(Vector.Load(a + i), Vector.Load(b + i), sum0);
                sum1 = Vector.MultiplyAddEstimate(Vector.Load(a + i + count), Vector.Load(b + i + count), sum1);
                sum2 = Vector.MultiplyAddEstimate(
                    Vector.Load(a + i + (2 * count)), Vector.Load(b + i + (2 * count)), sum2);
                sum3 = Vector.MultiplyAddEstimate(
                    Vector.Load(a + i + (3 * count)), Vector.Load(b + i + (3 * count)), sum3);
            }

            float rest = 0;
            for (; i < length; i++)
            {
                rest += a[i] * b[i];
            }

            return Vector.Sum(sum0 + sum1 + (sum2 + sum3)) + rest;
        }
    }
}
