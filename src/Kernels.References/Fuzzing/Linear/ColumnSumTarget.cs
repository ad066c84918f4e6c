using Kernels.References.Linear;

namespace Kernels.References.Fuzzing.Linear;

/// <summary>Sums of the columns of any matrix.</summary>
internal sealed class ColumnSumTarget() : DescribedTarget(
    "linear/columnsum", [("x", ["rows", "columns"]), ("sums0", ["columns"])])
{
    public override FuzzCase Draw(FuzzDraw draw)
    {
        bool isLong = draw.Once(3);
        int rows = draw.Once(32) ? 0 : draw.Length("rows", isLong ? 1100 : 130);
        int columns = draw.Length("columns", isLong ? 20 : 140);
        draw.Cover(rows == 0 ? "no rows" : rows > 128 ? "more than a block of rows" : "a block of rows");
        return Case(
        [
            ("x", new FuzzTensor(draw.Floats("x", rows * columns, FuzzValues.All), rows, columns)),
            ("sums0", draw.Once(2) ? new FuzzTensor(draw.Floats("sums0", columns, FuzzValues.All), columns) : null),
        ]);
    }

    public override IEnumerable<FuzzCase> Simplify(FuzzCase given) => given.Has("sums0") ? [given.Without("sums0")] : [];

    protected override void Judge(FuzzCase given, FuzzVerdict verdict) => verdict.Compare(
        "sums", MatMulReference.ColumnSum(
            given.Floats("x"), given.Length("x"), given.Length("x", 1),
            given.Has("sums0") ? given.Floats("sums0") : []));
}
