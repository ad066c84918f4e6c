using Kernels.Tools.Benchmarks;
using Kernels.VectorQuantization;

namespace Kernels.Tools.Operations;

/// <summary>One update of a codebook of moving means.</summary>
internal sealed class EmaOperation : Operation
{
    private static readonly EmaOptions s_standard = new();

    internal override string Name => "vq/ema";

    internal override string Summary => "The nearest codes of rows, and the codes as moving means of their rows.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
    [
        new TensorSpec("codes", ElementType.Float32, ["k", "d"], "The codebook."),
        new TensorSpec("clusterSize", ElementType.Float32, ["k"], "The moving counts."),
        new TensorSpec("clusterSum", ElementType.Float32, ["k", "d"], "The moving sums."),
        new TensorSpec("x", ElementType.Float32, ["n", "d"], "The rows."),
    ];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
    [
        new TensorSpec("codes", ElementType.Float32, ["k", "d"], "The codebook after the update."),
        new TensorSpec("clusterSize", ElementType.Float32, ["k"], "The moving counts after it."),
        new TensorSpec("clusterSum", ElementType.Float32, ["k", "d"], "The moving sums after it."),
        new TensorSpec("index", ElementType.Int32, ["n"], "The code that was nearest before it; -1 where there is none."),
    ];

    internal override IReadOnlyList<OptionSpec> Options { get; } =
    [
        OptionSpec.Number("decay", s_standard.Decay, "The weight of the past, in [0, 1]."),
        OptionSpec.Number("epsilon", s_standard.Epsilon, "What smoothing adds to the size of each code, at least 0."),
    ];

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        (int n, int k, int d) = (context.Length("n"), context.Length("k"), context.Length("d"));
        if (k == 0 || d == 0)
        {
            throw new BadInputException($"There must be a code and a dimension, and there are {k} and {d}.");
        }

        var options = new EmaOptions
        {
            Decay = context.Options.Number("decay"),
            Epsilon = context.Options.Number("epsilon"),
        };
        using var ema = new Ema(session.Accelerator, Math.Max(n, 1), k, d, options);
        using var nearest = new NearestCode(session.Accelerator, Math.Max(n, 1), k, d);
        using var codes = new DeviceTensor(context, context.Floats("codes"));
        using var size = new DeviceTensor(context, context.Floats("clusterSize"));
        using var sum = new DeviceTensor(context, context.Floats("clusterSum"));
        using var x = new DeviceTensor(context, context.Floats("x"));
        using var index = new DeviceTensor(context, n);
        nearest.Search(session.Stream, x.View, codes.View, index.Integers, n);
        (double rows, double book) = ((double)n * d, (double)k * d);
        context.Launch(
            Cost.Floats(rows + n + book + k, (2 * book) + k, rows + (3 * book)),
            () => ema.Update(session.Stream, x.View, index.Integers, codes.View, size.Floats, sum.Floats, n));
        context.Output("codes", codes.ToArray());
        context.Output("clusterSize", size.ToArray());
        context.Output("clusterSum", sum.ToArray());
        context.Output("index", index.ToIntegers());
    }
}
