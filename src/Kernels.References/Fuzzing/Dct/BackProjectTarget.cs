using Kernels.References.Dct;

namespace Kernels.References.Fuzzing.Dct;

/// <summary>The way back from any coordinates in any columns.</summary>
internal sealed class BackProjectTarget() : DescribedTarget(
    "dct/backproject", [("projected", ["projectedRows", "projectedColumns"]), ("index", ["r"])],
    ("n", 1L), ("side", "right"), ("basis", "dct2"))
{
    public override FuzzCase Draw(FuzzDraw draw)
    {
        bool isLong = draw.Once(16);
        (string basis, int n) = DrawnBasis.Draw(draw, "n", isLong ? 300 : 40);
        int lines = draw.Length("lines", isLong ? 4 : 40);
        int rank = SelectTarget.Rank(draw, n);
        bool isLeft = draw.Once(2);
        draw.Cover(isLeft ? "left" : "right");
        int[] shape = isLeft ? [rank, lines] : [lines, rank];
        return Case(
        [
            ("projected", new FuzzTensor(draw.Floats("projected", lines * rank, FuzzValues.All), shape)),
            ("index", new FuzzTensor(DrawnBasis.Ascending(draw, rank, n), rank)),
        ],
            ("n", (long)n), ("side", isLeft ? "left" : "right"), ("basis", basis));
    }

    public override bool Admits(FuzzCase given)
    {
        int n = given.Whole("n");
        bool isLeft = IsLeft(given);
        return given.Length("index") >= 1 && given.Length("projected", isLeft ? 1 : 0) >= 1
            && given.Length("index") == given.Length("projected", isLeft ? 0 : 1)
            && DrawnBasis.Has(given, "basis", n) && DrawnBasis.IsAscending(given.Integers("index"), n);
    }

    /// <summary>Fewer columns; shorter lines, with the columns moved into them; rows in the place of columns.</summary>
    public override IEnumerable<FuzzCase> Simplify(FuzzCase given)
    {
        int rank = given.Length("index");
        int n = given.Whole("n");
        bool isLeft = IsLeft(given);
        FuzzCase first = given.With("index", new FuzzTensor([.. Enumerable.Range(0, rank)], rank));
        return given.Shorter(("projected", isLeft ? 0 : 1), ("index", 0))
            .Concat(new[] { first, given }.SelectMany(moved => new[] { rank, n / 2, n - 1 }
                .Where(less => less >= rank && less < n).Distinct()
                .Select(less => moved.WithOption("n", (long)less))))
            .Concat(isLeft
                ? [given.With("projected", given.Inputs["projected"].Transposed()).WithOption("side", "right")]
                : []);
    }

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        int[] index = given.Integers("index");
        int n = given.Whole("n");
        bool isLeft = IsLeft(given);
        FuzzTensor projected = given.Inputs["projected"];
        float[] low = (isLeft ? projected.Transposed() : projected).Floats;
        int lines = low.Length / index.Length;
        var coordinates = new float[lines * n];
        for (int i = 0; i < low.Length; i++)
        {
            coordinates[(i / index.Length * n) + index[i % index.Length]] = low[i];
        }

        TransformKind inverse = new TransformReference(DrawnBasis.Kind(given, "basis"), n).Inverse;
        Bounded[] full = new TransformReference(inverse, n).Apply(coordinates);
        verdict.Compare(
            "full", isLeft ? BoundedMatrix.Transpose<Bounded>(full, lines, n) : full, isLeft ? [n, lines] : [lines, n]);
    }

    private static bool IsLeft(FuzzCase given) => given.Choice("side") is "left";
}
