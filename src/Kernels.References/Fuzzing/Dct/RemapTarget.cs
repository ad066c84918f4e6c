using Kernels.References.Dct;

namespace Kernels.References.Fuzzing.Dct;

/// <summary>The move of any state to other columns; exact.</summary>
internal sealed class RemapTarget() : DescribedTarget(
    "dct/remap", [("state", ["rows", "r"]), ("previous", ["r"]), ("current", ["r"])])
{
    private const int MaxLength = 1 << 20;

    public override FuzzCase Draw(FuzzDraw draw)
    {
        bool isWide = draw.Once(8);
        int rows = draw.Length("rows", isWide ? 4 : 70);
        int rank = draw.Length("r", isWide ? 300 : 70);
        // Mostly few columns, so that many are in both choices.
        int below = draw.OneOf(rank, rank + 1, 2 * rank, MaxLength);
        draw.Cover(below == rank ? "all columns" : below == MaxLength ? "few of many columns" : "some columns");
        return Case(
        [
            ("state", new FuzzTensor(draw.Floats("state", rows * rank, FuzzValues.All), rows, rank)),
            ("previous", new FuzzTensor(DrawnBasis.Ascending(draw, rank, below), rank)),
            ("current", new FuzzTensor(DrawnBasis.Ascending(draw, rank, below), rank)),
        ]);
    }

    public override bool Admits(FuzzCase given) => given.Length("state") >= 1 && given.Length("state", 1) >= 1
        && DrawnBasis.IsAscending(given.Integers("previous"), MaxLength)
        && DrawnBasis.IsAscending(given.Integers("current"), MaxLength);

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        float[] state = RemapReference.Apply(
            given.Floats("state"), given.Integers("previous"), given.Integers("current"));
        verdict.Compare(
            "state", Array.ConvertAll(state, value => (Bounded)value), given.Length("state"), given.Length("state", 1));
    }
}
