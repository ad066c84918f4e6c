using Kernels.References.VectorQuantization;

namespace Kernels.References.Fuzzing.VectorQuantization;

/// <summary>One update of codes as moving means; sizes are finite and not negative, as updates leave them.</summary>
internal sealed class EmaTarget : FuzzTarget
{
    public override string Name => "vq/ema";

    public override IReadOnlyDictionary<string, IReadOnlyList<string?>> Inputs { get; } =
        new Dictionary<string, IReadOnlyList<string?>>(StringComparer.Ordinal)
        {
            ["codes"] = ["k", "d"],
            ["clusterSize"] = ["k"],
            ["clusterSum"] = ["k", "d"],
            ["x"] = ["n", "d"],
        };

    public override IReadOnlyDictionary<string, object> Options { get; } =
        new Dictionary<string, object>(StringComparer.Ordinal) { ["decay"] = 0.8, ["epsilon"] = 1e-5 };

    public override FuzzCase Draw(FuzzDraw draw)
    {
        (int n, int k, int d) = VectorDraws.Sizes(draw);
        float[] codes = VectorDraws.Codes(draw, "codes", k, d, FuzzValues.All);
        float[] size = Array.ConvertAll(draw.Floats("clusterSize", k, FuzzValues.Ordinary | FuzzValues.Tiny), Math.Abs);
        return new FuzzCase(
            new Dictionary<string, FuzzTensor>(StringComparer.Ordinal)
            {
                ["codes"] = new FuzzTensor(codes, k, d),
                ["clusterSize"] = new FuzzTensor(size, k),
                ["clusterSum"] = new FuzzTensor(draw.Floats("clusterSum", k * d, FuzzValues.All), k, d),
                ["x"] = new FuzzTensor(VectorDraws.Rows(draw, "x", n, codes, d, FuzzValues.All), n, d),
            },
            With(
                ("decay", draw.OneOf(0, 0.5, 0.8, 0.99, 1)),
                ("epsilon", draw.Once(3) ? 0d : draw.LogUniform(1e-8, 1))));
    }

    /// <summary>There is a code and a dimension, and sizes are sizes.</summary>
    public override bool Admits(FuzzCase given) =>
        given.Length("codes") > 0 && given.Length("codes", 1) > 0
        && Array.TrueForAll(given.Floats("clusterSize"), size => size >= 0 && float.IsFinite(size))
        && given.Number("decay") is >= 0 and <= 1 && given.Number("epsilon") >= 0;

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        int k = given.Length("codes");
        int d = given.Length("codes", 1);
        int[] index = verdict.Integers("index", given.Length("x"));
        if (verdict.Failure is not null
            || !NearestTarget.Admits(NearestTarget.Rows(given, NearestMetric.L2), index, verdict))
        {
            return;
        }

        (Bounded[] codes, Bounded[] size, Bounded[] sum) =
            new EmaReference(given.Number("decay"), given.Number("epsilon")).Update(
                given.Floats("codes"), given.Floats("clusterSize"), given.Floats("clusterSum"), given.Floats("x"),
                index);
        verdict.CompareAll("clusterSize", size, k);
        verdict.CompareAll("clusterSum", sum, k, d);
        // A size whose share of all may vanish leaves its code as it is, whatever the sum.
        const double LeastShare = 1e-30;
        double total = Math.Max(1, size.Sum(of => of.Value));
        float[] measured = verdict.Floats("codes", k, d);
        for (int i = 0; i < measured.Length; i++)
        {
            if (size[i / d].Value > LeastShare * total)
            {
                verdict.CompareAny("codes", i, codes[i], measured[i]);
            }
            else
            {
                verdict.Compare("codes", i, codes[i], measured[i]);
            }
        }
    }
}
