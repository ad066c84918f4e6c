using Kernels.Quantization;
using Kernels.Tools.Benchmarks;

namespace Kernels.Tools.Operations;

/// <summary>Rows of similar distribution together.</summary>
internal sealed class CodebookGroupOperation : Operation
{
    internal override string Name => "codebook/group";

    internal override string Summary => "An order of rows in which those of similar distribution are together.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
        [new TensorSpec("w", ElementType.Float32, ["rows", "cols"], "The weights, finite.")];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
    [
        new TensorSpec("permutation", ElementType.Int32, ["rows"], "Where rows come from: row i after is row p[i] before."),
        new TensorSpec("boundaries", ElementType.Int32, ["groups + 1"], "The first row of each group after, and the number of rows."),
    ];

    internal override IReadOnlyList<OptionSpec> Options { get; } = [CodebookCase.Groups];

    internal override void Run(OperationContext context)
    {
        (int rows, int columns) = CodebookCase.Matrix(context);
        double numbers = (double)rows * columns;
        RowGrouping grouping = null!;
        context.Launch(
            Cost.Floats(numbers, 2.0 * rows, 2 * numbers),
            () => grouping = CodebookCase.Grouping(context, rows, columns));
        context.Output("permutation", grouping.Permutation.ToArray());
        context.Output("boundaries", grouping.Boundaries.ToArray(), grouping.Boundaries.Length);
    }
}
