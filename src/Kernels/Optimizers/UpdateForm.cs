using System.Diagnostics.CodeAnalysis;
using ILGPU.Runtime;
using Kernels.DeviceCode.Optimizers;

namespace Kernels.Optimizers;

/// <summary>A rule and how options become its constants: the form of an element-wise optimizer.</summary>
internal abstract class UpdateForm(IReadOnlyList<string> stateNames)
{
    internal IReadOnlyList<string> StateNames { get; } = stateNames;

    /// <summary>Loads the form on an accelerator; kernels are compiled when they are first used.</summary>
    internal abstract Updater Load(Accelerator accelerator);
}

/// <summary>The form of one rule.</summary>
/// <param name="stateNames">Names of the state tensors, as many as the rule keeps.</param>
/// <param name="fold">The rule's constants for options and a step, counted from 1; computed in double.</param>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class UpdateForm<TRule>(
    IReadOnlyList<string> stateNames, Func<ElementwiseOptions, int, TRule> fold) : UpdateForm(stateNames)
    where TRule : unmanaged, IUpdateRule
{
    internal override Updater Load(Accelerator accelerator) => new Updater<TRule>(accelerator, fold);
}
