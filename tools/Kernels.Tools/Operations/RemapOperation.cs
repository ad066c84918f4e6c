using Kernels.Dct;
using Kernels.Tools.Benchmarks;

namespace Kernels.Tools.Operations;

/// <summary>The move of a state from one choice of columns to another.</summary>
internal sealed class RemapOperation : Operation
{
    internal override string Name => "dct/remap";

    internal override string Summary => "A state on its way to other columns: those that stay take theirs along, new ones get 0.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
    [
        new TensorSpec("state", ElementType.Float32, ["rows", "r"], "The state."),
        new TensorSpec("previous", ElementType.Int32, ["r"], "The columns that it belongs to, ascending."),
        new TensorSpec("current", ElementType.Int32, ["r"], "Those that it shall belong to, ascending."),
    ];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
        [new TensorSpec("state", ElementType.Float32, ["rows", "r"], "The state in the current columns.")];

    internal override IReadOnlyList<OptionSpec> Options { get; } = [];

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        (int rows, int rank) = (context.Length("rows"), context.Length("r"));
        if (rows == 0 || rank == 0)
        {
            throw new BadInputException($"There must be a row and a column, and there are {rows} and {rank}.");
        }

        using var previous = new DeviceTensor(context, BasisOption.Ascending(context, "previous", Transform.MaxLength));
        using var current = new DeviceTensor(context, BasisOption.Ascending(context, "current", Transform.MaxLength));
        // The search looks at which numbers are equal, whatever the gradient's number of columns.
        using var selector = new ColumnSelector(
            session.Accelerator, rows, rank, rank, new ColumnSelectorOptions { Side = ProjectionSide.Right });
        using var state = new DeviceTensor(context, context.Floats("state"));
        using var moved = new DeviceTensor(context, (long)rows * rank);
        double numbers = (double)rows * rank;
        context.Launch(
            Cost.Floats(numbers + (2.0 * rank), numbers, numbers),
            () => selector.Remap(session.Stream, state.View, previous.Integers, current.Integers, moved.View));
        context.Output("state", moved.ToArray());
    }
}
