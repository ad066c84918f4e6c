using Kernels.Tools.Benchmarks;
using Kernels.VectorQuantization;

namespace Kernels.Tools.Operations;

/// <summary>The gradient of index back-propagation.</summary>
internal sealed class SoftmaxCodesOperation : Operation
{
    internal override string Name => "vq/softmaxcodes";

    internal override string Summary => "The gradient of IBQ: softmax attention over the codebook, without its matrix.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
    [
        new TensorSpec("x", ElementType.Float32, ["n", "d"], "The rows."),
        new TensorSpec("codes", ElementType.Float32, ["k", "d"], "The codebook."),
        new TensorSpec("grad", ElementType.Float32, ["n", "d"], "The gradient to the output."),
        new TensorSpec(
            "index", ElementType.Int32, ["n"], "The hard codes, instead of those with the largest logits; -1: none.",
            IsOptional: true),
    ];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
    [
        new TensorSpec("index", ElementType.Int32, ["n"], "The hard codes."),
        new TensorSpec("gradX", ElementType.Float32, ["n", "d"], "The gradient to the rows."),
        new TensorSpec("gradCodes", ElementType.Float32, ["k", "d"], "The gradient to the codes."),
    ];

    internal override IReadOnlyList<OptionSpec> Options { get; } = [];

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        (int n, int k, int d) = (context.Length("n"), context.Length("k"), context.Length("d"));
        if (k == 0 || d == 0)
        {
            throw new BadInputException($"There must be a code and a dimension, and there are {k} and {d}.");
        }

        using var x = new DeviceTensor(context, context.Floats("x"));
        using var codes = new DeviceTensor(context, context.Floats("codes"));
        using var grad = new DeviceTensor(context, context.Floats("grad"));
        using DeviceTensor index = context.Has("index")
            ? new DeviceTensor(context, context.Integers("index"))
            : new DeviceTensor(context, n);
        using var gradX = new DeviceTensor(context, (long)n * d);
        using var gradCodes = new DeviceTensor(context, (long)k * d);
        if (!context.Has("index"))
        {
            using var nearest = new NearestCode(session.Accelerator, Math.Max(n, 1), k, d, CodeMetric.Dot);
            nearest.Search(session.Stream, x.View, codes.View, index.Integers, n);
            session.Synchronize();
        }

        using var softmax = new SoftmaxCodes(session.Accelerator, Math.Max(n, 1), k, d);
        (double rows, double book) = ((double)n * d, (double)k * d);
        context.Launch(
            Cost.Floats((2 * rows) + n + book, rows + book, 8 * rows * k),
            () => softmax.Backward(
                session.Stream, x.View, codes.View, index.Integers, n, grad.View, gradX.View, gradCodes.Floats));
        context.Output("index", index.ToIntegers());
        context.Output("gradX", gradX.ToArray());
        context.Output("gradCodes", gradCodes.ToArray());
    }
}
