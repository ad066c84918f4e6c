using Kernels.Linear;
using Kernels.Tools.Benchmarks;

namespace Kernels.Tools.Operations;

/// <summary>The sums of the columns of a matrix.</summary>
internal sealed class ColumnSumOperation : Operation
{
    internal override string Name => "linear/columnsum";

    internal override string Summary => "The sums of the columns of a matrix: the gradient of a bias.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
    [
        new TensorSpec("x", ElementType.Float32, ["rows", "columns"], "The matrix."),
        new TensorSpec("sums0", ElementType.Float32, ["columns"], "Added to the sums.", IsOptional: true),
    ];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
        [new TensorSpec("sums", ElementType.Float32, ["columns"], "The sums.")];

    internal override IReadOnlyList<OptionSpec> Options { get; } = [];

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        int rows = context.Length("rows");
        int columns = context.Length("columns");
        using var x = new DeviceTensor(context, context.Floats("x"));
        using var sums = context.Has("sums0")
            ? new DeviceTensor(context, context.Floats("sums0"))
            : new DeviceTensor(context, columns);
        using var scratch = new DeviceTensor(context, ColumnSum.ScratchLength(rows, columns));
        var sum = new ColumnSum(session.Accelerator);
        context.Launch(
            Cost.Floats((double)rows * columns, columns, (double)rows * columns),
            () => sum.Sum(
                session.Stream, x.View, sums.View, rows, columns, scratch.View, accumulate: context.Has("sums0")));
        context.Output("sums", sums.ToArray());
    }
}
