using System.Diagnostics.CodeAnalysis;
using ILGPU.Runtime;

namespace Kernels.Optimizers;

/// <summary>
/// AdaGradNorm: one sum for all parameters, which therefore step together. Only a walk over places can leave some out.
/// </summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class AdaGradNormEngine : WholeTensorEngine
{
    private readonly AdaGradNormOptions _options;
    private readonly AdaGradNorm _norm;
    private readonly ArenaTensor _sum;

    internal AdaGradNormEngine(
        Accelerator accelerator, Arena parameters, AdaGradNormOptions options)
        : base(accelerator, parameters)
    {
        if (parameters.Parameters.Count > 1
            && parameters.Places is null && parameters.Parameters.Any(p => p.IsBorrowed || p.IsFrozen))
        {
            throw new ArgumentException(
                "AdaGradNorm has one rate for all parameters: none can be borrowed on a device, unless it is the only one, "
                + "or be frozen, unless some are borrowed on the host.",
                nameof(parameters));
        }

        _options = options;
        _norm = new AdaGradNorm(accelerator, parameters.Length);
        _sum = ArenaTensor.Create(accelerator, 1, Storage.F32, (float)options.InitialAccumulator);
    }

    internal override IReadOnlyList<StateTensor> SharedState => [new("sum", _sum.View, [1])];

    internal override IReadOnlyList<StateTensor> StateOf(int parameter) => [];

    internal override bool Fits(OptimizerOptions options) =>
        options is AdaGradNormOptions own && own with { LearningRate = _options.LearningRate } == _options;

    internal override void Arrange(OptimizerOptions[] options, ReadOnlySpan<bool> frozen, ReadOnlySpan<int> steps)
    {
        if (options.Any(o => o != options[0]) || (frozen.Contains(true) && Arena.Places is null))
        {
            throw new InvalidOperationException(
                "AdaGradNorm has one rate for all parameters: give all of them the same options, and freeze none, unless "
                + "some are borrowed on the host.");
        }

        for (int i = 0; i < frozen.Length; i++)
        {
            Arena.Places?.SetLeftOut(i, frozen[i]);
        }

        base.Arrange(options, frozen, steps);
    }

    public override void Dispose()
    {
        _norm.Dispose();
        _sum.Dispose();
    }

    private protected override void Launch(AcceleratorStream stream, in UpdateCall call, int[] steps)
    {
        if (steps.Length == 0)
        {
            return;
        }

        UpdateCall part = Arena.Parameters[0].IsBorrowed && call.Places is null ? Arena.CallOf(call, 0) : call;
        part.A = _sum.View.As<float>();
        _norm.Step(stream, part, (AdaGradNormOptions)Options[0]);
    }
}
