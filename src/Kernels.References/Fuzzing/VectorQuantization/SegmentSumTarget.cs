using Kernels.References.VectorQuantization;

namespace Kernels.References.Fuzzing.VectorQuantization;

/// <summary>Sums and counts of the rows of each segment; what is not finite stays in its sum.</summary>
internal sealed class SegmentSumTarget : FuzzTarget
{
    private const int MostSegments = 1 << 30;

    public override string Name => "vq/segmentsum";

    public override IReadOnlyDictionary<string, IReadOnlyList<string?>> Inputs { get; } =
        new Dictionary<string, IReadOnlyList<string?>>(StringComparer.Ordinal)
        {
            ["x"] = ["n", "d"],
            ["index"] = ["n"],
        };

    public override IReadOnlyDictionary<string, object> Options { get; } =
        new Dictionary<string, object>(StringComparer.Ordinal) { ["k"] = Array.Empty<int>() };

    public override FuzzCase Draw(FuzzDraw draw)
    {
        bool isLong = draw.Once(100);
        int d = draw.Length("d", isLong ? 4 : 70);
        int n = isLong ? draw.Length("n", 9000, 4000) : draw.Length("n", 8000 / d);
        int k = draw.Length("k");
        bool given = draw.Once(2);
        draw.Cover(given ? "k given" : "k of the largest index");
        int[] index = VectorDraws.Indices(draw, n, k, outOfRange: given);
        if (!given)
        {
            index[draw.Below(n)] = draw.Below(k);
        }

        return new FuzzCase(
            new Dictionary<string, FuzzTensor>(StringComparer.Ordinal)
            {
                ["x"] = new FuzzTensor(draw.Floats("x", n * d, FuzzValues.All), n, d),
                ["index"] = new FuzzTensor(index, n),
            },
            given ? With(("k", (long)k)) : Options);
    }

    /// <summary>There is a segment and a dimension.</summary>
    public override bool Admits(FuzzCase given) =>
        Segments(given) is >= 1 and <= MostSegments && given.Length("x", 1) > 0;

    /// <summary>Fewer segments.</summary>
    public override IEnumerable<FuzzCase> Simplify(FuzzCase given)
    {
        if (given.Options["k"] is long k)
        {
            for (long fewer = k / 2; fewer > 0; fewer /= 2)
            {
                yield return given.WithOption("k", fewer);
            }
        }
    }

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        int k = (int)Segments(given);
        int d = given.Length("x", 1);
        (Bounded[] sums, int[] counts) = SegmentSumReference.Evaluate(
            given.Floats("x"), VectorVerdicts.Clean(given.Integers("index"), k), k, d);
        verdict.CompareAll("sums", sums, k, d);
        verdict.Compare("counts", counts, k);
    }

    private static long Segments(FuzzCase given) =>
        given.Options["k"] is long k ? k : given.Integers("index").Append(-1).Max() + 1L;
}
