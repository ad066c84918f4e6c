using ILGPU.Runtime;
using Kernels.DeviceCode.VectorQuantization;
using Kernels.Host;
using Kernels.Launching;

namespace Kernels.VectorQuantization;

/// <summary>What becomes of the sum of a segment, in the host's memory.</summary>
internal unsafe interface IHostSegmentEnd
{
    /// <summary>Where the sum is to be made: in place, or in <paramref name="room"/>.</summary>
    float* Place(int segment, float* room);

    /// <summary>Takes the sum.</summary>
    void Take(int segment, int count, float* sum);
}

/// <summary>Rows sorted by segment in the host's memory.</summary>
internal unsafe struct HostSegmentRows
{
    internal HostStored Rows;
    internal ChosenCode Keys;
    internal int* Order;
    internal int* Begin;
    internal float* Pieces;
    internal float* Runs;
    internal int Dimension;
    internal int Segments;
    internal int Entries;

    internal static HostSegmentRows Of<TRow>(TensorView x, in SegmentRows<TRow> rows, int entries)
        where TRow : struct, DeviceCode.Storage.IStorage => new()
        {
            Rows = new HostStored(x),
            Keys = rows.Keys,
            Order = (int*)rows.Order.LoadEffectiveAddressAsPtr(),
            Begin = (int*)rows.Begin.LoadEffectiveAddressAsPtr(),
            Pieces = (float*)rows.Pieces.LoadEffectiveAddressAsPtr(),
            Runs = (float*)rows.Runs.LoadEffectiveAddressAsPtr(),
            Dimension = rows.Dimension,
            Segments = rows.Segments,
            Entries = entries,
        };
}

/// <summary>The sums of sorted rows on ILGPU's CPU accelerator: pieces and runs as on the devices, dimensions as SIMD.</summary>
internal static unsafe class HostSegmentSum
{
    // A thread is woken for some microseconds of work.
    private const long Grain = 32_768;

    internal static void Run<TEnd>(in HostSegmentRows rows, in TEnd end, int threads)
        where TEnd : struct, IHostSegmentEnd
    {
        int d = rows.Dimension;
        if (rows.Entries > SegmentCuts.Piece)
        {
            long windows = SegmentPlan.Windows(rows.Entries, SegmentCuts.Piece);
            HostPool.Run(new PieceWork { Rows = rows }, windows, Math.Max(1, Grain / (SegmentCuts.Piece * (long)d)), threads);
        }

        if (rows.Entries > SegmentCuts.Run)
        {
            HostPool.Run(new RunWork { Rows = rows }, SegmentPlan.Windows(rows.Entries, SegmentCuts.Run), 1, threads);
        }

        HostPool.Run(new EndWork<TEnd> { Rows = rows, End = end }, rows.Segments, Math.Max(1, Grain / d), threads);
    }

    private static class Scratch
    {
        [ThreadStatic]
        internal static float[]? Kept;
    }

    private static float[] Room(int length) => Scratch.Kept is { } array && array.Length >= length
        ? array
        : Scratch.Kept = GC.AllocateUninitializedArray<float>(length);

    private static void AddRows(in HostSegmentRows rows, float* sum, int begin, int end, float* room)
    {
        for (int i = begin; i < end; i++)
        {
            HostSums.Add(sum, rows.Rows.Values((long)rows.Order[i] * rows.Dimension, rows.Dimension, room), rows.Dimension);
        }
    }

    private static void AddWindows(float* sum, float* windows, int begin, int end, int d)
    {
        for (int window = begin; window < end; window++)
        {
            HostSums.Add(sum, windows + ((long)window * d), d);
        }
    }

    // As SegmentRows.Find.
    private static bool Find(in HostSegmentRows rows, long window, int length, out int begin, out int end)
    {
        long position = window * length;
        begin = 0;
        end = 0;
        if (position >= rows.Begin[rows.Segments])
        {
            return false;
        }

        int segment = rows.Keys.Key(rows.Order[position]);
        int first = rows.Begin[segment];
        int before = ((int)position - first + length - 1) / length;
        begin = first + (before * length);
        end = Math.Min(begin + length, rows.Begin[segment + 1]);
        return before > 0 && begin < end;
    }

    private struct PieceWork : IHostWork
    {
        internal HostSegmentRows Rows;

        public readonly void Run(long begin, long end)
        {
            int d = Rows.Dimension;
            fixed (float* room = Room(d))
            {
                for (long window = begin; window < end; window++)
                {
                    if (Find(Rows, window, SegmentCuts.Piece, out int first, out int last))
                    {
                        float* sum = Rows.Pieces + (window * d);
                        new Span<float>(sum, d).Clear();
                        AddRows(Rows, sum, first, last, room);
                    }
                }
            }
        }
    }

    private struct RunWork : IHostWork
    {
        internal HostSegmentRows Rows;

        public readonly void Run(long begin, long end)
        {
            int d = Rows.Dimension;
            for (long window = begin; window < end; window++)
            {
                if (Find(Rows, window, SegmentCuts.Run, out int first, out int last))
                {
                    float* sum = Rows.Runs + (window * d);
                    new Span<float>(sum, d).Clear();
                    int piece = first / SegmentCuts.Piece;
                    int pieces = (last - first + SegmentCuts.Piece - 1) / SegmentCuts.Piece;
                    AddWindows(sum, Rows.Pieces, piece, piece + pieces, d);
                }
            }
        }
    }

    private struct EndWork<TEnd> : IHostWork
        where TEnd : struct, IHostSegmentEnd
    {
        internal HostSegmentRows Rows;
        internal TEnd End;

        public readonly void Run(long begin, long end)
        {
            int d = Rows.Dimension;
            fixed (float* room = Room(2 * d))
            {
                for (int segment = (int)begin; segment < end; segment++)
                {
                    int first = Rows.Begin[segment];
                    int count = Rows.Begin[segment + 1] - first;
                    float* sum = End.Place(segment, room + d);
                    new Span<float>(sum, d).Clear();
                    AddRows(Rows, sum, first, first + Math.Min(count, SegmentCuts.Piece), room);
                    if (count > SegmentCuts.Piece)
                    {
                        int pieces = (Math.Min(count, SegmentCuts.Run) + SegmentCuts.Piece - 1) / SegmentCuts.Piece;
                        int piece = first / SegmentCuts.Piece;
                        AddWindows(sum, Rows.Pieces, piece + 1, piece + pieces, d);
                        int runs = (int)SegmentPlan.Windows(count, SegmentCuts.Run);
                        int run = first / SegmentCuts.Run;
                        AddWindows(sum, Rows.Runs, run + 1, run + runs, d);
                    }

                    End.Take(segment, count, sum);
                }
            }
        }
    }
}
