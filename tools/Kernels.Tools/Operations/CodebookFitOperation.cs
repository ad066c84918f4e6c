using ILGPU;
using ILGPU.Runtime;
using Kernels.Quantization;
using Kernels.Tools.Benchmarks;

namespace Kernels.Tools.Operations;

/// <summary>The codebooks of groups of rows.</summary>
internal sealed class CodebookFitOperation : Operation
{
    internal override string Name => "codebook/fit";

    internal override string Summary => "Codebooks of the least weighted squared error, by Lloyd's steps or exactly, one for each group of rows.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
    [
        new TensorSpec("w", ElementType.Float32, ["rows", "cols"], "The weights; finite where there are groups, or exact is set."),
        new TensorSpec("weight", ElementType.Float32, ["rows", "cols"], "How much each counts; all 1 without.", IsOptional: true),
    ];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
    [
        new TensorSpec("codebook", ElementType.Float32, ["groups", "k"], "The codes of each group, ascending."),
        new TensorSpec("index", ElementType.Int32, ["rows", "cols"], "The nearest codes, of the rows in their new order."),
        new TensorSpec("boundaries", ElementType.Int32, ["groups + 1"], "The first row of each group after, and the number of rows."),
        new TensorSpec("permutation", ElementType.Int32, ["rows"], "Where rows come from: row i after is row p[i] before."),
        new TensorSpec("error", ElementType.Float32, ["1"], "The weighted squared error of all."),
    ];

    internal override IReadOnlyList<OptionSpec> Options { get; } =
    [
        OptionSpec.Integer("k", 16, "Codes of a codebook, 2 to 256."),
        CodebookCase.Groups,
        OptionSpec.Integer("iterations", new CodebookFitOptions().Iterations, "The most steps."),
        OptionSpec.Boolean("exact", false, "Whether the codebooks are the best there are, by dynamic programming."),
    ];

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        (int rows, int columns) = CodebookCase.Matrix(context);
        int k = CodebookCase.Wanted(context, "k", 2, 256);
        int groups = CodebookCase.Wanted(context, "groups", 1, rows);
        int iterations = CodebookCase.Wanted(context, "iterations", 0, 10_000);
        int[] permutation = [.. Enumerable.Range(0, rows)];
        int[] boundaries = [0, rows];
        if (groups > 1)
        {
            RowGrouping grouping = CodebookCase.Grouping(context, rows, columns);
            (permutation, boundaries) = (grouping.Permutation.ToArray(), grouping.Boundaries.ToArray());
        }

        float[] w = InOrder(context.Floats("w"), permutation, columns);
        float[] h = context.Has("weight") ? InOrder(context.Floats("weight"), permutation, columns) : [];
        var layout = new CodebookLayout(rows, columns, new CodeFormat(k), codebooks: WeightScope.Groups(boundaries));
        bool isExact = context.Options.Boolean("exact");
        (float[] codebook, byte[] index, float error) = isExact
            ? Exact(session, layout, w, h)
            : Lloyd(context, layout, w, h, iterations);
        context.Output("codebook", codebook, groups, k);
        context.Output("index", CodebookCase.Integers(index));
        context.Output("boundaries", boundaries, boundaries.Length);
        context.Output("permutation", permutation);
        context.Output("error", new[] { error });
    }

    private static (float[] Codebook, byte[] Index, float Error) Exact(
        Session session, CodebookLayout layout, float[] w, float[] h)
    {
        var codebook = new float[layout.CodebookLength];
        double error = 0;
        for (int group = 0; group < layout.CodebookCount; group++)
        {
            Range own = (layout.Codebooks.Boundaries[group] * layout.Columns)..(layout.Codebooks.Boundaries[group + 1] * layout.Columns);
            (float[] codes, double sum) = CodebookFit.Exact(w.AsSpan(own), layout.Codes, h.Length > 0 ? h.AsSpan(own) : default);
            codes.CopyTo(codebook, group * layout.Codes);
            error += sum;
        }

        using var assign = new Assign(session.Accelerator, layout);
        var index = new byte[layout.CodeCount];
        assign.Run(w, codebook, [], index);
        return (codebook, index, (float)error);
    }

    private static (float[] Codebook, byte[] Index, float Error) Lloyd(
        OperationContext context, CodebookLayout layout, float[] w, float[] h, int iterations)
    {
        using var weights = new DeviceTensor(context, w);
        using var counts = new DeviceTensor(context, h);
        using var codebook = new DeviceTensor(context, layout.CodebookLength);
        using var error = new DeviceTensor(context, 1);
        using MemoryBuffer1D<byte, Stride1D.Dense> index = context.Session.Accelerator.Allocate1D<byte>(layout.CodeCount);
        using var fit = new CodebookFit(context.Session.Accelerator, layout, new CodebookFitOptions { Iterations = iterations });
        double numbers = w.Length;
        context.Launch(
            new Cost(sizeof(float) * (numbers + h.Length), numbers, iterations * numbers * (Math.Log2(layout.Codes) + 2)),
            () => fit.Run(
                context.Session.Stream, weights.View, h.Length > 0 ? counts.Floats : default, codebook.Floats, index.View,
                error.Floats));
        context.Session.Synchronize();
        return (codebook.ToArray(), index.GetAsArray1D(), error.ToArray()[0]);
    }

    private static float[] InOrder(float[] values, int[] permutation, int columns)
    {
        var moved = new float[values.Length];
        for (int row = 0; row < permutation.Length; row++)
        {
            values.AsSpan(permutation[row] * columns, columns).CopyTo(moved.AsSpan(row * columns));
        }

        return moved;
    }
}
