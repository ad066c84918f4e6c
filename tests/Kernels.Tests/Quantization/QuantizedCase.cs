using ILGPU.Runtime;
using Kernels.Quantization;
using Kernels.References.Quantization;
using Kernels.Tests.Support;
using Kernels.Tests.VectorQuantization;

namespace Kernels.Tests.Quantization;

/// <summary>A quantized matrix with numbers for all of it, as the library and the oracle see it.</summary>
internal sealed class QuantizedCase
{
    private QuantizedCase(CodebookLayout layout, int seed, Func<Random, float> number)
    {
        var random = new Random(seed);
        Layout = layout;
        Shape = new CodebookShape(
            layout.Rows, layout.Columns, layout.Codes, layout.Length, Scope(layout.Codebooks),
            layout.Scales is null ? null : Scope(layout.Scales));
        Index = [.. Enumerable.Range(0, layout.CodeCount).Select(_ => random.Next(layout.Codes))];
        Codebook = [.. Enumerable.Range(0, layout.CodebookLength).Select(_ => number(random))];
        ScaleBits = LearnCase.Bits(
            layout.ScaleStorage, [.. Enumerable.Range(0, layout.ScaleCount).Select(_ => number(random))]);
        Scale = LearnCase.Floats(layout.ScaleStorage, ScaleBits);
    }

    internal CodebookLayout Layout { get; }

    internal CodebookShape Shape { get; }

    internal int[] Index { get; }

    internal float[] Codebook { get; }

    /// <summary>The scales as they are stored, and as floats.</summary>
    internal uint[] ScaleBits { get; }

    internal float[] Scale { get; }

    /// <summary>The packed codes, by the oracle.</summary>
    internal byte[] Packed => PackedBy(Layout, Index);

    /// <summary>Log-uniform numbers of either sign.</summary>
    internal static QuantizedCase Of(CodebookLayout layout, int seed) => new(
        layout, seed, random => (float)(Math.Pow(2, random.NextDouble() * 6 - 3) * (random.Next(2) == 0 ? 1 : -1)));

    /// <summary>Small whole numbers: all sums of theirs are exact.</summary>
    internal static QuantizedCase OfIntegers(CodebookLayout layout, int seed) =>
        new(layout, seed, random => random.Next(-4, 5));

    /// <summary>A layout drawn at random: every scope, length, packing, order and storage.</summary>
    internal static CodebookLayout Draw(int seed, int mostRows = 9, int mostCodes = 2300)
    {
        var draw = new Draw(seed);
        int k = draw.OneOf(2, 3, 4, 5, 6, 8, 11, 16, 19, 32, 40, 64, 77, 128, 200, 256);
        var format = new CodeFormat(
            k, draw.OneOf(Packing.Fields, Packing.Fields, Packing.Radix),
            draw.OneOf(PackingOrder.Planar, PackingOrder.Planar, PackingOrder.Linear));
        int length = draw.OneOf(1, 1, 1, 2, 4, 8);
        int rows = 1 + draw.Below(mostRows);
        int columns = length * (1 + draw.Below(mostCodes));
        return new CodebookLayout(
            rows, columns, format, length, DrawScope(draw, rows, length),
            draw.Below(3) == 0 ? null : DrawScope(draw, rows, length), draw.OneOf(Storage.F32, Storage.F16, Storage.BF16));
    }

    /// <summary>What <see cref="Pack"/> must write.</summary>
    internal static byte[] PackedBy(CodebookLayout layout, int[] index)
    {
        var pack = new PackReference(
            layout.Codes, (CodePacking)layout.Format.Packing, (CodeOrder)layout.Format.Order);
        return layout.Format.Order == PackingOrder.Linear
            ? pack.Pack(index)
            : [.. index.Chunk(layout.RowCodes).SelectMany(row => pack.Pack(row))];
    }

    internal static byte[] Bytes(int[] index) => Array.ConvertAll(index, code => (byte)code);

    internal GuardedBytes PackedOn(Accelerator accelerator) => new(accelerator, Packed, 0);

    internal GuardedTensor CodebookOn(Accelerator accelerator) => new(accelerator, Codebook);

    internal GuardedTensor ScaleOn(Accelerator accelerator) => new(accelerator, Layout.ScaleStorage, ScaleBits);

    private QuantizationScope Scope(WeightScope scope) => scope.Kind switch
    {
        WeightScopeKind.Tensor => QuantizationScope.Tensor(Layout.WeightCount),
        WeightScopeKind.Rows => QuantizationScope.Groups([.. Enumerable.Range(0, Layout.Rows + 1)], Layout.Columns),
        WeightScopeKind.Groups => QuantizationScope.Groups(scope.Boundaries, Layout.Columns),
        _ => QuantizationScope.Blocks(scope.Block, Layout.WeightCount),
    };

    private static WeightScope DrawScope(Draw draw, int rows, int length)
    {
        switch (draw.Below(4))
        {
            case 0:
                return WeightScope.Tensor;
            case 1:
                return WeightScope.Rows;
            case 2:
                int first = draw.Below(rows + 1);
                int second = first + draw.Below(rows - first + 1);
                return WeightScope.Groups([0, first, second, rows]);
            default:
                return WeightScope.Blocks(length * (1 + draw.Below(100)));
        }
    }
}
