using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Optimizers;

namespace Kernels.Optimizers;

/// <summary>
/// A small table of rules on the device that is renewed from the host step after step: only what has changed, behind the
/// steps that are enqueued, without waiting for them and without an allocation.
/// </summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class RuleMemory<TRule>(Accelerator accelerator, int length) : IDisposable
    where TRule : unmanaged, IUpdateRule
{
    // ILGPU sets an OpenCL kernel's arguments on the kernel, which it shares among all who load it.
    private static readonly Lock s_gate = new();

    private readonly MemoryBuffer1D<TRule, Stride1D.Dense> _device = accelerator.Allocate1D<TRule>(length);
    private readonly TRule[] _known = new TRule[length]; // what the device has, once it has any
    private bool _isKnown;

    private Action<AcceleratorStream, KernelConfig, ArrayView<TRule>, int, int, RuleSet<TRule>> Kernel =>
        field ??= accelerator.LoadKernel<ArrayView<TRule>, int, int, RuleSet<TRule>>(Update.SetRules);

    internal ArrayView<TRule> View => _device.View;

    /// <summary>Enqueues the renewal.</summary>
    internal void Upload(AcceleratorStream stream, ReadOnlySpan<TRule> rules)
    {
        for (int first = 0; first < rules.Length; first += 4)
        {
            ReadOnlySpan<TRule> four = rules.Slice(first, Math.Min(4, rules.Length - first));
            Span<TRule> known = _known.AsSpan(first, four.Length);
            if (_isKnown && MemoryMarshal.AsBytes(four).SequenceEqual(MemoryMarshal.AsBytes(known)))
            {
                continue;
            }

            var set = new RuleSet<TRule>
            {
                First = four[0],
                Second = four[Math.Min(1, four.Length - 1)],
                Third = four[Math.Min(2, four.Length - 1)],
                Fourth = four[^1],
            };
            lock (s_gate)
            {
                Kernel(stream, new KernelConfig(1, 1), View, first, four.Length, set);
            }

            four.CopyTo(known);
        }

        _isKnown = true;
    }

    public void Dispose() => _device.Dispose();
}
