using Kernels.Optimizers;
using Kernels.Tools.Benchmarks;

namespace Kernels.Tools.Operations;

/// <summary>Several steps of an optimizer.</summary>
/// <param name="name">As in <c>optimizers/adam</c>.</param>
/// <param name="summary">One line for people.</param>
/// <param name="cost">What a step must do at least, of options, the number of elements and their shape.</param>
/// <param name="shape">What the option <c>shape</c> is for; null where the shape of the parameters does not matter.</param>
internal sealed class OptimizerOperation<TOptions>(
    string name, string summary, Func<TOptions, long, long[], Cost> cost, string? shape = null) : Operation
    where TOptions : OptimizerOptions, new()
{
    internal override string Name => name;

    internal override string Summary => summary;

    internal override IReadOnlyList<TensorSpec> Inputs => Steps.Inputs;

    internal override IReadOnlyList<TensorSpec> Outputs => Steps.Outputs;

    internal override IReadOnlyList<OptionSpec> Options { get; } =
        [.. RecordOptions.Describe<TOptions>(), .. shape is null ? [] : new[] { Steps.ShapeOption(shape) }];

    internal override void Run(OperationContext context)
    {
        long[] lengths = shape is null
            ? [context.Length("n")]
            : Array.ConvertAll(Steps.Shape(context), n => (long)n);
        using var stepped = new SteppedParameter(context, lengths);
        using var optimizer = new Optimizer(
            context.Session, RecordOptions.Bind<TOptions>(context.Options), [stepped.Parameter]);
        if (context.Meter is not null)
        {
            optimizer.SetGradient("p", context.Floats("g").AsSpan(0, context.Length("n")));
            context.Launch(cost(RecordOptions.Bind<TOptions>(context.Options), context.Length("n"), lengths), optimizer.Step);
        }

        Steps.Run(context, (gradient, p) =>
        {
            optimizer.Step(gradient);
            optimizer.Download("p", p);
        });
    }
}
