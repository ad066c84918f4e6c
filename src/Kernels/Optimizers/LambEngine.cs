using System.Diagnostics.CodeAnalysis;
using ILGPU.Runtime;

namespace Kernels.Optimizers;

/// <summary>
/// LAMB: one set of launches for all parameters while they lie in the arena or in the host's memory, share their options and none is frozen;
/// else one set for each.
/// </summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class LambEngine : WholeTensorEngine
{
    private readonly ArenaTensor _mean;
    private readonly ArenaTensor _square;
    private readonly Lamb?[] _single;
    private Lamb? _all;
    private bool _isUniform;

    internal LambEngine(Accelerator accelerator, Arena arena)
        : base(accelerator, arena)
    {
        _mean = ArenaTensor.Create(accelerator, arena.Length, Storage.F32);
        _square = ArenaTensor.Create(accelerator, arena.Length, Storage.F32);
        _single = new Lamb?[arena.Parameters.Count];
    }

    internal override IReadOnlyList<StateTensor> StateOf(int parameter)
    {
        long[] shape = [.. Arena.Parameters[parameter].Shape];
        return
        [
            new("exp_avg", Arena.Segment(_mean.View, parameter), shape),
            new("exp_avg_sq", Arena.Segment(_square.View, parameter), shape),
        ];
    }

    internal override bool Fits(OptimizerOptions options) => options is LambOptions;

    internal override void Arrange(OptimizerOptions[] options, ReadOnlySpan<bool> frozen, ReadOnlySpan<int> steps)
    {
        base.Arrange(options, frozen, steps);
        _isUniform = (Arena.OwnedLength == Arena.Length || Arena.Places is not null) && Arena.Length > 0;
        for (int i = 0; i < options.Length; i++)
        {
            _isUniform &= !frozen[i] && options[i] == options[0] && steps[i] == steps[0];
        }
    }

    public override void Dispose()
    {
        _mean.Dispose();
        _square.Dispose();
        _all?.Dispose();
        Array.ForEach(_single, lamb => lamb?.Dispose());
    }

    private protected override void Launch(AcceleratorStream stream, in UpdateCall call, int[] steps)
    {
        UpdateCall whole = call;
        whole.A = _mean.View.As<float>();
        whole.B = _square.View.As<float>();
        if (_isUniform)
        {
            _all ??= new Lamb(Accelerator, [.. Arena.Order.Select(i => Arena.Parameters[i].Length)]);
            whole.Step = steps[0];
            _all.Step(stream, whole, (LambOptions)Options[0]);
            return;
        }

        for (int i = 0; i < steps.Length; i++)
        {
            if (!IsFrozen(i))
            {
                _single[i] ??= new Lamb(Accelerator, Arena.Parameters[i].Length);
                UpdateCall part = Arena.CallOf(whole, i);
                part.Step = steps[i];
                _single[i]!.Step(stream, part, (LambOptions)Options[i]);
            }
        }
    }
}
