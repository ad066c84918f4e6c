using Kernels.Linear;
using Kernels.Tools.Benchmarks;

namespace Kernels.Tools.Operations;

/// <summary>A dense layer: a matrix product with bias and activation.</summary>
internal sealed class MatMulOperation : Operation
{
    internal override string Name => "linear/matmul";

    internal override string Summary => "c = act(c0 + bias + op(a) op(b)): a matrix product with bias and activation.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
    [
        new TensorSpec("a", ElementType.Float32, ["aRows", "aColumns"], "op(a) is [m, k]; a itself [k, m] if transposed."),
        new TensorSpec("b", ElementType.Float32, ["bRows", "bColumns"], "op(b) is [k, n]; b itself [n, k] if transposed."),
        new TensorSpec("bias", ElementType.Float32, ["n"], "Added to every row.", IsOptional: true),
        new TensorSpec("c0", ElementType.Float32, ["m", "n"], "Added before the activation.", IsOptional: true),
    ];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
        [new TensorSpec("c", ElementType.Float32, ["m", "n"], "The product.")];

    internal override IReadOnlyList<OptionSpec> Options { get; } =
    [
        OptionSpec.Boolean("transposeA", false, "op(a) is the transpose of a."),
        OptionSpec.Boolean("transposeB", false, "op(b) is the transpose of b."),
        ActivationOperation.Choice("none"),
    ];

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        bool transposeA = context.Options.Boolean("transposeA");
        bool transposeB = context.Options.Boolean("transposeB");
        (int m, int k) = Shape("a", transposeA);
        (int depth, int n) = Shape("b", transposeB);
        if (k != depth)
        {
            throw new BadInputException($"op(a) has {k} columns and op(b) {depth} rows; they must be as many.");
        }

        Expect("bias", n);
        Expect("c0", m, n);
        using var a = new DeviceTensor(context, context.Floats("a"));
        using var b = new DeviceTensor(context, context.Floats("b"));
        using var c = context.Has("c0")
            ? new DeviceTensor(context, context.Floats("c0"))
            : new DeviceTensor(context, (long)m * n);
        using DeviceTensor? bias = context.Has("bias") ? new DeviceTensor(context, context.Floats("bias")) : null;
        var product = new MatMul(session.Accelerator);
        Activation activation = ActivationOperation.Chosen(context);
        context.Launch(
            Cost.Floats(((double)m * k) + ((double)k * n), (double)m * n, 2.0 * m * n * k),
            () => product.Multiply(
                session.Stream, a.View, transposeA, b.View, transposeB, c.View, m, n, k, bias?.View ?? default, activation,
                accumulate: context.Has("c0")));
        context.Output("c", c.ToArray(), m, n);

        (int Rows, int Columns) Shape(string input, bool transposed)
        {
            int[] shape = context.ShapeOf(input);
            return transposed ? (shape[1], shape[0]) : (shape[0], shape[1]);
        }

        void Expect(string input, params int[] shape)
        {
            if (context.Has(input) && !context.ShapeOf(input).SequenceEqual(shape))
            {
                throw new BadInputException(
                    $"The input '{input}' must have the shape [{string.Join(", ", shape)}] of the product, and has "
                    + $"[{string.Join(", ", context.ShapeOf(input))}].");
            }
        }
    }
}
