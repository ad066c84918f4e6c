using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Kernels.Host;

namespace Kernels.Launching;

/// <summary>A table in the memory of a device; it may be empty.</summary>
internal sealed class DeviceTable<TEntry>(Accelerator accelerator, TEntry[] entries) : IDisposable
    where TEntry : unmanaged
{
    private readonly MemoryBuffer1D<TEntry, Stride1D.Dense>? _buffer =
        entries.Length == 0 ? null : accelerator.Allocate1D(entries);

    internal ArrayView<TEntry> View => _buffer is null ? default : _buffer.View;

    internal int Length { get; } = entries.Length;

    /// <summary>Its address on the host; null of an empty one.</summary>
    internal nint Address => _buffer?.NativePtr ?? 0;

    public void Dispose() => _buffer?.Dispose();
}

/// <summary>Launches blocks of lanes that a table describes; on ILGPU's CPU accelerator the host's threads do them.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class TableLauncher<TWork, TEntry>(Accelerator accelerator, DeviceFacts facts)
    where TWork : struct, ITableWork<TEntry>
    where TEntry : unmanaged
{
    private static readonly Lock s_gate = new(); // as of items

    private Action<AcceleratorStream, KernelConfig, TWork, ArrayView<TEntry>, long> Full =>
        field ??= accelerator.LoadKernel<TWork, ArrayView<TEntry>, long>(Walks.Table);

    private Action<AcceleratorStream, KernelConfig, TWork, ArrayView<TEntry>, long> Short =>
        field ??= accelerator.LoadKernel<TWork, ArrayView<TEntry>, long>(Walks.ShortTable);

    /// <summary>Does the blocks from <paramref name="first"/> up to <paramref name="end"/>.</summary>
    /// <param name="stream">Stream of the accelerator.</param>
    /// <param name="work">What a lane does.</param>
    /// <param name="table">An entry for each block.</param>
    /// <param name="first">First block.</param>
    /// <param name="end">One past the last block.</param>
    /// <param name="isFull">Whether all lanes of these blocks have something to do.</param>
    /// <param name="grain">Blocks worth a thread of the host.</param>
    internal void Run(
        AcceleratorStream stream, in TWork work, DeviceTable<TEntry> table, long first, long end, bool isFull = false,
        long grain = 64)
    {
        if (facts.Class == DeviceClass.Host)
        {
            HostPool.Run(
                new HostBlocks { Work = work, Table = table.View, First = first }, end - first, grain, facts.Cores);
            return;
        }

        while (first < end)
        {
            BlockLaunch launch = ReductionPlan.Blocks(facts, TWork.LaneCount, first, end);
            lock (s_gate)
            {
                (isFull ? Full : Short)(
                    stream, new KernelConfig(launch.Groups, launch.GroupSize), work, table.View, launch.First);
            }

            first += (long)launch.Groups * launch.GroupSize / TWork.LaneCount;
        }
    }

    private struct HostBlocks : IHostWork
    {
        internal TWork Work;
        internal ArrayView<TEntry> Table;
        internal long First;

        public readonly void Run(long begin, long end)
        {
            for (long block = First + begin; block < First + end; block++)
            {
                TEntry entry = Table[block];
                Quad uniform = Work.Uniform(entry);
                int lanes = TWork.Lanes(entry);
                for (int lane = 0; lane < lanes; lane++)
                {
                    Work.Item(entry, lane, uniform);
                }
            }
        }
    }
}
