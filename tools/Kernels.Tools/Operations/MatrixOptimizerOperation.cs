using Kernels.Dct;
using Kernels.Optimizers;
using Kernels.Tools.Benchmarks;

namespace Kernels.Tools.Operations;

/// <summary>Several steps of an optimizer of matrices.</summary>
/// <param name="name">As in <c>optimizers/muon</c>.</param>
/// <param name="summary">One line for people.</param>
/// <param name="cost">What a step must do at least, of options, rows and columns.</param>
internal sealed class MatrixOptimizerOperation<TOptions>(
    string name, string summary, Func<TOptions, double, double, Cost> cost) : Operation
    where TOptions : MatrixOptions, new()
{
    internal override string Name => name;

    internal override string Summary => summary;

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
    [
        new TensorSpec("p", ElementType.Float32, ["rows", "n"], "The matrix before the first step."),
        new TensorSpec("g", ElementType.Float32, ["T", "rows", "n"], "The gradients of T successive steps."),
    ];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
        [new TensorSpec("p", ElementType.Float32, ["T", "rows", "n"], "The matrix after each step.")];

    internal override IReadOnlyList<OptionSpec> Options { get; } =
    [
        .. RecordOptions.Describe<TOptions>("maxDimension", "decoupled"),
        .. IsLowRank ? SelectOperation.Selection : [],
    ];

    private static bool IsLowRank => typeof(LowRankOptions).IsAssignableFrom(typeof(TOptions));

    internal override void Run(OperationContext context)
    {
        (int rows, int n, int steps) = (context.Length("rows"), context.Length("n"), context.Length("T"));
        if (rows == 0 || n == 0)
        {
            throw new BadInputException($"There must be a row and a column, and there are {rows} and {n}.");
        }

        if (Math.Max(rows, n) > Transform.MaxLength - 2)
        {
            throw new BadInputException(
                $"The matrix may have up to {Transform.MaxLength - 2} rows and columns, and has {rows} and {n}.");
        }

        // All of them are matrices here, whatever their size.
        MatrixOptions options = RecordOptions.Bind<TOptions>(context.Options) with { MaxDimension = Transform.MaxLength - 1 };
        if (options is LowRankOptions lowRank)
        {
            ColumnSelectorOptions selection = SelectOperation.Selected(context, rows, n, out int length);
            if (lowRank.Rank < 1 || lowRank.Rank > length)
            {
                throw new BadInputException($"The option 'rank' must be in [1, {length}], and is {lowRank.Rank}.");
            }

            options = lowRank with { Selection = selection };
        }

        using var stepped = new SteppedParameter(context, rows, n);
        using var optimizer = new Optimizer(context.Session, options, [stepped.Parameter]);
        float[] g = context.Floats("g");
        if (context.Meter is not null)
        {
            optimizer.SetGradient("p", g.AsSpan(0, rows * n));
            context.Launch(cost((TOptions)options, rows, n), optimizer.Step);
        }

        var p = new float[g.Length];
        int size = rows * n;
        for (int t = 0; t < steps; t++)
        {
            optimizer.Step(g.AsSpan(t * size, size));
            optimizer.Download("p", p.AsSpan(t * size, size));
        }

        context.Output("p", p);
    }
}
