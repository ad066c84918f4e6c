using Kernels.Optimizers;
using Kernels.Tools.Benchmarks;

namespace Kernels.Tools.Operations;

/// <summary>The Euclidean norm of a gradient.</summary>
internal sealed class GradientNormOperation : Operation
{
    internal override string Name => "optimizers/gradnorm";

    internal override string Summary => "The Euclidean norm of a gradient; no square overflows or underflows.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
        [new TensorSpec("g", ElementType.Float32, ["n"], "The gradient.")];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
        [new TensorSpec("norm", ElementType.Float32, ["1"], "Its norm; not finite if an element is not.")];

    internal override IReadOnlyList<OptionSpec> Options { get; } = [];

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        using var g = new DeviceTensor(context, context.Floats("g"));
        using var result = new DeviceTensor(context, 1);
        using var norm = new GradientNorm(session.Accelerator, context.Length("n"));
        long n = context.Length("n");
        context.Launch(Cost.Floats(n, 1, 2 * n), () => norm.Norm(session.Stream, g.View, result.Floats));
        context.Output("norm", result.ToArray());
    }
}
