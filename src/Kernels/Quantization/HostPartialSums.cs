using System.Numerics;
using Kernels.DeviceCode.Quantization;
using Kernels.Host;
using Device = Kernels.DeviceCode.Quantization.PartialSums;

namespace Kernels.Quantization;

/// <summary>Partial sums on ILGPU's CPU accelerator.</summary>
internal static unsafe class HostPartialSums
{
    private const int Lanes = PartialSumArguments.TileLanes;
    private const int MostLength = 8;

    /// <summary>Makes the tables.</summary>
    internal static void Tables(in PartialSumArguments t, int tiles, int threads) =>
        HostPool.Run(new TableWork { Product = t }, tiles, 4, threads);

    /// <summary>Adds up rows from one on.</summary>
    internal static void Rows(in PartialSumArguments t, int firstRow, int threads) =>
        HostPool.Run(new RowWork { Product = t, FirstRow = firstRow }, t.EndRow - firstRow, Device.GroupRows, threads);

    private struct TableWork : IHostWork
    {
        public PartialSumArguments Product;

        public readonly void Run(long begin, long end)
        {
            float* segments = stackalloc float[MostLength * Lanes];
            float* x = HostBlocks.Pointer(Product.X);
            float* codebook = HostBlocks.Pointer(Product.Codebook);
            float* to = HostBlocks.Pointer(Product.Tables) + (begin * Product.TileLength);
            int length = Product.Length;
            for (int tile = (int)begin; tile < end; tile++)
            {
                int segment = Product.Segment(tile);
                for (int lane = 0; lane < Lanes; lane++)
                {
                    float* from = x + ((long)Math.Min(segment + lane, Product.Format.RunCodes - 1) * length);
                    for (int j = 0; j < length; j++)
                    {
                        segments[(j * Lanes) + lane] = from[j];
                    }
                }

                for (int value = 0; value < Product.Values; value++, to += Lanes)
                {
                    float* code = codebook + ((long)Product.Format.Clamp(value) * length);
                    for (int lane = 0; lane < Lanes; lane += Vector<float>.Count)
                    {
                        Vector<float> sum = default;
                        for (int j = 0; j < length; j++)
                        {
                            sum += Vector.Load(segments + (j * Lanes) + lane) * code[j];
                        }

                        sum.Store(to + lane);
                    }
                }
            }
        }
    }

    private struct RowWork : IHostWork
    {
        public PartialSumArguments Product;
        public int FirstRow;

        public readonly void Run(long begin, long end)
        {
            float* sums = stackalloc float[Device.GroupRows * Lanes];
            for (int row = FirstRow + (int)begin; row < FirstRow + end; row += Device.GroupRows)
            {
                int rows = Math.Min(Device.GroupRows, FirstRow + (int)end - row);
                new Span<float>(sums, rows * Lanes).Clear();
                for (int block = 0; block < Product.Blocks; block++)
                {
                    Block(block, row, rows, sums);
                }

                for (int i = 0; i < rows; i++)
                {
                    float sum = 0;
                    for (int lane = 0; lane < Lanes; lane++)
                    {
                        sum += sums[(i * Lanes) + lane];
                    }

                    Product.Store(0, row + i, sum);
                }
            }
        }

        private readonly void Block(int block, int row, int rows, float* sums)
        {
            int left = Product.Left(block);
            int lanes = Product.Format.LanesOf(left);
            float* tables = HostBlocks.Pointer(Product.Tables)
                + ((long)block * PartialSumArguments.Steps * PartialSumArguments.StepTiles * Product.TileLength);
            for (int step = 0; step < PartialSumArguments.Steps; step++)
            {
                int count = PartialSumArguments.Count(left, lanes, step);
                for (int lane = 0; lane < count; lane += Lanes)
                {
                    float* table = tables
                        + ((((long)step * PartialSumArguments.StepTiles) + (lane / Lanes)) * Product.TileLength);
                    uint* words = HostBlocks.Pointer(Product.Words) + Product.Word(row, block) + lane;
                    for (int i = 0; i < rows; i++, words += Product.Format.RunWords)
                    {
                        Add(words, lanes, step, table, sums + (i * Lanes), Math.Min(Lanes, count - lane));
                    }
                }
            }
        }

        private readonly void Add(uint* words, int lanes, int step, float* table, float* sums, int count)
        {
            if (Product.Format.FieldBits == 8 && count == Lanes)
            {
                words += (step >> 2) * lanes;
                int shift = (8 * step) & 31;
                for (int lane = 0; lane < Lanes; lane += 4)
                {
                    sums[lane] += table[(((words[lane] >> shift) & 255) * Lanes) + (uint)lane];
                    sums[lane + 1] += table[(((words[lane + 1] >> shift) & 255) * Lanes) + (uint)lane + 1];
                    sums[lane + 2] += table[(((words[lane + 2] >> shift) & 255) * Lanes) + (uint)lane + 2];
                    sums[lane + 3] += table[(((words[lane + 3] >> shift) & 255) * Lanes) + (uint)lane + 3];
                }

                return;
            }

            for (int lane = 0; lane < count; lane++)
            {
                sums[lane] += table[(HostBlocks.Field(Product.Format.FieldBits, words + lane, lanes, step) * Lanes) + lane];
            }
        }
    }
}
