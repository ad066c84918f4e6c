using Kernels.Dct;
using Kernels.Tools.Benchmarks;

namespace Kernels.Tools.Operations;

/// <summary>The way back from the coordinates in chosen columns.</summary>
internal sealed class BackProjectOperation : Operation
{
    internal override string Name => "dct/backproject";

    internal override string Summary => "The matrix that has these coordinates in chosen vectors of the basis, and no others.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
    [
        new TensorSpec(
            "projected", ElementType.Float32, ["projectedRows", "projectedColumns"], "[rows, r]; on the left [r, columns]."),
        new TensorSpec("index", ElementType.Int32, ["r"], "The chosen columns, on the left rows, ascending, below n."),
    ];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
        [new TensorSpec("full", ElementType.Float32, ["rows", "n"], "projected Q_r; [n, columns] on the left.")];

    internal override IReadOnlyList<OptionSpec> Options { get; } =
    [
        OptionSpec.Integer("n", null, "How long the transformed lines are; must be given."),
        OptionSpec.Choice("side", "right", "Whether rows were transformed, or columns.", "right", "left"),
        BasisOption.Spec("basis", "The transform that led to the coordinates."),
    ];

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        ProjectionSide side = Enum.Parse<ProjectionSide>(context.Options.Choice("side"), ignoreCase: true);
        bool isLeft = side == ProjectionSide.Left;
        int rank = context.Length("r");
        int[] shape = context.ShapeOf("projected");
        if (shape[isLeft ? 0 : 1] != rank)
        {
            throw new BadInputException(
                $"The input 'projected' must have the shape {(isLeft ? "[r, columns]" : "[rows, r]")} with r = {rank}, "
                + $"and has [{string.Join(", ", shape)}].");
        }

        int lines = shape[isLeft ? 1 : 0];
        if (rank == 0 || lines == 0)
        {
            throw new BadInputException($"There must be a row and a column, and 'projected' has {shape[0]} and {shape[1]}.");
        }

        int n = BasisOption.Wanted(context, "n", rank, Transform.MaxLength);
        var options = new ColumnSelectorOptions { Basis = BasisOption.Chosen(context, "basis", n), Side = side };
        using var index = new DeviceTensor(context, BasisOption.Ascending(context, "index", n));
        int[] full = isLeft ? [n, lines] : [lines, n];
        using var selector = new ColumnSelector(session.Accelerator, full[0], full[1], rank, options);
        using var projected = new DeviceTensor(context, context.Floats("projected"));
        using var result = new DeviceTensor(context, (long)lines * n);
        double numbers = (double)lines * n;
        context.Launch(
            Cost.Floats(((double)lines * rank) + rank, numbers, TransformOperation.Transforms(numbers, n)),
            () => selector.BackProject(session.Stream, projected.View, index.Integers, result.View));
        context.Output("full", result.ToArray(), full);
    }
}
