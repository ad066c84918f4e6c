using Kernels.References.Dct;

namespace Kernels.References.Fuzzing.Dct;

/// <summary>The columns of any transformed gradient that carry most of it.</summary>
internal sealed class SelectTarget() : DescribedTarget(
    "dct/select", [("g", ["rows", "n"])], ("rank", 1L), ("norm", "l1"), ("side", "auto"), ("basis", "dct2"))
{
    public override FuzzCase Draw(FuzzDraw draw)
    {
        bool isLong = draw.Once(16);
        (string basis, int length) = DrawnBasis.Draw(draw, "length", isLong ? 300 : 40);
        int lines = draw.Length("lines", isLong ? 4 : 40);
        (string side, int rows, int n) = Sides(draw, lines, length);
        int rank = Rank(draw, length);
        string norm = draw.OneOf("l1", "l2");
        draw.Cover(norm);
        return Case(
            [("g", new FuzzTensor(draw.Floats("g", rows * n, FuzzValues.All), rows, n))],
            ("rank", (long)rank), ("norm", norm), ("side", side), ("basis", basis));
    }

    public override bool Admits(FuzzCase given) => Fits(given, given.Length("g"), given.Length("g", 1));

    /// <summary>Fewer columns; or a shorter matrix.</summary>
    public override IEnumerable<FuzzCase> Simplify(FuzzCase given) => Smaller(
        given, given.Length("g"), given.Length("g", 1), each => each.Shorter(("g", 0)).Concat(each.Shorter(("g", 1))));

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        FuzzTensor g = given.Inputs["g"];
        (int rows, int n, int rank) = (g.Shape[0], g.Shape[1], given.Whole("rank"));
        bool isLeft = IsLeft(given, rows, n);
        var reference = new SelectReference(
            new TransformReference(DrawnBasis.Kind(given, "basis"), isLeft ? rows : n),
            (isLeft ? g.Transposed() : g).Floats, squares: given.Choice("norm") is "l2");
        int[] index = verdict.Integers("index", rank);
        if (index.Length == 0)
        {
            return;
        }

        if (!reference.Admits(index))
        {
            verdict.Fail(
                $"index is [{string.Join(", ", index)}], and must be [{string.Join(", ", reference.Choose(rank))}], or "
                + "else columns whose scores roundings may confuse.");
            return;
        }

        Bounded[] projected = reference.Project(index);
        verdict.Compare(
            "projected", isLeft ? BoundedMatrix.Transpose<Bounded>(projected, n, rank) : projected,
            isLeft ? [rank, n] : [rows, rank]);
        verdict.Compare("energy", [reference.Energy(index)]);
    }

    /// <summary>Which side of a matrix is to be shortened, and the shape that it has then.</summary>
    internal static (string Side, int Rows, int Columns) Sides(FuzzDraw draw, int lines, int length)
    {
        // Auto transforms the shorter side.
        bool isAuto = length <= lines && draw.Once(2);
        string side = isAuto ? "auto" : draw.OneOf("right", "left");
        bool isLeft = isAuto ? length < lines && draw.Once(2) : side is "left";
        draw.Cover(side);
        draw.Cover(isLeft ? "columns" : "rows");
        return isLeft ? (side, length, lines) : (side, lines, length);
    }

    /// <summary>Whether columns are transformed.</summary>
    internal static bool IsLeft(FuzzCase given, int rows, int n) =>
        given.Choice("side") is "left" || (given.Choice("side") is "auto" && rows < n);

    /// <summary>Whether a matrix has the side that is to be shortened, and as many columns there as are kept.</summary>
    internal static bool Fits(FuzzCase given, int rows, int n)
    {
        int length = IsLeft(given, rows, n) ? rows : n;
        return rows > 0 && n > 0 && given.Whole("rank") >= 1 && given.Whole("rank") <= length
            && DrawnBasis.Has(given, "basis", length);
    }

    /// <summary>How many columns are kept, of so many.</summary>
    internal static int Rank(FuzzDraw draw, int length)
    {
        int rank = draw.Once(6) ? length : 1 + draw.Below(length);
        draw.Cover(rank == length ? "rank = length" : "rank < length");
        return rank;
    }

    /// <summary>Fewer columns; or a shorter matrix with fewer columns, or with the side named that its shape chose.</summary>
    internal static IEnumerable<FuzzCase> Smaller(
        FuzzCase given, int rows, int n, Func<FuzzCase, IEnumerable<FuzzCase>> shorter)
    {
        // A matrix of one row cannot be of the right side where its shape chooses.
        IEnumerable<FuzzCase> named = given.Choice("side") is "auto"
            ? shorter(given.WithOption("side", IsLeft(given, rows, n) ? "left" : "right"))
            : [];
        return Ranks(given).Concat(shorter(given).SelectMany(Ranks)).Concat(named);
    }

    private static IEnumerable<FuzzCase> Ranks(FuzzCase given)
    {
        int rank = given.Whole("rank");
        return new[] { 1, rank / 2, rank - 1 }.Where(less => less >= 1 && less < rank).Distinct()
            .Select(less => given.WithOption("rank", (long)less));
    }
}
