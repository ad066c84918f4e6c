using Kernels.Tools.Benchmarks;
using Kernels.VectorQuantization;

namespace Kernels.Tools.Operations;

/// <summary>The sums and counts of the rows of each segment.</summary>
internal sealed class SegmentSumOperation : Operation
{
    internal override string Name => "vq/segmentsum";

    internal override string Summary => "The sums and counts of the rows of each segment, without a one-hot matrix.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
    [
        new TensorSpec("x", ElementType.Float32, ["n", "d"], "The rows."),
        new TensorSpec("index", ElementType.Int32, ["n"], "The segment of each row; what is none leaves the row out."),
    ];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
    [
        new TensorSpec("sums", ElementType.Float32, ["k", "d"], "The sums."),
        new TensorSpec("counts", ElementType.Int32, ["k"], "How many rows each is of."),
    ];

    internal override IReadOnlyList<OptionSpec> Options { get; } =
        [OptionSpec.Integer("k", null, "The number of segments; as many as the largest index asks for, without.")];

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        (int n, int d) = (context.Length("n"), context.Length("d"));
        int[] places = context.Integers("index");
        long k = context.Options.IsGiven("k") ? context.Options.Integer("k") : places.Append(0).Max() + 1L;
        if (k is < 1 or > 1 << 30)
        {
            throw new BadInputException($"The number of segments, k, must be in [1, {1 << 30}], and is {k}.");
        }

        if (d == 0)
        {
            throw new BadInputException("The rows must have a dimension.");
        }

        using var x = new DeviceTensor(context, context.Floats("x"));
        using var index = new DeviceTensor(context, places);
        using var sums = new DeviceTensor(context, k * d);
        using var counts = new DeviceTensor(context, k);
        using var segments = new SegmentSum(session.Accelerator, Math.Max(n, 1), (int)k, d);
        context.Launch(
            Cost.Floats(((double)n * d) + n, (double)k * (d + 1), (double)n * d),
            () => segments.Sum(session.Stream, x.View, index.Integers, sums.Floats, counts.Integers, n));
        context.Output("sums", sums.ToArray(), (int)k, d);
        context.Output("counts", counts.ToIntegers(), (int)k);
    }
}
