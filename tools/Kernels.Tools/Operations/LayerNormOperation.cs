using Kernels.Linear;
using Kernels.Tools.Benchmarks;

namespace Kernels.Tools.Operations;

/// <summary>Layer normalisation without scale and shift, and its gradient.</summary>
internal sealed class LayerNormOperation : Operation
{
    internal override string Name => "linear/layernorm";

    internal override string Summary => "y = (x - mean) / sqrt(variance + epsilon) by rows, and dx where dy is given.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
    [
        new TensorSpec("x", ElementType.Float32, ["rows", "columns"], "The rows."),
        new TensorSpec("dy", ElementType.Float32, ["rows", "columns"], "The gradient to y.", IsOptional: true),
    ];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
    [
        new TensorSpec("y", ElementType.Float32, ["rows", "columns"], "The normalised rows."),
        new TensorSpec("factors", ElementType.Float32, ["rows"], "1 / sqrt(variance + epsilon) of each row."),
        new TensorSpec("dx", ElementType.Float32, ["rows", "columns"], "The gradient to x.", IsOptional: true),
    ];

    internal override IReadOnlyList<OptionSpec> Options { get; } =
        [OptionSpec.Number("epsilon", 1e-6, "Added to the variance.")];

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        (int rows, int columns) = (context.Length("rows"), context.Length("columns"));
        var norm = new LayerNorm(session.Accelerator);
        using var x = new DeviceTensor(context, context.Floats("x"));
        using var y = new DeviceTensor(context, (long)rows * columns);
        using var factors = new DeviceTensor(context, rows);
        double numbers = (double)rows * columns;
        double epsilon = context.Options.Number("epsilon");
        context.Launch(
            Cost.Floats(numbers, numbers, 6 * numbers),
            () => norm.Forward(session.Stream, x.View, y.View, factors.View, rows, columns, epsilon));
        context.Output("y", y.ToArray());
        context.Output("factors", factors.ToArray());
        if (context.Has("dy"))
        {
            using var dy = new DeviceTensor(context, context.Floats("dy"));
            context.Launch(
                Cost.Floats(2 * numbers, numbers, 8 * numbers, inPlace: true),
                () => norm.Backward(session.Stream, y.View, factors.View, dy.View, dy.View, rows, columns), "backward");
            context.Output("dx", dy.ToArray());
        }
    }
}
