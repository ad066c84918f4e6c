using Kernels.Dct;
using Kernels.Tools.Benchmarks;

namespace Kernels.Tools.Operations;

/// <summary>The choice of columns of a transformed gradient.</summary>
internal sealed class SelectOperation : Operation
{
    internal override string Name => "dct/select";

    internal override string Summary => "The columns of a transformed gradient that carry most of it, and what they carry.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
        [new TensorSpec("g", ElementType.Float32, ["rows", "n"], "The gradient.")];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
    [
        new TensorSpec("index", ElementType.Int32, ["r"], "The chosen columns, on the left rows, ascending."),
        new TensorSpec("projected", ElementType.Float32, ["rows", "r"], "They themselves; [r, n] on the left."),
        new TensorSpec("energy", ElementType.Float32, ["1"], "The share of |g|^2 in them."),
    ];

    internal override IReadOnlyList<OptionSpec> Options { get; } =
    [
        OptionSpec.Integer("rank", null, "r, how many are chosen; must be given."),
        .. Selection,
    ];

    /// <summary>How columns are chosen, for all operations that do.</summary>
    internal static IReadOnlyList<OptionSpec> Selection =>
    [
        OptionSpec.Choice("norm", "l1", "The score of a column: its magnitudes or its squares.", "l1", "l2"),
        OptionSpec.Choice(
            "side", "auto", "right transforms rows, left columns, auto what is shorter.", "right", "left", "auto"),
        BasisOption.Spec("basis", "The transform."),
    ];

    /// <summary>What these options say of a matrix, and the numbers of a line that is transformed.</summary>
    internal static ColumnSelectorOptions Selected(OperationContext context, int rows, int n, out int length)
    {
        ProjectionSide side = Enum.Parse<ProjectionSide>(context.Options.Choice("side"), ignoreCase: true);
        bool isLeft = side == ProjectionSide.Left || (side == ProjectionSide.Auto && rows < n);
        length = isLeft ? rows : n;
        return new ColumnSelectorOptions
        {
            Basis = BasisOption.Chosen(context, "basis", length),
            Norm = Enum.Parse<ColumnNorm>(context.Options.Choice("norm"), ignoreCase: true),
            Side = side,
        };
    }

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        (int rows, int n) = (context.Length("rows"), context.Length("n"));
        if (rows == 0 || n == 0)
        {
            throw new BadInputException($"There must be a row and a column, and there are {rows} and {n}.");
        }

        ColumnSelectorOptions options = Selected(context, rows, n, out int length);
        int rank = BasisOption.Wanted(context, "rank", 1, length);
        using var selector = new ColumnSelector(session.Accelerator, rows, n, rank, options);
        using var g = new DeviceTensor(context, context.Floats("g"));
        using var index = new DeviceTensor(context, rank);
        using var projected = new DeviceTensor(context, selector.ProjectedLength);
        using var energy = new DeviceTensor(context, 1);
        double numbers = (double)rows * n;
        context.Launch(
            Cost.Floats(numbers, selector.ProjectedLength + rank, TransformOperation.Transforms(numbers, length)),
            () => selector.Select(session.Stream, g.View, index.Integers, projected.View, energy.View));
        context.Output("index", index.ToIntegers(), rank);
        context.Output("projected", projected.ToArray(), selector.IsLeft ? [rank, n] : [rows, rank]);
        context.Output("energy", energy.ToArray());
    }
}
