using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Storage;
using Kernels.Host;
using Kernels.Launching;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>Adam with 8-bit state, loaded on an accelerator; arguments are checked by the caller.</summary>
/// <param name="accelerator">Where the tensors lie.</param>
/// <param name="adam">Folds the rules.</param>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class EightBitUpdater(Accelerator accelerator, Updater<AdamRule> adam) : Updater(accelerator)
{
    // Work worth the start of a group on an OpenCL CPU device: 4,096 elements take 14 microseconds of a core.
    private const int MostBlocks = 16;

    private readonly ConcurrentDictionary<Type, object> _loaded = new();

    internal override LinearWalk WalkFor(bool aligned, bool stochastic) =>
        Facts.Class == DeviceClass.OpenClCpu ? LinearWalk.Serial : base.WalkFor(aligned, stochastic);

    internal override bool IsAligned(in UpdateCall call) =>
        base.IsAligned(call) && TensorRange.Of(call.Moments.CodesM, "").IsAligned(Accelerator, 4)
        && TensorRange.Of(call.Moments.CodesV, "").IsAligned(Accelerator, 4);

    internal override void Step(
        AcceleratorStream stream, in UpdateCall call, ElementwiseOptions options, LinearWalk walk)
    {
        AdamRule rule = adam.Fold(options, call.Step);
        if (walk == LinearWalk.Host)
        {
            HostEightBitAdam.Step(call, rule, Facts.Cores);
        }
        else
        {
            UpdateDispatch.Run(call, new WholeLaunch(this, stream, call.Moments, rule, walk));
        }
    }

    internal override UpdateTable CreateTable(Chunk[] chunks, int rules) => new Table(this, chunks, rules);

    private AdamRule Fold(ElementwiseOptions options, int step) => adam.Fold(options, step);

    private Loaded<TRules, TParam, TGrad, TExtras> Load<TRules, TParam, TGrad, TExtras>()
        where TRules : struct, IBlockRules
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TExtras : struct, IExtras =>
        (Loaded<TRules, TParam, TGrad, TExtras>)_loaded.GetOrAdd(
            typeof(Loaded<TRules, TParam, TGrad, TExtras>),
            static (_, accelerator) => new Loaded<TRules, TParam, TGrad, TExtras>(accelerator),
            Accelerator);

    [UnconditionalSuppressMessage("AOT", "IL3050", Justification = LoadedKernels.Told)]
    private readonly struct WholeLaunch(
        EightBitUpdater updater, AcceleratorStream stream, EightBitMoments moments, AdamRule rule, LinearWalk walk)
        : IUpdateLaunch
    {
        public void Run<TParam, TGrad, TExtras>(UpdateTensors<TParam, TGrad> t, TExtras extras)
            where TParam : struct, IStorage
            where TGrad : struct, IStorage
            where TExtras : struct, IExtras
        {
            long whole = moments.CodesM.Length / Update.BlockLength;
            long all = moments.ScalesM.Length;
            Loaded<OneRule, TParam, TGrad, TExtras> kernels = updater.Load<OneRule, TParam, TGrad, TExtras>();
            lock (Loaded<OneRule, TParam, TGrad, TExtras>.Gate)
            {
                if (walk == LinearWalk.Serial)
                {
                    kernels.Run(stream, updater.Facts, walk, t, extras, moments, new OneRule(rule, 0, all), all);
                    return;
                }

                for (long first = 0; first < whole; first += updater.Facts.MaxGrid)
                {
                    long blocks = Math.Min(whole - first, updater.Facts.MaxGrid);
                    kernels.Run(
                        stream, updater.Facts, walk, t, extras, moments, new OneRule(rule, first, blocks), blocks);
                }

                if (all > whole)
                {
                    kernels.Tail(stream, (1, Update.BlockLength), t, extras, moments, rule, whole);
                }
            }
        }
    }

    [UnconditionalSuppressMessage("AOT", "IL3050", Justification = LoadedKernels.Told)]
    private readonly struct TableLaunch(
        EightBitUpdater updater, AcceleratorStream stream, EightBitMoments moments, RuleTable rules, long blocks,
        LinearWalk walk) : IUpdateLaunch
    {
        public void Run<TParam, TGrad, TExtras>(UpdateTensors<TParam, TGrad> t, TExtras extras)
            where TParam : struct, IStorage
            where TGrad : struct, IStorage
            where TExtras : struct, IExtras
        {
            Loaded<RuleTable, TParam, TGrad, TExtras> kernels = updater.Load<RuleTable, TParam, TGrad, TExtras>();
            lock (Loaded<RuleTable, TParam, TGrad, TExtras>.Gate)
            {
                kernels.Run(stream, updater.Facts, walk, t, extras, moments, rules, blocks);
            }
        }
    }

    /// <summary>The steps of one combination of types; launches hold the gate, as in Updater.</summary>
    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Loaded<TRules, TParam, TGrad, TExtras>(Accelerator accelerator)
        where TRules : struct, IBlockRules
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TExtras : struct, IExtras
    {
        internal static readonly Lock Gate = new();

        internal Action<AcceleratorStream, KernelConfig, UpdateTensors<TParam, TGrad>, TExtras, EightBitMoments,
            AdamRule, long> Tail => field ??=
            accelerator.LoadKernel<UpdateTensors<TParam, TGrad>, TExtras, EightBitMoments, AdamRule, long>(
                EightBitAdam.StepTail);

        private Action<AcceleratorStream, KernelConfig, UpdateTensors<TParam, TGrad>, TExtras, EightBitMoments,
            TRules> Elements => field ??=
            accelerator.LoadKernel<UpdateTensors<TParam, TGrad>, TExtras, EightBitMoments, TRules>(EightBitAdam.Step);

        private Action<AcceleratorStream, KernelConfig, UpdateTensors<TParam, TGrad>, TExtras, EightBitMoments,
            TRules> Packets => field ??=
            accelerator.LoadKernel<UpdateTensors<TParam, TGrad>, TExtras, EightBitMoments, TRules>(
                EightBitAdam.StepPackets);

        private Action<AcceleratorStream, KernelConfig, UpdateTensors<TParam, TGrad>, TExtras, EightBitMoments,
            TRules, int> Serial => field ??=
            accelerator.LoadKernel<UpdateTensors<TParam, TGrad>, TExtras, EightBitMoments, TRules, int>(
                EightBitAdam.StepSerial);

        /// <summary>One launch over whole blocks; in the serial walk the last block may be shorter.</summary>
        internal void Run(
            AcceleratorStream stream, DeviceFacts facts, LinearWalk walk, in UpdateTensors<TParam, TGrad> t,
            TExtras extras, in EightBitMoments moments, TRules rules, long blocks)
        {
            if (walk == LinearWalk.Serial)
            {
                int each = (int)Math.Clamp(blocks / (4 * facts.Cores), 1, MostBlocks);
                Serial(stream, ((int)((blocks + each - 1) / each), 1), t, extras, moments, rules, each);
            }
            else if (walk == LinearWalk.Packets)
            {
                Packets(stream, ((int)blocks, Update.BlockLength / 4), t, extras, moments, rules);
            }
            else
            {
                Elements(stream, ((int)blocks, Update.BlockLength), t, extras, moments, rules);
            }
        }
    }

    [RequiresDynamicCode(LoadedKernels.Reason)]
    private sealed class Table(EightBitUpdater updater, Chunk[] chunks, int rules)
        : UpdateTable<AdamRule>(updater.Accelerator, chunks, rules)
    {
        protected override AdamRule Fold(ElementwiseOptions options, int step) => updater.Fold(options, step);

        protected override void StepOnHost(in UpdateCall call, AdamRule[] rules, Chunk[] chunks) =>
            HostEightBitAdam.Step(call, rules, chunks, updater.Facts.Cores);

        protected override void Launch(
            AcceleratorStream stream, in UpdateCall call, ArrayView<AdamRule> rules, ArrayView<Chunk> chunks,
            LinearWalk walk) => UpdateDispatch.Run(
                call,
                new TableLaunch(updater, stream, call.Moments, new RuleTable(rules, chunks), chunks.Length, walk));
    }
}
