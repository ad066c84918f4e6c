using Kernels.Quantization;
using Kernels.Tools.Benchmarks;

namespace Kernels.Tools.Operations;

/// <summary>NF4 with block-wise scales.</summary>
internal sealed class CodebookNf4Operation : Operation
{
    internal override string Name => "codebook/nf4";

    internal override string Summary => "NF4 (Dettmers et al. 2023): codes, the largest magnitude of each block, and what they give.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
        [new TensorSpec("w", ElementType.Float32, ["rows", "cols"], "The weights.")];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
    [
        new TensorSpec("index", ElementType.Int32, ["rows", "cols"], "The codes, 0 to 15."),
        new TensorSpec("absmax", ElementType.Float32, ["blocks"], "The scale of each block of weights in row-major order."),
        new TensorSpec("w", ElementType.Float32, ["rows", "cols"], "The weights again: code times scale."),
    ];

    internal override IReadOnlyList<OptionSpec> Options { get; } =
        [OptionSpec.Integer("block", 64, "Weights of a block; blocks do not end with rows.")];

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        (int rows, int columns) = CodebookCase.Matrix(context);
        int block = CodebookCase.Wanted(context, "block", 1, int.MaxValue);
        var layout = new CodebookLayout(rows, columns, new CodeFormat(16), scales: WeightScope.Blocks(block));
        float[] weights = context.Floats("w");
        using var w = new DeviceTensor(context, weights);
        using var scale = new DeviceTensor(context, layout.ScaleCount);
        using var largest = new AbsMax(session.Accelerator, rows, columns, layout.Scales!);
        context.Launch(
            Cost.Floats(weights.Length, layout.ScaleCount, weights.Length),
            () => largest.Run(session.Stream, w.View, scale.View), "absmax");
        float[] scales = scale.ToArray();
        using var assign = new Assign(session.Accelerator, layout);
        var index = new byte[layout.CodeCount];
        assign.Run(weights, Codebooks.Nf4, scales, index);
        if (context.Meter is not null)
        {
            CodebookAssignOperation.Measure(context, assign, [.. Codebooks.Nf4], scales);
        }

        var values = new float[index.Length];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = Codebooks.Nf4[index[i]] * scales[i / block];
        }

        context.Output("index", CodebookCase.Integers(index));
        context.Output("absmax", scales, scales.Length);
        context.Output("w", values);
    }
}
