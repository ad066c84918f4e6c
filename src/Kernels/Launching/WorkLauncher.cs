using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.OpenCL;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Kernels.Host;
using Kernels.Optimizers;

namespace Kernels.Launching;

/// <summary>Launches independent items; on ILGPU's CPU accelerator the host's threads do them.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class ItemLauncher<TWork>
    where TWork : struct, IItemWork
{
    // ILGPU sets an OpenCL kernel's arguments on the kernel, which it shares among all who load it, and two threads must
    // not do so at once. So the gate is one for all launchers of a kind of work.
    private static readonly Lock s_gate = new();

    private readonly DeviceFacts _facts;
    private readonly Action<AcceleratorStream, KernelConfig, TWork, long>? _kernel;

    internal ItemLauncher(Accelerator accelerator, DeviceFacts facts)
    {
        _facts = facts;
        if (facts.Class != DeviceClass.Host)
        {
            _kernel = accelerator.LoadKernel<TWork, long>(Walks.Items);
        }
    }

    /// <summary>Does the items from <paramref name="first"/> up to <paramref name="end"/>.</summary>
    /// <param name="stream">Stream of the accelerator.</param>
    /// <param name="work">What an item does.</param>
    /// <param name="first">First item.</param>
    /// <param name="end">One past the last item.</param>
    /// <param name="grain">Items worth a thread of the host.</param>
    internal void Run(AcceleratorStream stream, in TWork work, long first, long end, long grain = 4096)
    {
        if (_kernel is null)
        {
            HostPool.Run(new HostItems { Work = work, First = first }, end - first, grain, _facts.Cores);
            return;
        }

        LinearPlan plan = LinearPlan.For(_facts, end - first, LinearWalk.Elements);
        while (plan.TryNext(out LinearLaunch launch))
        {
            lock (s_gate)
            {
                _kernel(stream, new KernelConfig(launch.Groups, launch.GroupSize), work, first + launch.First);
            }
        }
    }

    /// <summary>Does a few items that are worth a core each: on an OpenCL CPU device a group is one thread.</summary>
    internal void RunApart(AcceleratorStream stream, in TWork work, int count)
    {
        if (_kernel is null)
        {
            HostPool.Run(new HostItems { Work = work }, count, 1, _facts.Cores);
            return;
        }

        lock (s_gate)
        {
            _kernel(stream, new KernelConfig(count, 1), work, 0);
        }
    }

    private struct HostItems : IHostWork
    {
        internal TWork Work;
        internal long First;

        public readonly void Run(long begin, long end)
        {
            Quad uniform = Work.Uniform();
            for (long i = begin; i < end; i++)
            {
                Work.Item(First + i, uniform);
            }
        }
    }
}

/// <summary>Launches blocks of lanes; on ILGPU's CPU accelerator the host's threads do them.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class BlockLauncher<TWork>
    where TWork : struct, IBlockWork
{
    private static readonly Lock s_gate = new(); // as of items

    private readonly Accelerator _accelerator;
    private readonly DeviceFacts _facts;
    private readonly Action<AcceleratorStream, KernelConfig, TWork, long>? _kernel;
    private Action<AcceleratorStream, KernelConfig, TWork, long, int>? _short;

    internal BlockLauncher(Accelerator accelerator, DeviceFacts facts)
    {
        _accelerator = accelerator;
        _facts = facts;
        if (facts.Class != DeviceClass.Host)
        {
            _kernel = accelerator.LoadKernel<TWork, long>(Walks.Blocks);
        }
    }

    /// <summary>Does the blocks from <paramref name="first"/> up to <paramref name="end"/>.</summary>
    /// <param name="stream">Stream of the accelerator.</param>
    /// <param name="work">What a lane does.</param>
    /// <param name="first">First block.</param>
    /// <param name="end">One past the last block.</param>
    /// <param name="grain">Blocks worth a thread of the host.</param>
    internal void Run(AcceleratorStream stream, in TWork work, long first, long end, long grain = 16)
    {
        if (_kernel is null)
        {
            HostPool.Run(new HostBlocks { Work = work, First = first }, end - first, grain, _facts.Cores);
            return;
        }

        while (first < end)
        {
            BlockLaunch launch = ReductionPlan.Blocks(_facts, TWork.LaneCount, first, end);
            lock (s_gate)
            {
                _kernel(stream, new KernelConfig(launch.Groups, launch.GroupSize), work, launch.First);
            }

            first += (long)launch.Groups * launch.GroupSize / TWork.LaneCount;
        }
    }

    /// <summary>Does blocks of fewer lanes than their kind has.</summary>
    /// <param name="stream">Stream of the accelerator, which is not ILGPU's for the CPU.</param>
    /// <param name="work">What a lane does.</param>
    /// <param name="blocks">Blocks, from 0 on.</param>
    /// <param name="lanes">Lanes of each.</param>
    internal void RunShort(AcceleratorStream stream, in TWork work, long blocks, int lanes)
    {
        _short ??= _accelerator.LoadKernel<TWork, long, int>(Walks.ShortBlocks);
        // The largest group that has its share of lanes: all of them, but on small devices.
        int groups = (lanes + _facts.MaxGroup - 1) / _facts.MaxGroup;
        while (lanes % groups != 0)
        {
            groups++;
        }

        for (long first = 0; first < blocks;)
        {
            long count = Math.Min(blocks - first, Math.Max(1, _facts.MaxGrid / groups));
            lock (s_gate)
            {
                _short(stream, new KernelConfig((int)count * groups, lanes / groups), work, first, groups);
            }

            first += count;
        }
    }

    private struct HostBlocks : IHostWork
    {
        internal TWork Work;
        internal long First;

        public readonly void Run(long begin, long end)
        {
            for (long block = First + begin; block < First + end; block++)
            {
                Quad uniform = Work.Uniform(block);
                for (int lane = 0; lane < TWork.LaneCount; lane++)
                {
                    Work.Item(block, lane, uniform);
                }
            }
        }
    }
}

/// <summary>Whether tensors allow accesses of four elements.</summary>
internal static class Alignment
{
    /// <summary>Whether all tensors of a call do, with its extras.</summary>
    internal static bool IsPacked(Accelerator accelerator, in UpdateCall call) =>
        IsPacked(accelerator, call.P) && IsPacked(accelerator, call.G) && IsPacked(accelerator, call.Extras.Average)
        && IsPacked(accelerator, call.Extras.Copy);

    internal static bool IsPacked(Accelerator accelerator, TensorView view)
    {
        if (view.Buffer is not { } buffer)
        {
            return true;
        }

        // An OpenCL buffer is a handle; its memory starts at a multiple of 128 bytes.
        long start = accelerator is CLAccelerator ? 0 : buffer.NativePtr;
        return (start + view.Index * view.ElementBytes) % (4 * view.ElementBytes) == 0;
    }
}
