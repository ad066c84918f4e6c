using Kernels.Optimizers;
using Kernels.Tools.Benchmarks;

namespace Kernels.Tools.Operations;

/// <summary>Whether a batch is large enough, and the next batch size.</summary>
internal sealed class BatchTestOperation : Operation
{
    internal override string Name => "optimizers/batchtest";

    internal override string Summary => "Tests of the batch size over per-sample gradients (AdAdaGrad, Lau et al. 2024).";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
        [new TensorSpec("g", ElementType.Float32, ["B", "d"], "The gradient of each sample.")];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
    [
        new TensorSpec("next", ElementType.Int32, ["1"], "The next batch size: min(maxBatch, ceil(max(batch, statistic)))."),
        new TensorSpec("statistic", ElementType.Float32, ["1"], "The batch size that the test asks for."),
    ];

    internal override IReadOnlyList<OptionSpec> Options { get; } =
    [
        OptionSpec.Choice(
            "test", "norm", "The test.", [.. Enum.GetNames<BatchTestKind>().Select(n => char.ToLowerInvariant(n[0]) + n[1..])]),
        OptionSpec.Number("threshold", 0.1, "eta of norm and coordinate, theta of innerProduct and augmented."),
        OptionSpec.Number("threshold2", 0.1, "nu of the orthogonality part of augmented."),
        OptionSpec.Integer("batch", null, "This batch size; the number of samples if not given."),
        OptionSpec.Integer("maxBatch", int.MaxValue, "The largest batch size."),
    ];

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        int samples = context.Length("B");
        var options = new BatchTestOptions
        {
            Kind = Enum.Parse<BatchTestKind>(context.Options.Choice("test"), ignoreCase: true),
            Threshold = context.Options.Number("threshold"),
            Threshold2 = context.Options.Number("threshold2"),
        };
        int batch = context.Options.IsGiven("batch") ? Size(context.Options.Integer("batch")) : samples;
        int maxBatch = Size(context.Options.Integer("maxBatch"));
        using var g = new DeviceTensor(context, context.Floats("g"));
        using var statistic = new DeviceTensor(context, 1);
        using var test = new BatchTest(session.Accelerator, Math.Max(1, samples), context.Length("d"));
        double numbers = (double)samples * context.Length("d");
        context.Launch(
            Cost.Floats(numbers, 1, 4 * numbers),
            () => test.Run(session.Stream, g.View, samples, statistic.Floats, options));
        float[] asked = statistic.ToArray();
        context.Output("next", new[] { BatchTest.NextBatch(asked[0], batch, maxBatch) });
        context.Output("statistic", asked);
    }

    private static int Size(long value) => value is >= 1 and <= int.MaxValue
        ? (int)value
        : throw new BadInputException($"A batch size must be in [1, {int.MaxValue}], and is {value}.");
}
