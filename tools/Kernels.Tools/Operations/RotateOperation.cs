using Kernels.Tools.Benchmarks;
using Kernels.VectorQuantization;

namespace Kernels.Tools.Operations;

/// <summary>The rotation trick.</summary>
internal sealed class RotateOperation : Operation
{
    internal override string Name => "vq/rotate";

    internal override string Summary => "The rotation trick: the gradient turns as the row does on its way to its code.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
    [
        new TensorSpec("x", ElementType.Float32, ["n", "d"], "The rows."),
        new TensorSpec("q", ElementType.Float32, ["n", "d"], "The code of each row."),
        new TensorSpec("grad", ElementType.Float32, ["n", "d"], "The gradient to the output."),
    ];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
    [
        new TensorSpec("output", ElementType.Float32, ["n", "d"], "q itself."),
        new TensorSpec("gradX", ElementType.Float32, ["n", "d"], "The gradient to the rows."),
    ];

    internal override IReadOnlyList<OptionSpec> Options { get; } = [];

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        (int n, int d) = (context.Length("n"), context.Length("d"));
        if (d == 0)
        {
            throw new BadInputException("There must be a dimension.");
        }

        int most = Math.Max(n, 1);
        using var x = new DeviceTensor(context, context.Floats("x"));
        using var q = new DeviceTensor(context, n > 0 ? context.Floats("q") : new float[d]);
        using var grad = new DeviceTensor(context, context.Floats("grad"));
        using var index = new DeviceTensor(context, Enumerable.Range(0, n).ToArray());
        using var output = new DeviceTensor(context, (long)n * d);
        using var gradX = new DeviceTensor(context, (long)n * d);
        var rotate = new Rotate(session.Accelerator, most, most, d);
        double numbers = (double)n * d;
        context.Launch(
            Cost.Floats((3 * numbers) + n, 2 * numbers, 12 * numbers),
            () => rotate.Backward(
                session.Stream, x.View, q.View, index.Integers, n, grad.View, gradX.View, output.View));
        context.Output("output", output.ToArray());
        context.Output("gradX", gradX.ToArray());
    }
}
