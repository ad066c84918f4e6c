using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.VectorQuantization;
using Kernels.Launching;

namespace Kernels.VectorQuantization;

/// <summary>Sorts entries by segment, stably, in memory of the order of entries and segments.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class SegmentSorter<TKeys> : IDisposable
    where TKeys : struct, ISegmentKeys
{
    private readonly DeviceFacts _facts;
    private readonly int _segments;
    private readonly SegmentPlan _most;
    private readonly MemoryBuffer1D<int, Stride1D.Dense> _begin;
    private readonly MemoryBuffer1D<int, Stride1D.Dense>[] _scratch;
    private readonly Kernels? _parts;
    private readonly Radix? _radix;

    internal SegmentSorter(Accelerator accelerator, DeviceFacts facts, SegmentWalk walk, int maxEntries, int segments)
    {
        _facts = facts;
        _segments = segments;
        _most = SegmentPlan.For(facts, maxEntries, segments);
        _begin = accelerator.Allocate1D<int>(segments + 1L);
        if (walk == SegmentWalk.Radix)
        {
            _radix = new Radix(accelerator, facts);
            _scratch =
            [
                accelerator.Allocate1D<int>(maxEntries), accelerator.Allocate1D<int>(maxEntries),
                accelerator.Allocate1D<int>(maxEntries), accelerator.Allocate1D<int>(maxEntries),
                accelerator.Allocate1D<int>((_most.Tiles + 1L) * SegmentSort.Tile),
            ];
        }
        else
        {
            _parts = new Kernels(accelerator, facts);
            _scratch =
            [
                accelerator.Allocate1D<int>(maxEntries), accelerator.Allocate1D<int>((long)_most.Parts * segments),
                accelerator.Allocate1D<int>(_most.Chunks),
            ];
        }
    }

    /// <summary>[segments + 1]: where the entries of a segment begin; the last is the number of entries of any.</summary>
    internal ArrayView<int> Begin => _begin.View;

    /// <summary>The entries of the segments, one segment after the other, ascending in each.</summary>
    internal ArrayView<int> Order => _radix is null || _most.Passes % 2 == 1 ? _scratch[0].View : _scratch[2].View;

    internal long Bytes => 4 * (_begin.Length + _scratch.Sum(s => s.Length));

    internal void Sort(AcceleratorStream stream, TKeys keys, int entries)
    {
        SegmentPlan plan = SegmentPlan.For(_facts, entries, _segments);
        if (_radix is not null)
        {
            SortByRadix(stream, keys, entries, plan);
            return;
        }

        var parts = new SegmentParts<TKeys>
        {
            Keys = keys,
            Order = _scratch[0].View,
            Places = _scratch[1].View,
            ChunkSums = _scratch[2].View,
            Begin = Begin,
            Entries = entries,
            Segments = _segments,
            Parts = plan.Parts,
            Chunks = plan.Chunks,
        };
        _parts!.Count.RunApart(stream, new SegmentCountWork<TKeys> { Parts = parts }, plan.Parts);
        if (plan.Chunks > 1)
        {
            _parts.Chunk.RunApart(stream, new SegmentChunkWork<TKeys> { Parts = parts }, plan.Chunks);
        }

        _parts.Place.RunApart(stream, new SegmentPlaceWork<TKeys> { Parts = parts }, plan.Chunks);
        _parts.Scatter.RunApart(stream, new SegmentScatterWork<TKeys> { Parts = parts }, plan.Parts);
    }

    public void Dispose()
    {
        _begin.Dispose();
        Array.ForEach(_scratch, s => s.Dispose());
    }

    private void SortByRadix(AcceleratorStream stream, TKeys keys, int entries, SegmentPlan plan)
    {
        ArrayView<int> histogram = _scratch[4].View;
        var pass = new SegmentSortArguments
        {
            Entries = _scratch[2].View,
            Totals = histogram.SubView(0, SegmentSort.Tile),
            Histogram = histogram.SubView(SegmentSort.Tile, (long)_most.Tiles * SegmentSort.Tile),
            Count = entries,
            Tiles = plan.Tiles,
            IsFirst = 1,
        };
        int sorted = 0;
        for (int digit = 0; digit < plan.Passes && entries > 0; digit++)
        {
            sorted = digit % 2 == 0 ? 0 : 2;
            pass.SortedEntries = _scratch[sorted].View;
            pass.SortedKeys = _scratch[sorted + 1].View;
            pass.Shift = digit * SegmentSort.DigitBits;
            if (digit == 0)
            {
                _radix!.First.Run(stream, keys, pass);
            }
            else
            {
                pass.IsFirst = 0;
                pass.Entries = _scratch[2 - sorted].View;
                _radix!.Later.Run(stream, new KeptKeys { Keys = _scratch[3 - sorted].View }, pass);
            }
        }

        var bounds = new SegmentBoundsWork { Keys = _scratch[sorted + 1].View, Begin = Begin, Count = entries };
        _radix!.Bounds.Run(stream, bounds, 0, _segments + 1L);
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Kernels(Accelerator accelerator, DeviceFacts facts)
    {
        internal ItemLauncher<SegmentCountWork<TKeys>> Count { get; } = new(accelerator, facts);

        internal ItemLauncher<SegmentChunkWork<TKeys>> Chunk { get; } = new(accelerator, facts);

        internal ItemLauncher<SegmentPlaceWork<TKeys>> Place { get; } = new(accelerator, facts);

        internal ItemLauncher<SegmentScatterWork<TKeys>> Scatter { get; } = new(accelerator, facts);
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Radix(Accelerator accelerator, DeviceFacts facts)
    {
        internal RadixPass<TKeys> First { get; } = new(accelerator);

        internal RadixPass<KeptKeys> Later { get; } = new(accelerator);

        internal ItemLauncher<SegmentBoundsWork> Bounds { get; } = new(accelerator, facts);
    }
}

/// <summary>Launches a pass of the radix sort.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class RadixPass<TKeys>(Accelerator accelerator)
    where TKeys : struct, ISegmentKeys
{
    private readonly Action<AcceleratorStream, KernelConfig, TKeys, SegmentSortArguments> _count =
        accelerator.LoadKernel<TKeys, SegmentSortArguments>(SegmentSort.Count);

    private readonly Action<AcceleratorStream, KernelConfig, SegmentSortArguments> _scan =
        accelerator.LoadKernel<SegmentSortArguments>(SegmentSort.Scan);

    private readonly Action<AcceleratorStream, KernelConfig, TKeys, SegmentSortArguments> _scatter =
        accelerator.LoadKernel<TKeys, SegmentSortArguments>(SegmentSort.Scatter);

    internal void Run(AcceleratorStream stream, TKeys keys, SegmentSortArguments pass)
    {
        // The scan is one kernel for all keys.
        lock (RadixGate.Gate)
        {
            _count(stream, (pass.Tiles, SegmentSort.Tile), keys, pass);
            _scan(stream, (SegmentSort.Tile, SegmentSort.Tile), pass);
            _scatter(stream, (pass.Tiles, SegmentSort.Tile), keys, pass);
        }
    }
}

/// <summary>As in <see cref="ItemLauncher{TWork}"/>: two threads must not set an OpenCL kernel's arguments at once.</summary>
internal static class RadixGate
{
    internal static readonly Lock Gate = new();
}
