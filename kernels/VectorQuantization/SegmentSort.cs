using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;

namespace Kernels.DeviceCode.VectorQuantization;

/// <summary>Which segment an entry belongs to.</summary>
internal interface ISegmentKeys
{
    /// <summary>The segment, 0 to the number of segments, which stands for none.</summary>
    int Key(int entry);
}

/// <summary>Entry (row, head) belongs to the code that the row chose among those of the head.</summary>
internal struct ChosenCode : ISegmentKeys
{
    /// <summary>[rows, heads].</summary>
    public ArrayView<int> Index;
    public int Heads;

    /// <summary>Codes of a head.</summary>
    public int Codes;

    public readonly int Key(int entry)
    {
        int index = Index[entry];
        bool counts = (index >= 0) & (index < Codes);
        return Utilities.Select(counts, entry % Heads * Codes + index, Heads * Codes);
    }
}

/// <summary>The keys of an earlier pass.</summary>
internal struct KeptKeys : ISegmentKeys
{
    public ArrayView<int> Keys;

    public readonly int Key(int entry) => Keys[entry];
}

/// <summary>A pass of <see cref="SegmentSort"/>.</summary>
internal struct SegmentSortArguments
{
    /// <summary>The entries of the keys; not read if <see cref="IsFirst"/>, when they are 0, 1, 2, ...</summary>
    public ArrayView<int> Entries;

    /// <summary>Out, by this digit.</summary>
    public ArrayView<int> SortedKeys;
    public ArrayView<int> SortedEntries;

    /// <summary>[256 digits, tiles]: how often a digit is in a tile, and then how often before it.</summary>
    public ArrayView<int> Histogram;

    /// <summary>[256]: how often a digit is anywhere.</summary>
    public ArrayView<int> Totals;
    public int Count;
    public int Tiles;

    /// <summary>Bits below the digit.</summary>
    public int Shift;

    /// <summary>0 or 1.</summary>
    public int IsFirst;
}

/// <summary>A stable sort of entries by segment on GPUs: radix 256, the least digit first.</summary>
/// <remarks>
/// Shapes: a group has 256 items and a tile of 256 entries. A pass counts the digits of each tile, sums the counts over
/// the tiles (a group for each digit), and moves the entries. An item finds its place among the equal digits of its
/// tile by looking at all of them.
/// Traffic: 4 or 8 bytes read and 8 written per entry and pass, and 1024 bytes of counts for each tile.
/// Needs: 256 items a group, 3 KiB of shared memory.
/// Order: stable, so the result is the only one there is.
/// </remarks>
internal static class SegmentSort
{
    /// <summary>Entries of a tile, items of a group, values of a digit.</summary>
    internal const int Tile = 256;

    /// <summary>Bits of a digit.</summary>
    internal const int DigitBits = 8;

    [DeviceKernel("vq/segmentsort.count")]
    internal static void Count<TKeys>(TKeys keys, SegmentSortArguments t)
        where TKeys : struct, ISegmentKeys
    {
        ArrayView<int> digits = SharedMemory.Allocate<int>(Tile);
        ArrayView<int> counts = SharedMemory.Allocate<int>(Tile);
        int item = Group.IdxX;
        int digit = Digit(keys, t, out int _);
        digits[item] = digit;
        counts[item] = 0;
        Group.Barrier();
        int before = 0;
        int behind = 0;
        for (int other = 0; other < Tile; other++)
        {
            int same = Utilities.Select(digits[other] == digit, 1, 0);
            before += Utilities.Select(other < item, same, 0);
            behind += Utilities.Select(other > item, same, 0);
        }

        if ((behind == 0) & (digit < Tile))
        {
            counts[digit] = before + 1;
        }

        Group.Barrier();
        t.Histogram[(long)item * t.Tiles + Grid.IdxX] = counts[item];
    }

    [DeviceKernel("vq/segmentsort.scan")]
    internal static void Scan(SegmentSortArguments t)
    {
        ArrayView<int> sums = SharedMemory.Allocate<int>(Tile);
        int item = Group.IdxX;
        long first = (long)Grid.IdxX * t.Tiles;
        int running = 0;
        for (int tile = 0; tile < t.Tiles; tile += Tile)
        {
            int own = tile + item;
            int count = 0;
            if (own < t.Tiles)
            {
                count = t.Histogram[first + own];
            }

            int upTo = UpTo(sums, count);
            if (own < t.Tiles)
            {
                t.Histogram[first + own] = running + upTo - count;
            }

            running += sums[Tile - 1];
        }

        if (item == 0)
        {
            t.Totals[Grid.IdxX] = running;
        }
    }

    [DeviceKernel("vq/segmentsort.scatter")]
    internal static void Scatter<TKeys>(TKeys keys, SegmentSortArguments t)
        where TKeys : struct, ISegmentKeys
    {
        ArrayView<int> sums = SharedMemory.Allocate<int>(Tile);
        ArrayView<int> digits = SharedMemory.Allocate<int>(Tile);
        ArrayView<int> places = SharedMemory.Allocate<int>(Tile);
        int item = Group.IdxX;
        int total = t.Totals[item];
        int smaller = UpTo(sums, total) - total;
        places[item] = smaller + t.Histogram[(long)item * t.Tiles + Grid.IdxX];
        int digit = Digit(keys, t, out int key);
        digits[item] = digit;
        Group.Barrier();
        int before = 0;
        for (int other = 0; other < Tile; other++)
        {
            before += Utilities.Select((digits[other] == digit) & (other < item), 1, 0);
        }

        if (digit < Tile)
        {
            int place = places[digit] + before;
            int entry = Grid.IdxX * Tile + item;
            if (t.IsFirst == 0)
            {
                entry = t.Entries[entry];
            }

            t.SortedKeys[place] = key;
            t.SortedEntries[place] = entry;
        }
    }

    /// <summary>The digit of the item's entry; 256 beyond the last.</summary>
    private static int Digit<TKeys>(TKeys keys, SegmentSortArguments t, out int key)
        where TKeys : struct, ISegmentKeys
    {
        int entry = Grid.IdxX * Tile + Group.IdxX;
        key = keys.Key(IntrinsicMath.Min(entry, t.Count - 1));
        return Utilities.Select(entry < t.Count, (key >> t.Shift) & (Tile - 1), Tile);
    }

    /// <summary>The sum of the values of all items up to and with this one. Every item must call it.</summary>
    private static int UpTo(ArrayView<int> sums, int value)
    {
        int item = Group.IdxX;
        Group.Barrier();
        sums[item] = value;
        for (int step = 1; step < Tile; step <<= 1)
        {
            Group.Barrier();
            int other = sums[IntrinsicMath.Max(item - step, 0)];
            int more = Utilities.Select(item >= step, other, 0);
            Group.Barrier();
            sums[item] = sums[item] + more;
        }

        Group.Barrier();
        return sums[item];
    }
}

/// <summary>Where each segment begins among sorted keys, one segment per item; one more for those of none.</summary>
internal struct SegmentBoundsWork : IItemWork
{
    public ArrayView<int> Keys;

    /// <summary>Out, [segments + 1].</summary>
    public ArrayView<int> Begin;
    public int Count;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int low = 0;
        int high = Count;
        while (low < high)
        {
            int middle = low + (high - low) / 2;
            bool isBelow = Keys[middle] < i;
            low = Utilities.Select(isBelow, middle + 1, low);
            high = Utilities.Select(isBelow, high, middle);
        }

        Begin[i] = low;
    }
}

/// <summary>The sort on CPU devices: a counting sort by a few parts of the entries.</summary>
internal struct SegmentParts<TKeys>
    where TKeys : struct, ISegmentKeys
{
    public TKeys Keys;

    /// <summary>[parts, segments]: rows of a segment in a part, and then where the next of them ends, last first.</summary>
    public ArrayView<int> Places;

    /// <summary>[chunks]: rows of the segments of a chunk.</summary>
    public ArrayView<int> ChunkSums;

    /// <summary>Out, [segments + 1].</summary>
    public ArrayView<int> Begin;

    /// <summary>Out: the entries of the segments, one segment after the other.</summary>
    public ArrayView<int> Order;
    public int Entries;
    public int Segments;
    public int Parts;
    public int Chunks;

    internal readonly long PlacesOf(long part) => part * Segments;

    internal readonly int EntryOf(long part) => (int)(part * Entries / Parts);

    internal readonly int SegmentOf(long chunk) => (int)(chunk * Segments / Chunks);
}

/// <summary>Counts the rows of each segment, one part per item.</summary>
internal struct SegmentCountWork<TKeys> : IItemWork
    where TKeys : struct, ISegmentKeys
{
    public SegmentParts<TKeys> Parts;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        long first = Parts.PlacesOf(i);
        for (int segment = 0; segment < Parts.Segments; segment++)
        {
            Parts.Places[first + segment] = 0;
        }

        int end = Parts.EntryOf(i + 1);
        for (int entry = Parts.EntryOf(i); entry < end; entry++)
        {
            int key = Parts.Keys.Key(entry);
            if (key < Parts.Segments)
            {
                Parts.Places[first + key] = Parts.Places[first + key] + 1;
            }
        }
    }
}

/// <summary>Counts the rows of a chunk of segments, one chunk per item.</summary>
internal struct SegmentChunkWork<TKeys> : IItemWork
    where TKeys : struct, ISegmentKeys
{
    public SegmentParts<TKeys> Parts;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int sum = 0;
        int end = Parts.SegmentOf(i + 1);
        for (int part = 0; part < Parts.Parts; part++)
        {
            long first = Parts.PlacesOf(part);
            for (int segment = Parts.SegmentOf(i); segment < end; segment++)
            {
                sum += Parts.Places[first + segment];
            }
        }

        Parts.ChunkSums[i] = sum;
    }
}

/// <summary>Turns counts into places, one chunk of segments per item.</summary>
internal struct SegmentPlaceWork<TKeys> : IItemWork
    where TKeys : struct, ISegmentKeys
{
    public SegmentParts<TKeys> Parts;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int place = 0;
        for (int chunk = 0; chunk < i; chunk++)
        {
            place += Parts.ChunkSums[chunk];
        }

        int end = Parts.SegmentOf(i + 1);
        for (int segment = Parts.SegmentOf(i); segment < end; segment++)
        {
            Parts.Begin[segment] = place;
            for (int part = 0; part < Parts.Parts; part++)
            {
                long at = Parts.PlacesOf(part) + segment;
                // What is stored depends on what is loaded: ILGPU moves loads down to their use, even over a store.
                place += Parts.Places[at];
                Parts.Places[at] = place;
            }
        }

        if (end == Parts.Segments)
        {
            Parts.Begin[end] = place;
        }
    }
}

/// <summary>Puts the entries into their places, the last first, one part per item.</summary>
internal struct SegmentScatterWork<TKeys> : IItemWork
    where TKeys : struct, ISegmentKeys
{
    public SegmentParts<TKeys> Parts;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        long first = Parts.PlacesOf(i);
        int begin = Parts.EntryOf(i);
        for (int entry = Parts.EntryOf(i + 1) - 1; entry >= begin; entry--)
        {
            int key = Parts.Keys.Key(entry);
            if (key < Parts.Segments)
            {
                int place = Parts.Places[first + key] - 1;
                Parts.Places[first + key] = place;
                Parts.Order[place] = entry;
            }
        }
    }
}
