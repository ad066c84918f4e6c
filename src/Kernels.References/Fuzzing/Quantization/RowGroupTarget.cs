using Kernels.References.Quantization;

namespace Kernels.References.Fuzzing.Quantization;

/// <summary>Groups of rows of similar distribution: a function of the matrix alone, in binary64.</summary>
internal sealed class RowGroupTarget : FuzzTarget
{
    public override string Name => "codebook/group";

    public override IReadOnlyDictionary<string, IReadOnlyList<string?>> Inputs { get; } =
        new Dictionary<string, IReadOnlyList<string?>>(StringComparer.Ordinal) { ["w"] = ["rows", "cols"] };

    public override IReadOnlyDictionary<string, object> Options { get; } =
        new Dictionary<string, object>(StringComparer.Ordinal) { ["groups"] = 1L };

    public override FuzzCase Draw(FuzzDraw draw)
    {
        int rows = draw.Length("rows", 48);
        int columns = draw.Length("cols", Math.Clamp(600 / rows, 1, 100));
        int groups = Math.Min(rows, draw.OneOf(1, 2, 2, 3, 4, 7, rows));
        draw.Cover(groups == 1 ? "one group" : groups == rows ? "a row each" : "several groups");
        float[] w = draw.Floats("w", rows * columns, FuzzValues.Finite);
        if (draw.Once(3))
        {
            draw.Cover("equal rows");
            for (int row = 1; row < rows; row++)
            {
                int other = draw.Below(row + 1);
                w.AsSpan(other * columns, columns).CopyTo(w.AsSpan(row * columns));
            }
        }

        return new FuzzCase(
            new Dictionary<string, FuzzTensor>(StringComparer.Ordinal) { ["w"] = new FuzzTensor(w, rows, columns) },
            With(("groups", (long)groups)));
    }

    /// <summary>There are as many rows as groups at least, of finite numbers.</summary>
    public override bool Admits(FuzzCase given) => Admits(given, given.Whole("groups"));

    internal static bool Admits(FuzzCase given, int groups) =>
        groups > 0 && groups <= given.Length("w") && Array.TrueForAll(given.Floats("w"), float.IsFinite);

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        (int[] permutation, int[] boundaries) =
            GroupReference.Group(given.Floats("w"), given.Length("w", 1), given.Whole("groups"));
        verdict.Compare("permutation", permutation);
        verdict.Compare("boundaries", boundaries);
    }
}
