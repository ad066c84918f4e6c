using Kernels.References.Quantization;

namespace Kernels.References.Fuzzing.Quantization;

/// <summary>NF4 with block-wise scales: scales and weights are exact, and codes as near as any.</summary>
internal sealed class Nf4Target : FuzzTarget
{
    public override string Name => "codebook/nf4";

    public override IReadOnlyDictionary<string, IReadOnlyList<string?>> Inputs { get; } =
        new Dictionary<string, IReadOnlyList<string?>>(StringComparer.Ordinal) { ["w"] = ["rows", "cols"] };

    public override IReadOnlyDictionary<string, object> Options { get; } =
        new Dictionary<string, object>(StringComparer.Ordinal) { ["block"] = 64L };

    public override FuzzCase Draw(FuzzDraw draw)
    {
        int columns = draw.Length("cols");
        int rows = draw.Length("rows", Math.Clamp(600 / columns, 1, 40));
        long block = draw.OneOf(1, 2, 15, 16, 17, 32, 64, 64, 100, 256, 4096);
        draw.Cover(block > rows * columns ? "one block" : rows * columns % block == 0 ? "whole blocks" : "a rest");
        return new FuzzCase(
            new Dictionary<string, FuzzTensor>(StringComparer.Ordinal)
            {
                ["w"] = new FuzzTensor(draw.Floats("w", rows * columns, FuzzValues.All), rows, columns),
            },
            With(("block", block)));
    }

    /// <summary>A block has a weight.</summary>
    public override bool Admits(FuzzCase given) => given.Whole("block") > 0;

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        float[] w = given.Floats("w");
        int block = given.Whole("block");
        (int rows, int columns) = (given.Length("w"), given.Length("w", 1));
        float[] scales = BlockAbsMaxReference.Scales(w, block);
        verdict.Compare("absmax", Array.ConvertAll(scales, scale => (Bounded)scale));
        int[] index = verdict.Integers("index", rows, columns);
        float[] values = verdict.Floats("w", rows, columns);
        if (index.Length == 0 || values.Length == 0)
        {
            return;
        }

        float[] codes = [.. CodebooksReference.Nf4];
        var shape = new CodebookShape(rows, columns, codes.Length, 1, null, QuantizationScope.Blocks(block, w.Length));
        AssignTarget.Judge(verdict, shape, w, codes, scales, index);
        for (int i = 0; i < values.Length && verdict.Failure is null; i++)
        {
            verdict.Compare("w", i, (Bounded)(codes[index[i]] * scales[i / block]), values[i]);
        }
    }
}
