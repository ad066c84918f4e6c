using ILGPU;
using ILGPU.Runtime;
using Kernels.Quantization;
using BuiltIn = Kernels.Quantization.Codebooks;

namespace Kernels.Tools.Demo.Codes;

/// <summary>A layer to be kept as codes.</summary>
/// <param name="Weights">[rows, columns].</param>
/// <param name="Rows">Outputs.</param>
/// <param name="Columns">Inputs.</param>
/// <param name="Inputs">What the layer got for some digits, [digits, columns].</param>
internal sealed record CodeLayer(float[] Weights, int Rows, int Columns, float[] Inputs);

/// <summary>What a layer became.</summary>
/// <param name="Weights">[rows, columns].</param>
/// <param name="Layout">What it is kept as.</param>
/// <param name="Codebook">The codes of all codebooks.</param>
internal sealed record CodedLayer(float[] Weights, CodebookLayout Layout, float[] Codebook);

/// <summary>A way to make codes of weights.</summary>
/// <param name="Name">For people.</param>
/// <param name="Code">Makes k codes of a layer.</param>
internal sealed record CodeMethod(string Name, Func<Session, CodeLayer, int, CodedLayer> Code)
{
    // As in bitsandbytes.
    private const int Block = 64;

    private const int GroupRows = 16;

    /// <summary>All of them.</summary>
    internal static IReadOnlyList<CodeMethod> All { get; } =
    [
        new("uniform grid, a scale for each row", (session, layer, codes) =>
            Scaled(session, layer, BuiltIn.Uniform(codes), WeightScope.Rows)),
        new("NF4, a scale for each 64; less: quantiles", (session, layer, codes) =>
            Scaled(session, layer, codes == 16 ? BuiltIn.Nf4.ToArray() : null, WeightScope.Blocks(Block), codes)),
        new("k-means", KMeans),
        new("JLCM: grouped, learned together", Joint),
    ];

    private static CodedLayer Scaled(
        Session session, CodeLayer layer, float[]? codebook, WeightScope scope, int codes = 0)
    {
        Accelerator accelerator = session.Accelerator;
        using MemoryBuffer1D<float, Stride1D.Dense> w = accelerator.Allocate1D(layer.Weights);
        int count = scope.Count(layer.Rows, layer.Columns);
        using MemoryBuffer1D<float, Stride1D.Dense> largest = accelerator.Allocate1D<float>(count);
        using var absMax = new AbsMax(accelerator, layer.Rows, layer.Columns, scope);
        absMax.Run(session.Stream, w.View, largest.View);
        session.Synchronize();
        float[] scale = largest.GetAsArray1D();
        codebook ??= BuiltIn.Quantiles(
            [.. layer.Weights.Select((value, i) => value / scale[i / scope.Block])], codes);
        var layout = new CodebookLayout(
            layer.Rows, layer.Columns, CodeFormat.Densest(codebook.Length), scales: scope);
        using var assign = new Assign(accelerator, layout);
        var index = new byte[layout.CodeCount];
        assign.Run(layer.Weights, codebook, scale, index);
        return new CodedLayer(Dequantized(session, layout, index, codebook, scale), layout, codebook);
    }

    private static CodedLayer KMeans(Session session, CodeLayer layer, int codes)
    {
        var layout = new CodebookLayout(layer.Rows, layer.Columns, CodeFormat.Densest(codes));
        (byte[] index, float[] codebook) = Fitted(session, layout, layer.Weights);
        return new CodedLayer(Dequantized(session, layout, index, codebook, []), layout, codebook);
    }

    private static CodedLayer Joint(Session session, CodeLayer layer, int codes)
    {
        RowGrouping grouping = RowGrouping.Group(layer.Weights, layer.Columns, Math.Max(1, layer.Rows / GroupRows));
        float[] w = Rows(layer.Weights, grouping.Permutation, layer.Columns);
        var layout = new CodebookLayout(
            layer.Rows, layer.Columns, CodeFormat.Densest(codes), codebooks: WeightScope.Groups(grouping.Boundaries));
        (byte[] index, float[] codebook) = Fitted(session, layout, w);
        using var quantizer = new JointQuantizer(session, layout, samples: layer.Inputs.Length / layer.Columns);
        quantizer.Learn(w, index, codebook, [], layer.Inputs);
        // The order of hidden units is free, so it is not counted; here the rows go back to where they were.
        return new CodedLayer(
            Rows(Dequantized(session, layout, index, codebook, []), RowGrouping.Inverse(grouping.Permutation), layer.Columns),
            layout, codebook);
    }

    private static (byte[] Index, float[] Codebook) Fitted(Session session, CodebookLayout layout, float[] weights)
    {
        Accelerator accelerator = session.Accelerator;
        using MemoryBuffer1D<float, Stride1D.Dense> w = accelerator.Allocate1D(weights);
        using MemoryBuffer1D<float, Stride1D.Dense> codebook = accelerator.Allocate1D<float>(layout.CodebookLength);
        using MemoryBuffer1D<byte, Stride1D.Dense> index = accelerator.Allocate1D<byte>(layout.CodeCount);
        using var fit = new CodebookFit(accelerator, layout);
        fit.Run(session.Stream, w.View, default, codebook.View, index.View);
        session.Synchronize();
        return (index.GetAsArray1D(), codebook.GetAsArray1D());
    }

    private static float[] Dequantized(
        Session session, CodebookLayout layout, byte[] codes, float[] numbers, float[] scales)
    {
        Accelerator accelerator = session.Accelerator;
        using MemoryBuffer1D<byte, Stride1D.Dense> index = accelerator.Allocate1D(codes);
        using MemoryBuffer1D<byte, Stride1D.Dense> packed = accelerator.Allocate1D<byte>(layout.PackedBytes);
        using MemoryBuffer1D<float, Stride1D.Dense> codebook = accelerator.Allocate1D(numbers);
        using MemoryBuffer1D<float, Stride1D.Dense> scale = accelerator.Allocate1D<float>(Math.Max(1, scales.Length));
        using MemoryBuffer1D<float, Stride1D.Dense> w = accelerator.Allocate1D<float>(layout.WeightCount);
        if (scales.Length > 0)
        {
            scale.CopyFromCPU(scales);
        }

        new Pack(accelerator, layout).Run(session.Stream, index.View, packed.View);
        using var dequantize = new Dequantize(accelerator, layout);
        dequantize.Run(
            session.Stream, packed.View, codebook.View, scales.Length > 0 ? scale.View : default(TensorView), w.View);
        session.Synchronize();
        return w.GetAsArray1D();
    }

    private static float[] Rows(float[] w, ReadOnlySpan<int> permutation, int columns)
    {
        var rows = new float[w.Length];
        for (int row = 0; row < permutation.Length; row++)
        {
            w.AsSpan(permutation[row] * columns, columns).CopyTo(rows.AsSpan(row * columns));
        }

        return rows;
    }
}
