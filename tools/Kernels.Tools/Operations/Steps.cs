namespace Kernels.Tools.Operations;

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

    /// <summary>The option that makes a matrix of the parameters.</summary>
    internal static OptionSpec ShapeOption(string meaning) =>
        OptionSpec.Integers("shape", "Lengths of the parameters' dimensions, with n elements in all. " + meaning);

    /// <summary>The shape of the parameters; [n] if the case gives none.</summary>
    internal static int[] Shape(OperationContext context)
    {
        int n = context.Length("n");
        int[] shape = context.Options.Integers("shape") ?? [n];
        long length = 1;
        foreach (int dimension in shape)
        {
            length = dimension < 0 ? -1 : Math.Min(length, int.MaxValue) * dimension;
            if (length < 0)
            {
                break;
            }
        }

        return length == n
            ? shape
            : throw new BadInputException(
                $"The option 'shape', [{string.Join(", ", shape)}], must multiply to n = {n}, with no negative length.");
    }

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
