using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Reductions;

namespace Kernels.Launching;

/// <summary>The tiles of one kind of source, loaded on an accelerator.</summary>
internal sealed class SquareReducer<TSource>
    where TSource : struct, ISquareSource
{
    private readonly DeviceFacts _facts;
    private readonly BlockLauncher<TileWork<TSource>> _tiles;
    private readonly BlockLauncher<TileTailWork<TSource>> _tail;
    private readonly Action<AcceleratorStream, KernelConfig, TSource, Partials, long>? _packets;

    internal SquareReducer(Accelerator accelerator, DeviceFacts facts)
    {
        _facts = facts;
        _tiles = new(accelerator, facts);
        _tail = new(accelerator, facts);
        if (facts.Class == DeviceClass.Gpu)
        {
            _packets = accelerator.LoadKernel<TSource, Partials, long>(SumOfSquares.TilePackets);
        }
    }

    /// <summary>Enqueues the partial sums of all tiles: at most one launch for the full ones and one for the last.</summary>
    internal unsafe void Tiles<THost>(
        AcceleratorStream stream, TSource source, THost host, long length, in Partials partials, LinearWalk walk)
        where THost : struct, IHostSource
    {
        if (walk == LinearWalk.Host)
        {
            HostReduction.Tiles(
                host, length, (float*)partials.Sums.LoadEffectiveAddressAsPtr(),
                (float*)partials.Sizes.LoadEffectiveAddressAsPtr(), _facts.Cores);
            return;
        }

        long full = length / SumOfSquares.TileLength;
        if (walk == LinearWalk.Packets && _packets is not null)
        {
            const int Items = SumOfSquares.Lanes / 4;
            int size = Math.Min(SumOfSquares.Lanes, _facts.MaxGroup);
            for (long first = 0; first < full;)
            {
                // A group holds a number of tiles, or a tile a number of groups; a single tile may be a smaller group.
                long tiles = Math.Min(full - first, _facts.MaxGrid * size / Items);
                int group = (int)Math.Min(size, tiles * Items);
                tiles -= tiles * Items % group / Items;
                _packets(stream, new KernelConfig((int)(tiles * Items / group), group), source, partials, first);
                first += tiles;
            }
        }
        else if (full > 0)
        {
            _tiles.Run(stream, new TileWork<TSource> { Source = source, Partials = partials }, 0, full);
        }

        if (full * SumOfSquares.TileLength < length)
        {
            var tail = new TileTailWork<TSource> { Source = source, Partials = partials, Length = length };
            _tail.Run(stream, tail, full, full + 1);
        }
    }
}

/// <summary>Memory for partial sums, and the folds that make them few.</summary>
internal sealed class PartialSums : IDisposable
{
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _buffer;
    private readonly ItemLauncher<FoldWork> _fold;
    private readonly ItemLauncher<FoldRestWork> _foldRest;
    private readonly long _capacity;
    private readonly long _foldedCapacity;

    /// <summary>Memory for so many tiles.</summary>
    internal PartialSums(Accelerator accelerator, DeviceFacts facts, long tiles)
    {
        MaxTiles = Math.Max(tiles, 1);
        _capacity = MaxTiles * SumOfSquares.Lanes;
        _foldedCapacity = ReductionPlan.Folded(_capacity);
        _fold = new(accelerator, facts);
        _foldRest = new(accelerator, facts);
        _buffer = accelerator.Allocate1D<float>(2 * (_capacity + _foldedCapacity));
    }

    internal long MaxTiles { get; }

    internal bool IsDisposed => _buffer.IsDisposed;

    /// <summary>The partial sums of tiles from <paramref name="first"/> on.</summary>
    internal Partials Of(long first, long tiles) => At(
        0, _capacity, first * SumOfSquares.Lanes, tiles * SumOfSquares.Lanes);

    /// <summary>Enqueues the folds; at most 64 partial sums are left, the same number for the same tiles.</summary>
    internal (Partials Left, long Count) Fold(AcceleratorStream stream, long tiles)
    {
        if (tiles == 0)
        {
            return (Of(0, 1), 0);
        }

        long count = ReductionPlan.Folded(tiles * SumOfSquares.Lanes);
        Partials from = Of(0, tiles);
        Partials to = Second(count);
        _fold.Run(stream, new FoldWork { From = from, To = to, Outputs = count }, 0, count, grain: 512);
        while (count > SumOfSquares.Fold)
        {
            long inputs = count;
            count = ReductionPlan.Folded(inputs);
            (from, to) = (to, from);
            var work = new FoldRestWork { From = from, To = to, Inputs = inputs, Outputs = count };
            _foldRest.Run(stream, work, 0, count, grain: 512);
        }

        return (to, count);
    }

    public void Dispose() => _buffer.Dispose();

    private Partials Second(long count) => At(2 * _capacity, _foldedCapacity, 0, count);

    private Partials At(long start, long capacity, long first, long count)
    {
        ArrayView<float> all = _buffer.View;
        return new Partials
        {
            Sums = all.SubView(start + first, count),
            Sizes = all.SubView(start + capacity + first, count),
        };
    }
}
