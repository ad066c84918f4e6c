using Kernels.References.Dct;

namespace Kernels.References.Fuzzing.Dct;

/// <summary>Transforms of the rows or columns of any matrix.</summary>
internal sealed class TransformTarget() : DescribedTarget(
    "dct/transform", [("x", ["rows", "n"])], ("type", "dct2"), ("axis", 1L))
{
    public override FuzzCase Draw(FuzzDraw draw)
    {
        bool isColumns = draw.Once(2);
        bool isLong = draw.Once(12);
        (string type, int length) = DrawnBasis.Draw(draw, "length", isLong ? 400 : 70);
        int lines = draw.Once(32) ? 0 : draw.Length("lines", isLong ? 4 : 40);
        draw.Cover(isColumns ? "columns" : "rows");
        int[] shape = isColumns ? [length, lines] : [lines, length];
        return Case(
            [("x", new FuzzTensor(draw.Floats("x", lines * length, FuzzValues.All), shape))],
            ("type", type), ("axis", isColumns ? 0L : draw.OneOf(1L, -1L)));
    }

    public override bool Admits(FuzzCase given) => given.Whole("axis") is -1 or 0 or 1
        && DrawnBasis.Has(given, "type", given.Length("x", given.Whole("axis") == 0 ? 0 : 1));

    /// <summary>Columns as rows.</summary>
    public override IEnumerable<FuzzCase> Simplify(FuzzCase given) => given.Whole("axis") == 0
        ? [given.With("x", given.Inputs["x"].Transposed()).WithOption("axis", 1L)]
        : [];

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        FuzzTensor x = given.Inputs["x"];
        bool isColumns = given.Whole("axis") == 0;
        var reference = new TransformReference(DrawnBasis.Kind(given, "type"), x.Shape[isColumns ? 0 : 1]);
        Bounded[] y = reference.Apply((isColumns ? x.Transposed() : x).Floats);
        verdict.Compare(
            "y", isColumns ? BoundedMatrix.Transpose<Bounded>(y, x.Shape[1], x.Shape[0]) : y, x.Shape[0], x.Shape[1]);
    }
}
