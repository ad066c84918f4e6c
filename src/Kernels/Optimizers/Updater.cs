using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Storage;
using Kernels.Host;
using Kernels.Launching;

namespace Kernels.Optimizers;

/// <summary>An element-wise optimizer loaded on an accelerator; arguments are checked by the caller.</summary>
internal abstract class Updater(Accelerator accelerator)
{
    internal Accelerator Accelerator { get; } = accelerator;

    internal DeviceFacts Facts { get; } = DeviceFacts.Of(accelerator);

    /// <summary>One step with one set of options for all elements.</summary>
    internal void Step(AcceleratorStream stream, in UpdateCall call, ElementwiseOptions options) =>
        Step(stream, call, options, WalkFor(IsAligned(call), call.Extras.StochasticRounding));

    /// <summary>The walk for tensors that are aligned or not, and rounded stochastically or not.</summary>
    internal virtual LinearWalk WalkFor(bool aligned, bool stochastic) =>
        stochastic && Facts.Class == DeviceClass.OpenClCpu ? LinearWalk.Serial : LinearPlan.WalkFor(Facts, aligned);

    /// <summary>One step in a given walk.</summary>
    internal abstract void Step(
        AcceleratorStream stream, in UpdateCall call, ElementwiseOptions options, LinearWalk walk);

    /// <summary>A table for steps whose blocks have different options.</summary>
    internal abstract UpdateTable CreateTable(Chunk[] chunks, int rules);

    /// <summary>Whether all tensors allow accesses of four elements.</summary>
    internal virtual bool IsAligned(in UpdateCall call) =>
        IsAligned(call.P) && IsAligned(call.G) && IsAligned(call.A) && IsAligned(call.B) && IsAligned(call.C)
        && IsAligned(call.Extras.Average) && IsAligned(call.Extras.Copy);

    private bool IsAligned(TensorView view) => Alignment.IsPacked(Accelerator, view);
}

/// <summary>The updater of one rule.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class Updater<TRule>(Accelerator accelerator, Func<ElementwiseOptions, int, TRule> fold)
    : Updater(accelerator)
    where TRule : unmanaged, IUpdateRule
{
    private readonly ConcurrentDictionary<Type, object> _loaded = new();

    internal override void Step(
        AcceleratorStream stream, in UpdateCall call, ElementwiseOptions options, LinearWalk walk)
    {
        TRule rule = fold(options, call.Step);
        if (walk == LinearWalk.Host)
        {
            HostUpdate.Run(call, rule, Facts.Cores);
        }
        else
        {
            UpdateDispatch.Run(call, new WholeLaunch(this, stream, rule, call.P.Length, walk));
        }
    }

    internal override UpdateTable CreateTable(Chunk[] chunks, int rules) => new Table(this, chunks, rules);

    private Loaded<TParam, TGrad, TExtras> Load<TParam, TGrad, TExtras>()
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TExtras : struct, IExtras =>
        (Loaded<TParam, TGrad, TExtras>)_loaded.GetOrAdd(
            typeof(Loaded<TParam, TGrad, TExtras>),
            static (_, accelerator) => new Loaded<TParam, TGrad, TExtras>(accelerator),
            Accelerator);

    [UnconditionalSuppressMessage("AOT", "IL3050", Justification = LoadedKernels.Told)]
    private readonly struct WholeLaunch(
        Updater<TRule> updater, AcceleratorStream stream, TRule rule, long length, LinearWalk walk) : IUpdateLaunch
    {
        public void Run<TParam, TGrad, TExtras>(UpdateTensors<TParam, TGrad> t, TExtras extras)
            where TParam : struct, IStorage
            where TGrad : struct, IStorage
            where TExtras : struct, IExtras
        {
            Loaded<TParam, TGrad, TExtras> kernels = updater.Load<TParam, TGrad, TExtras>();
            lock (Loaded<TParam, TGrad, TExtras>.Gate)
            {
                if (walk == LinearWalk.Serial)
                {
                    long strips = (length + Update.StripLength - 1) / Update.StripLength;
                    kernels.Strips(stream, ((int)strips, 1), t, extras, rule, length);
                    return;
                }

                LinearPlan plan = LinearPlan.For(updater.Facts, length, walk);
                while (plan.TryNext(out LinearLaunch launch))
                {
                    (launch.Walk == LinearWalk.Packets ? kernels.Packets : kernels.Elements)(
                        stream, (launch.Groups, launch.GroupSize), t, extras, rule, launch.First);
                }
            }
        }
    }

    [UnconditionalSuppressMessage("AOT", "IL3050", Justification = LoadedKernels.Told)]
    private readonly struct BlockLaunch(
        Updater<TRule> updater, AcceleratorStream stream, ArrayView<TRule> rules, ArrayView<Chunk> chunks,
        LinearWalk walk) : IUpdateLaunch
    {
        public void Run<TParam, TGrad, TExtras>(UpdateTensors<TParam, TGrad> t, TExtras extras)
            where TParam : struct, IStorage
            where TGrad : struct, IStorage
            where TExtras : struct, IExtras
        {
            bool packets = walk == LinearWalk.Packets;
            int size = packets ? Update.BlockLength / 4 : Update.BlockLength;
            Loaded<TParam, TGrad, TExtras> kernels = updater.Load<TParam, TGrad, TExtras>();
            lock (Loaded<TParam, TGrad, TExtras>.Gate)
            {
                if (walk == LinearWalk.Serial)
                {
                    const int Each = Update.StripLength / Update.BlockLength;
                    kernels.BlockStrips(
                        stream, ((int)((chunks.Length + Each - 1) / Each), 1), t, extras, rules, chunks, Each);
                    return;
                }

                (packets ? kernels.BlockPackets : kernels.BlockElements)(
                    stream, ((int)chunks.Length, size), t, extras, rules, chunks);
            }
        }
    }

    /// <summary>
    /// The kernels of one combination of storages and extras, each compiled at its first launch. Launches hold the
    /// gate: ILGPU sets an OpenCL kernel's arguments on the kernel, which it shares among all who load it, and two
    /// threads must not do so at once. So the gate is one for all updaters.
    /// </summary>
    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Loaded<TParam, TGrad, TExtras>(Accelerator accelerator)
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TExtras : struct, IExtras
    {
        internal static readonly Lock Gate = new();

        internal Action<AcceleratorStream, KernelConfig, UpdateTensors<TParam, TGrad>, TExtras, TRule, long> Elements =>
            field ??= accelerator.LoadKernel<UpdateTensors<TParam, TGrad>, TExtras, TRule, long>(
                Update.Elements<TRule, TParam, TGrad, TExtras>);

        internal Action<AcceleratorStream, KernelConfig, UpdateTensors<TParam, TGrad>, TExtras, TRule, long> Packets =>
            field ??= accelerator.LoadKernel<UpdateTensors<TParam, TGrad>, TExtras, TRule, long>(
                Update.Packets<TRule, TParam, TGrad, TExtras>);

        internal Action<AcceleratorStream, KernelConfig, UpdateTensors<TParam, TGrad>, TExtras, ArrayView<TRule>,
            ArrayView<Chunk>> BlockElements =>
            field ??= accelerator.LoadKernel<UpdateTensors<TParam, TGrad>, TExtras, ArrayView<TRule>, ArrayView<Chunk>>(
                Update.BlockElements<TRule, TParam, TGrad, TExtras>);

        internal Action<AcceleratorStream, KernelConfig, UpdateTensors<TParam, TGrad>, TExtras, ArrayView<TRule>,
            ArrayView<Chunk>> BlockPackets =>
            field ??= accelerator.LoadKernel<UpdateTensors<TParam, TGrad>, TExtras, ArrayView<TRule>, ArrayView<Chunk>>(
                Update.BlockPackets<TRule, TParam, TGrad, TExtras>);

        internal Action<AcceleratorStream, KernelConfig, UpdateTensors<TParam, TGrad>, TExtras, TRule, long> Strips =>
            field ??= accelerator.LoadKernel<UpdateTensors<TParam, TGrad>, TExtras, TRule, long>(
                Update.Strips<TRule, TParam, TGrad, TExtras>);

        internal Action<AcceleratorStream, KernelConfig, UpdateTensors<TParam, TGrad>, TExtras, ArrayView<TRule>,
            ArrayView<Chunk>, int> BlockStrips =>
            field ??= accelerator.LoadKernel<UpdateTensors<TParam, TGrad>, TExtras, ArrayView<TRule>, ArrayView<Chunk>, int>(
                Update.BlockStrips<TRule, TParam, TGrad, TExtras>);
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Table(Updater<TRule> updater, Chunk[] chunks, int rules)
        : UpdateTable<TRule>(updater.Accelerator, chunks, rules)
    {
        protected override TRule Fold(ElementwiseOptions options, int step) => updater.Fold(options, step);

        protected override void StepOnHost(in UpdateCall call, TRule[] rules, Chunk[] chunks) =>
            HostUpdate.Run(call, rules, chunks, updater.Facts.Cores);

        protected override void Launch(
            AcceleratorStream stream, in UpdateCall call, ArrayView<TRule> rules, ArrayView<Chunk> chunks,
            LinearWalk walk) => UpdateDispatch.Run(call, new BlockLaunch(updater, stream, rules, chunks, walk));
    }

    internal TRule Fold(ElementwiseOptions options, int step) => fold(options, step);
}
