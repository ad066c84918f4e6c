using ILGPU;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Reductions;

/// <summary>Independent items: what item i does, given what is the same for all.</summary>
internal interface IItemWork
{
    /// <summary>What all items need from device memory.</summary>
    Quad Uniform();

    /// <summary>Does item <paramref name="i"/>.</summary>
    void Item(long i, Quad uniform);
}

/// <summary>Blocks of lanes: what one lane of a block does, given what is the same for the whole block.</summary>
internal interface IBlockWork
{
    /// <summary>Lanes of a block: a power of two. The result must not depend on how a group holds them.</summary>
    static abstract int LaneCount { get; }

    /// <summary>What all lanes of the block need from device memory.</summary>
    Quad Uniform(long block);

    /// <summary>Does one lane of one block.</summary>
    void Item(long block, long lane, Quad uniform);
}

/// <summary>Blocks of lanes that a table describes.</summary>
internal interface ITableWork
{
    /// <summary>Lanes of a block: a power of two. The result must not depend on how a group holds them.</summary>
    static abstract int LaneCount { get; }
}

/// <summary>Blocks of lanes: what one lane of a block does, given the block's entry of the table.</summary>
internal interface ITableWork<TEntry> : ITableWork
    where TEntry : unmanaged
{
    /// <summary>Lanes of the block that have something to do.</summary>
    static abstract int Lanes(TEntry entry);

    /// <summary>What all lanes of the block need from device memory beside the entry.</summary>
    Quad Uniform(TEntry entry);

    /// <summary>Does one lane of one block.</summary>
    void Item(TEntry entry, long lane, Quad uniform);
}

/// <summary>The walks of the reductions; what is computed is in the work.</summary>
/// <remarks>
/// Shapes: the launch covers exactly the items or blocks from <c>first</c> on, so there is no bounds check.
/// Needs: no shared memory. Items: any group size. Blocks: a group size that divides the lanes of a block.
/// Order: which item does what depends on its index alone: the same bits for every launch shape.
/// </remarks>
internal static class Walks
{
    /// <summary>One item each.</summary>
    [DeviceKernel("reductions/walks.items")]
    internal static void Items<TWork>(TWork work, long first)
        where TWork : struct, IItemWork
    {
        Quad uniform = work.Uniform();
        // Separates what is uniform from what is not: PoCL then keeps it in registers and vectorises the rest.
        Group.Barrier();
        // Always so, as in Blocks.
        if (first >= 0)
        {
            work.Item(first + (long)Grid.IdxX * Group.DimX + Group.IdxX, uniform);
        }
    }

    /// <summary>One lane of a block each; consecutive items are consecutive lanes.</summary>
    [DeviceKernel("reductions/walks.blocks")]
    internal static void Blocks<TWork>(TWork work, long first)
        where TWork : struct, IBlockWork
    {
        int groups = TWork.LaneCount / Group.DimX;
        long block = first + Grid.IdxX / groups;
        Quad uniform = work.Uniform(block);
        Group.Barrier(); // as in Items
        // Always so. ILGPU moves loads down to their use in the same basic block, even over a barrier; this begins another.
        if (first >= 0)
        {
            // Long before the multiplication, as in Update.Elements.
            work.Item(block, (long)(Grid.IdxX % groups) * Group.DimX + Group.IdxX, uniform);
        }
    }

    /// <summary>The same with a number of groups for each block, for blocks of another number of lanes.</summary>
    [DeviceKernel("reductions/walks.shortblocks")]
    internal static void ShortBlocks<TWork>(TWork work, long first, int groups)
        where TWork : struct, IBlockWork
    {
        long block = first + Grid.IdxX / groups;
        Quad uniform = work.Uniform(block);
        Group.Barrier(); // as in Items
        if (first >= 0)
        {
            work.Item(block, (long)(Grid.IdxX % groups) * Group.DimX + Group.IdxX, uniform);
        }
    }

    /// <summary>One lane of a block each, where all lanes have something to do; each block has an entry of the table.</summary>
    [DeviceKernel("reductions/walks.table")]
    internal static void Table<TWork, TEntry>(TWork work, ArrayView<TEntry> table, long first)
        where TWork : struct, ITableWork<TEntry>
        where TEntry : unmanaged
    {
        int groups = TWork.LaneCount / Group.DimX;
        TEntry entry = table[first + Grid.IdxX / groups];
        Quad uniform = work.Uniform(entry);
        Group.Barrier(); // as in Items
        if (first >= 0)
        {
            work.Item(entry, (long)(Grid.IdxX % groups) * Group.DimX + Group.IdxX, uniform);
        }
    }

    /// <summary>The same where some lanes may have nothing to do.</summary>
    [DeviceKernel("reductions/walks.shorttable")]
    internal static void ShortTable<TWork, TEntry>(TWork work, ArrayView<TEntry> table, long first)
        where TWork : struct, ITableWork<TEntry>
        where TEntry : unmanaged
    {
        int groups = TWork.LaneCount / Group.DimX;
        TEntry entry = table[first + Grid.IdxX / groups];
        Quad uniform = work.Uniform(entry);
        int lanes = TWork.Lanes(entry);
        Group.Barrier(); // as in Items
        long lane = (long)(Grid.IdxX % groups) * Group.DimX + Group.IdxX;
        if (lane < lanes)
        {
            work.Item(entry, lane, uniform);
        }
    }
}
