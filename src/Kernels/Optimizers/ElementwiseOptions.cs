using System.Diagnostics.CodeAnalysis;
using ILGPU.Runtime;
using Kernels.DeviceCode.Optimizers;

namespace Kernels.Optimizers;

/// <summary>Options of an optimizer that updates every element by itself.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
public abstract record ElementwiseOptions : OptimizerOptions
{
    private protected ElementwiseOptions() { }

    /// <summary>The state the options ask for, in the order of the launcher's state tensors; PyTorch's names.</summary>
    public IReadOnlyList<string> StateNames => Form.StateNames;

    /// <summary>The rule these options ask for. Options of one form can follow each other from step to step.</summary>
    internal abstract UpdateForm Form { get; }

    internal override OptimizerEngine CreateEngine(
        Accelerator accelerator, Arena arena, OptimizerSettings settings) =>
        settings.StateStorage == StateStorage.EightBit
            ? new EightBitEngine(accelerator, arena, (AdamOptions)this)
            : new ElementwiseEngine(accelerator, arena, this);

    /// <summary>What a state tensor starts with.</summary>
    internal virtual float InitialState(int slot) => 0f;

    /// <summary>The decay constants of a step.</summary>
    private protected Decay FoldDecay() => FoldDecay(LearningRate);

    /// <summary>The decay constants of a step of this learning rate.</summary>
    private protected Decay FoldDecay(double learningRate) => Decoupled
        ? new Decay { L2 = 0f, Shrink = (float)(1 - learningRate * WeightDecay) }
        : new Decay { L2 = (float)WeightDecay, Shrink = 1f };
}
