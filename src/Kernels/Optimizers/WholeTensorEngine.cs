using ILGPU.Runtime;

namespace Kernels.Optimizers;

/// <summary>What the algorithms that need sums over whole tensors share: counting, and who is frozen.</summary>
internal abstract class WholeTensorEngine : OptimizerEngine
{
    private bool[] _frozen = [];

    private protected WholeTensorEngine(Accelerator accelerator, Arena arena)
    {
        Accelerator = accelerator;
        Arena = arena;
    }

    private protected Accelerator Accelerator { get; }

    private protected Arena Arena { get; }

    private protected OptimizerOptions[] Options { get; private set; } = [];

    internal override void Arrange(OptimizerOptions[] options, ReadOnlySpan<bool> frozen, ReadOnlySpan<int> steps)
    {
        Options = options;
        _frozen = frozen.ToArray();
    }

    internal override void Rescale(OptimizerOptions[] options) => Options = options;

    internal override void Step(AcceleratorStream stream, in UpdateCall call, int[] steps)
    {
        Count(steps, 1);
        Launch(stream, call, steps);
    }

    internal override void TakeBack(int[] steps) => Count(steps, -1);

    /// <summary>Enqueues the step of the parameters that are not frozen.</summary>
    private protected abstract void Launch(AcceleratorStream stream, in UpdateCall call, int[] steps);

    private protected bool IsFrozen(int parameter) => _frozen[parameter] || Arena.Parameters[parameter].Length == 0;

    private void Count(int[] steps, int change)
    {
        for (int i = 0; i < steps.Length; i++)
        {
            steps[i] += _frozen[i] ? 0 : change;
        }
    }
}
