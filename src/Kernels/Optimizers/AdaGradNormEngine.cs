using ILGPU.Runtime;

namespace Kernels.Optimizers;

/// <summary>AdaGradNorm: one sum for all parameters, which therefore step together.</summary>
internal sealed class AdaGradNormEngine : WholeTensorEngine
{
    private readonly AdaGradNormOptions _options;
    private readonly AdaGradNorm _norm;
    private readonly ArenaTensor _sum;

    internal AdaGradNormEngine(
        Accelerator accelerator, Arena parameters, OptimizerSettings settings, AdaGradNormOptions options)
        : base(accelerator, parameters, settings)
    {
        if (parameters.Parameters.Count > 1 && parameters.Parameters.Any(p => p.IsBorrowed || p.IsFrozen))
        {
            throw new ArgumentException(
                "AdaGradNorm has one rate for all parameters: none can be frozen, or borrowed unless it is the only one.",
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
        if (options.Any(o => o != options[0]) || frozen.Contains(true))
        {
            throw new InvalidOperationException(
                "AdaGradNorm has one rate for all parameters: give all of them the same options, and freeze none.");
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

        bool borrowed = Arena.Parameters[0].IsBorrowed;
        _norm.Step(
            stream, borrowed ? P(call, 0) : call.P, borrowed ? G(call, 0) : call.G, _sum.View.As<float>(),
            (AdaGradNormOptions)Options[0], call.Extras.Control);
    }
}
