using Kernels.Optimizers;

namespace Kernels.Tools.Operations;

/// <summary>Several steps of an optimizer that updates every element by itself.</summary>
internal sealed class ElementwiseOperation<TOptions>(string name, string summary) : Operation
    where TOptions : ElementwiseOptions, new()
{
    internal override string Name => name;

    internal override string Summary => summary;

    internal override IReadOnlyList<TensorSpec> Inputs => Steps.Inputs;

    internal override IReadOnlyList<TensorSpec> Outputs => Steps.Outputs;

    internal override IReadOnlyList<OptionSpec> Options { get; } = RecordOptions.Describe<TOptions>();

    internal override void Run(OperationContext context)
    {
        using var optimizer = new Optimizer(
            context.Session,
            RecordOptions.Bind<TOptions>(context.Options),
            [new Parameter("p", context.Floats("p"), context.Length("n"))]);
        Steps.Run(context, (gradient, p) =>
        {
            optimizer.Step(gradient);
            optimizer.Download("p", p);
        });
    }
}

/// <summary>What the operations of all optimizers share: parameters, successive gradients, parameters after each.</summary>
internal static class Steps
{
    internal delegate void Step(ReadOnlySpan<float> gradient, Span<float> p);

    internal static IReadOnlyList<TensorSpec> Inputs { get; } =
    [
        new TensorSpec("p", ElementType.Float32, ["n"], "The parameters before the first step."),
        new TensorSpec("g", ElementType.Float32, ["T", "n"], "The gradients of T successive steps."),
    ];

    internal static IReadOnlyList<TensorSpec> Outputs { get; } =
        [new TensorSpec("p", ElementType.Float32, ["T", "n"], "The parameters after each step.")];

    internal static void Run(OperationContext context, Step step)
    {
        int n = context.Length("n");
        float[] g = context.Floats("g");
        var p = new float[g.Length];
        for (int t = 0; t < context.Length("T"); t++)
        {
            step(g.AsSpan(t * n, n), p.AsSpan(t * n, n));
        }

        context.Output("p", p);
    }
}
