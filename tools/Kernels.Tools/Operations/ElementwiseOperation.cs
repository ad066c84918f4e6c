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
