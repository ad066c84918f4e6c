using Kernels.Tools.Benchmarks;
using Kernels.VectorQuantization;

namespace Kernels.Tools.Operations;

/// <summary>The nearest code of each row.</summary>
internal sealed class NearestOperation : Operation
{
    internal override string Name => "vq/nearest";

    internal override string Summary => "The nearest code of each row, without the matrix of distances.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
    [
        new TensorSpec("x", ElementType.Float32, ["n", "d"], "The rows."),
        new TensorSpec("codes", ElementType.Float32, ["k", "d"], "The codebook."),
    ];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
    [
        new TensorSpec("index", ElementType.Int32, ["n"], "The nearest code, the lowest on ties; -1 where there is none. [n, topK] of several."),
        new TensorSpec("distance", ElementType.Float32, ["n"], "Squared L2, negative dot, or 1 - cosine; of the shape of the index."),
        new TensorSpec("margin", ElementType.Float32, ["n"], "How much farther the runner-up is."),
    ];

    internal override IReadOnlyList<OptionSpec> Options { get; } =
    [
        OptionSpec.Choice("metric", "l2", "What is smallest at the nearest code.", "l2", "dot", "cosine"),
        OptionSpec.Integer("split", 0, "Parts of the codebook that are searched side by side; 0: the device's choice."),
        OptionSpec.Integer("topK", 1, "Codes to find for each row, the nearest first, 1 to 32."),
        OptionSpec.Boolean("certified", false, "Prove that the index is that of the exact nearest code."),
    ];

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        (int n, int k, int d) = (context.Length("n"), context.Length("k"), context.Length("d"));
        if (k == 0 || d == 0)
        {
            throw new BadInputException($"There must be a code and a dimension, and there are {k} and {d}.");
        }

        long split = context.Options.Integer("split");
        if (split is < 0 or > int.MaxValue)
        {
            throw new BadInputException($"The option 'split' must be in [0, {int.MaxValue}], and is {split}.");
        }

        long top = context.Options.Integer("topK");
        if (top is < 1 or > 32)
        {
            throw new BadInputException($"The option 'topK' must be in [1, 32], and is {top}.");
        }

        bool certified = context.Options.Boolean("certified");
        if (certified && top > 1)
        {
            throw new BadInputException($"The option 'certified' is for 'topK' = 1, which is {top}.");
        }

        CodeMetric metric = Enum.Parse<CodeMetric>(context.Options.Choice("metric"), ignoreCase: true);
        using var x = new DeviceTensor(context, context.Floats("x"));
        using var codes = new DeviceTensor(context, context.Floats("codes"));
        using var index = new DeviceTensor(context, checked(n * (int)top));
        using var distance = new DeviceTensor(context, checked(n * (int)top));
        using var margin = new DeviceTensor(context, n);
        using var nearest = new NearestCode(
            session.Accelerator, Math.Max(n, 1), k, d, metric, splits: (int)split,
            certified: certified, top: (int)top);
        context.Launch(
            Cost.Floats(((double)n + k) * d, 3.0 * n, 2.0 * n * k * d),
            () => nearest.Search(session.Stream, x.View, codes.View, index.Integers, n, distance.Floats, margin.Floats));
        int[] shape = top > 1 ? [n, (int)top] : [n];
        context.Output("index", index.ToIntegers(), shape);
        context.Output("distance", distance.ToArray(), shape);
        context.Output("margin", margin.ToArray());
    }
}
