using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Reductions;

namespace Kernels.Launching;

/// <summary>The tiles of one kind of source, loaded on an accelerator.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class SquareReducer<TSource>
    where TSource : struct, ISquareSource
{
    private static readonly Lock s_gate = new(); // as in ItemLauncher

    private readonly DeviceFacts _facts;
    private readonly BlockLauncher<StripWork<TSource>> _strips;
    private readonly BlockLauncher<StripTailWork<TSource>> _tail;
    private readonly ItemLauncher<TileWork<TSource>> _tiles;
    private readonly Action<AcceleratorStream, KernelConfig, TSource, ArrayView<float>, long>? _packets;

    internal SquareReducer(Accelerator accelerator, DeviceFacts facts)
    {
        _facts = facts;
        _strips = new(accelerator, facts);
        _tail = new(accelerator, facts);
        _tiles = new(accelerator, facts);
        if (facts.Class == DeviceClass.Gpu)
        {
            _packets = accelerator.LoadKernel<TSource, ArrayView<float>, long>(SumOfSquares.StripPackets);
        }
    }

    /// <summary>
    /// Enqueues the sums of all tiles: at most one launch for the full strips, one for the others and one for the tiles.
    /// </summary>
    internal unsafe void Tiles<THost>(
        AcceleratorStream stream, TSource source, THost host, long length, in Partials partials, LinearWalk walk)
        where THost : struct, IHostSource
    {
        long tiles = ReductionPlan.Tiles(length);
        if (walk == LinearWalk.Host)
        {
            HostReduction.Strips(host, length, (float*)partials.Lanes.LoadEffectiveAddressAsPtr(), _facts.Cores);
        }
        else
        {
            Strips(stream, source, length, tiles * SumOfSquares.Strips, partials.Lanes, walk);
        }

        var work = new TileWork<TSource> { Source = source, Partials = partials, Length = length };
        _tiles.Run(stream, work, 0, tiles, grain: 64);
    }

    private void Strips(
        AcceleratorStream stream, TSource source, long length, long strips, ArrayView<float> lanes, LinearWalk walk)
    {
        long full = length / SumOfSquares.StripLength;
        if (walk == LinearWalk.Packets && _packets is not null)
        {
            const int Items = SumOfSquares.Lanes / 4;
            int size = Math.Min(256, _facts.MaxGroup);
            for (long first = 0; first < full;)
            {
                // A group holds a number of strips; the last ones may be a smaller group.
                long count = Math.Min(full - first, _facts.MaxGrid * size / Items);
                int group = (int)Math.Min(size, count * Items);
                count -= count * Items % group / Items;
                lock (s_gate)
                {
                    _packets(stream, new KernelConfig((int)(count * Items / group), group), source, lanes, first);
                }

                first += count;
            }
        }
        else if (full > 0)
        {
            _strips.Run(stream, new StripWork<TSource> { Source = source, Lanes = lanes }, 0, full);
        }

        if (full < strips)
        {
            var tail = new StripTailWork<TSource> { Source = source, Lanes = lanes, Length = length };
            _tail.Run(stream, tail, full, strips);
        }
    }
}

/// <summary>Memory for partial sums, and the folds that make them few.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class PartialSums : IDisposable
{
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _buffer;
    private readonly ItemLauncher<FoldWork> _fold;

    /// <summary>Memory for so many tiles.</summary>
    internal PartialSums(Accelerator accelerator, DeviceFacts facts, long tiles)
    {
        MaxTiles = Math.Max(tiles, 1);
        _fold = new(accelerator, facts);
        _buffer = accelerator.Allocate1D<float>(
            MaxTiles * (SumOfSquares.TileLanes + 2) + 2 * ReductionPlan.Folded(MaxTiles));
    }

    internal long MaxTiles { get; }

    internal bool IsDisposed => _buffer.IsDisposed;

    /// <summary>The partial sums of tiles from <paramref name="first"/> on.</summary>
    internal Partials Of(long first, long tiles)
    {
        Partials partials = At(MaxTiles * SumOfSquares.TileLanes, MaxTiles, first, tiles);
        partials.Lanes = _buffer.View.SubView(first * SumOfSquares.TileLanes, tiles * SumOfSquares.TileLanes);
        return partials;
    }

    /// <summary>Enqueues the folds; at most 64 partial sums are left, the same number for the same tiles.</summary>
    internal (Partials Left, long Count) Fold(AcceleratorStream stream, long tiles)
    {
        if (tiles == 0)
        {
            return (Of(0, 1), 0);
        }

        long count = tiles;
        Partials from = Of(0, tiles);
        Partials to = At(
            MaxTiles * (SumOfSquares.TileLanes + 2), ReductionPlan.Folded(MaxTiles), 0, ReductionPlan.Folded(tiles));
        while (count > SumOfSquares.Fold)
        {
            long inputs = count;
            count = ReductionPlan.Folded(inputs);
            var work = new FoldWork { From = from, To = to, Inputs = inputs, Outputs = count };
            _fold.Run(stream, work, 0, count, grain: 512);
            (from, to) = (to, from);
        }

        return (from, count);
    }

    public void Dispose() => _buffer.Dispose();

    private Partials At(long start, long capacity, long first, long count)
    {
        ArrayView<float> all = _buffer.View;
        return new Partials
        {
            Lanes = all.SubView(0, 1),
            Sums = all.SubView(start + first, count),
            Sizes = all.SubView(start + capacity + first, count),
        };
    }
}
