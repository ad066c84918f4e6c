using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Optimizers;
using Kernels.Launching;

namespace Kernels.Optimizers;

/// <summary>Steps of an arena whose blocks have different options.</summary>
internal abstract class UpdateTable : IDisposable
{
    /// <summary>One step; options[i] are those of rule i.</summary>
    internal abstract void Step(
        AcceleratorStream stream, in UpdateCall call, ReadOnlySpan<ElementwiseOptions> options,
        ReadOnlySpan<int> steps, LinearWalk walk);

    public abstract void Dispose();
}

/// <summary>Rules and chunks of an arena, on the host and on the device.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal abstract class UpdateTable<TRule> : UpdateTable
    where TRule : unmanaged, IUpdateRule
{
    private readonly Chunk[] _chunks;
    private readonly TRule[] _rules;
    private readonly MemoryBuffer1D<Chunk, Stride1D.Dense>? _deviceChunks;
    private readonly RuleMemory<TRule>? _deviceRules;

    protected UpdateTable(Accelerator accelerator, Chunk[] chunks, int rules)
    {
        _chunks = chunks;
        _rules = new TRule[rules];
        if (chunks.Length > 0)
        {
            _deviceChunks = accelerator.Allocate1D(chunks);
            _deviceRules = new RuleMemory<TRule>(accelerator, rules);
        }
    }

    internal override void Step(
        AcceleratorStream stream, in UpdateCall call, ReadOnlySpan<ElementwiseOptions> options,
        ReadOnlySpan<int> steps, LinearWalk walk)
    {
        if (_chunks.Length == 0)
        {
            return;
        }

        for (int i = 0; i < _rules.Length; i++)
        {
            _rules[i] = Fold(options[i], steps[i]);
        }

        if (walk == LinearWalk.Host)
        {
            StepOnHost(call, _rules, _chunks);
            return;
        }

        _deviceRules!.Upload(stream, _rules);
        Launch(stream, call, _deviceRules.View, _deviceChunks!.View, walk);
    }

    public override void Dispose()
    {
        _deviceChunks?.Dispose();
        _deviceRules?.Dispose();
    }

    /// <summary>The rule of these options at a step.</summary>
    protected abstract TRule Fold(ElementwiseOptions options, int step);

    protected abstract void StepOnHost(in UpdateCall call, TRule[] rules, Chunk[] chunks);

    protected abstract void Launch(
        AcceleratorStream stream, in UpdateCall call, ArrayView<TRule> rules, ArrayView<Chunk> chunks, LinearWalk walk);
}
