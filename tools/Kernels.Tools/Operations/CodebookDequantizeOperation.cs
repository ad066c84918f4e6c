using ILGPU;
using ILGPU.Runtime;
using Kernels.Linear;
using Kernels.Quantization;
using Kernels.Tools.Benchmarks;

namespace Kernels.Tools.Operations;

/// <summary>The weights that codes stand for.</summary>
internal sealed class CodebookDequantizeOperation : Operation
{
    internal override string Name => "codebook/dequantize";

    internal override string Summary => "w = s c[index], with a codebook or a scale for each group of rows, from packed codes.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
    [
        new TensorSpec("index", ElementType.Int32, ["rows", "cols"], "The codes, 0 to k - 1."),
        .. CodebookCase.Numbers,
    ];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
        [new TensorSpec("w", ElementType.Float32, ["rows", "cols"], "The weights.")];

    internal override IReadOnlyList<OptionSpec> Options { get; } = [];

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        (CodebookLayout layout, float[] scales) = CodebookCase.Layout(context);
        using MemoryBuffer1D<byte, Stride1D.Dense> packed = CodebookCase.Packed(context, layout);
        using var codebook = new DeviceTensor(context, context.Floats("codebook"));
        using var scale = new DeviceTensor(context, scales);
        using var w = new DeviceTensor(context, layout.WeightCount);
        using var dequantize = new Dequantize(session.Accelerator, layout);
        context.Launch(
            new Cost(
                layout.PackedBytes + (sizeof(float) * ((double)layout.CodebookLength + scales.Length)),
                sizeof(float) * (double)layout.WeightCount, layout.WeightCount),
            () => dequantize.Run(
                session.Stream, packed.View, codebook.View, scales.Length > 0 ? scale.View : default, w.View));
        context.Output("w", w.ToArray());
    }
}

/// <summary>A product with packed codes.</summary>
internal sealed class CodebookMatMulOperation : Operation
{
    internal override string Name => "codebook/matmul";

    internal override string Summary => "y = act(bias + x w^T) with w = s c[index], from packed codes.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
    [
        new TensorSpec("index", ElementType.Int32, ["rows", "cols"], "The codes, 0 to k - 1."),
        .. CodebookCase.Numbers,
        new TensorSpec("x", ElementType.Float32, ["n", "cols"], "The vectors."),
        new TensorSpec("bias", ElementType.Float32, ["rows"], "Added to every vector.", IsOptional: true),
    ];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
        [new TensorSpec("y", ElementType.Float32, ["n", "rows"], "The products.")];

    internal override IReadOnlyList<OptionSpec> Options { get; } = [ActivationOperation.Choice("none")];

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        (CodebookLayout layout, float[] scales) = CodebookCase.Layout(context);
        int n = context.Length("n");
        using MemoryBuffer1D<byte, Stride1D.Dense> packed = CodebookCase.Packed(context, layout);
        using var codebook = new DeviceTensor(context, context.Floats("codebook"));
        using var scale = new DeviceTensor(context, scales);
        using var x = new DeviceTensor(context, context.Floats("x"));
        using var y = new DeviceTensor(context, (long)n * layout.Rows);
        using DeviceTensor? bias = context.Has("bias") ? new DeviceTensor(context, context.Floats("bias")) : null;
        using var product = new QuantizedProduct(session.Accelerator, layout, Math.Max(n, 1));
        Activation activation = ActivationOperation.Chosen(context);
        double inputs = (double)n * layout.Columns;
        double outputs = (double)n * layout.Rows;
        context.Launch(
            new Cost(
                layout.PackedBytes + (sizeof(float) * (inputs + layout.CodebookLength + scales.Length)),
                sizeof(float) * outputs, 2 * outputs * layout.Columns),
            () => product.Multiply(
                session.Stream, x.View, n, packed.View, codebook.View, scales.Length > 0 ? scale.View : default, y.View,
                bias?.View ?? default, activation));
        context.Output("y", y.ToArray());
    }
}
