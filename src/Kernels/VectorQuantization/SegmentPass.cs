using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Storage;
using Kernels.DeviceCode.VectorQuantization;
using Kernels.Launching;

namespace Kernels.VectorQuantization;

/// <summary>The memory of sums by segment: the sort's, and that of pieces and runs.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class SegmentMemory : IDisposable
{
    private readonly SegmentSorter<ChosenCode> _sorter;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _pieces;
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _runs;

    internal SegmentMemory(
        Accelerator accelerator, SegmentWalk? walk, int maxRows, int codes, int dimension, int heads)
    {
        Facts = DeviceFacts.Of(accelerator);
        Accelerator = accelerator;
        Walk = walk ?? SegmentPlan.WalkFor(Facts);
        Codes = codes;
        Dimension = dimension;
        Heads = heads;
        int entries = maxRows * heads;
        _sorter = new SegmentSorter<ChosenCode>(accelerator, Facts, Walk, entries, codes * heads);
        _pieces = accelerator.Allocate1D<float>(SegmentPlan.Windows(entries, SegmentCuts.Piece) * dimension);
        _runs = accelerator.Allocate1D<float>(SegmentPlan.Windows(entries, SegmentCuts.Run) * dimension);
    }

    internal Accelerator Accelerator { get; }

    internal DeviceFacts Facts { get; }

    internal SegmentWalk Walk { get; }

    internal int Codes { get; }

    internal int Dimension { get; }

    internal int Heads { get; }

    internal int Segments => Codes * Heads;

    internal ArrayView<int> Begin => _sorter.Begin;

    internal bool IsDisposed => _pieces.IsDisposed;

    internal long Bytes => _sorter.Bytes + (4 * (_pieces.Length + _runs.Length));

    /// <summary>A tensor to stand for one of no rows.</summary>
    internal TensorView Nothing => _pieces.View;

    /// <summary>Enqueues the sort.</summary>
    internal ChosenCode Sort(AcceleratorStream stream, ArrayView<int> index, int rows)
    {
        var keys = new ChosenCode { Index = rows > 0 ? index : Begin, Heads = Heads, Codes = Codes };
        _sorter.Sort(stream, keys, rows * Heads);
        return keys;
    }

    internal SegmentRows<TRow> Rows<TRow>(TensorView x, ChosenCode keys)
        where TRow : struct, IStorage => new()
        {
            Rows = Stored.Of<TRow>(x),
            Keys = keys,
            Order = _sorter.Order,
            Begin = Begin,
            Pieces = _pieces.View,
            Runs = _runs.View,
            Dimension = Dimension,
            Segments = Segments,
        };

    public void Dispose()
    {
        _sorter.Dispose();
        _pieces.Dispose();
        _runs.Dispose();
    }
}

/// <summary>Launches the sums of sorted rows, and what becomes of them.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal abstract class SegmentPass<TRow, TEnd>
    where TRow : struct, IStorage
    where TEnd : struct, ISegmentEnd
{
    internal static SegmentPass<TRow, TEnd> For(SegmentMemory memory) => memory.Walk == SegmentWalk.Radix
        ? new Wide<OneWide>(memory)
        : new Wide<SixteenWide>(memory);

    internal abstract void Run(AcceleratorStream stream, in SegmentRows<TRow> rows, in TEnd end, int entries);

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Wide<TWidth>(SegmentMemory memory) : SegmentPass<TRow, TEnd>
        where TWidth : struct, IItemWidth
    {
        private readonly ItemLauncher<SegmentPieceWork<TRow, TWidth>> _pieces = new(memory.Accelerator, memory.Facts);
        private readonly ItemLauncher<SegmentRunWork<TRow, TWidth>> _runs = new(memory.Accelerator, memory.Facts);
        private readonly ItemLauncher<SegmentEndWork<TRow, TWidth, TEnd>> _end = new(memory.Accelerator, memory.Facts);

        internal override void Run(AcceleratorStream stream, in SegmentRows<TRow> rows, in TEnd end, int entries)
        {
            int chunks = SegmentCuts.Chunks<TWidth>(rows.Dimension);
            if (entries > SegmentCuts.Piece)
            {
                var pieces = new SegmentPieceWork<TRow, TWidth> { Rows = rows };
                _pieces.Run(stream, pieces, 0, SegmentPlan.Windows(entries, SegmentCuts.Piece) * chunks, grain: 64);
            }

            if (entries > SegmentCuts.Run)
            {
                var runs = new SegmentRunWork<TRow, TWidth> { Rows = rows };
                _runs.Run(stream, runs, 0, SegmentPlan.Windows(entries, SegmentCuts.Run) * chunks, grain: 64);
            }

            var work = new SegmentEndWork<TRow, TWidth, TEnd> { Rows = rows, End = end };
            _end.Run(stream, work, 0, (long)rows.Segments * chunks, grain: 256);
        }
    }
}
