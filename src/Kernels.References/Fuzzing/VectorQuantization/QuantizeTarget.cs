using Kernels.References.VectorQuantization;

namespace Kernels.References.Fuzzing.VectorQuantization;

/// <summary>Codes that are found or given, and the output, losses, gradient and counts that follow from them.</summary>
internal sealed class QuantizeTarget : FuzzTarget
{
    public override string Name => "vq/quantize";

    public override IReadOnlyDictionary<string, IReadOnlyList<string?>> Inputs { get; } =
        new Dictionary<string, IReadOnlyList<string?>>(StringComparer.Ordinal)
        {
            ["x"] = ["n", "d"],
            ["codes"] = ["k", "d"],
            ["index"] = ["n"],
            ["grad"] = ["n", "d"],
        };

    public override IReadOnlyDictionary<string, object> Options { get; } =
        new Dictionary<string, object>(StringComparer.Ordinal) { ["beta"] = 0.25 };

    public override FuzzCase Draw(FuzzDraw draw)
    {
        (int n, int k, int d) = VectorDraws.Sizes(draw);
        float[] codes = VectorDraws.Codes(draw, "codes", k, d, FuzzValues.All);
        var inputs = new Dictionary<string, FuzzTensor>(StringComparer.Ordinal)
        {
            ["x"] = new FuzzTensor(VectorDraws.Rows(draw, "x", n, codes, d, FuzzValues.All), n, d),
            ["codes"] = new FuzzTensor(codes, k, d),
        };
        if (draw.Once(2))
        {
            inputs["index"] = new FuzzTensor(VectorDraws.Indices(draw, n, k), n);
        }

        if (draw.Once(2))
        {
            inputs["grad"] = new FuzzTensor(draw.Floats("grad", n * d, FuzzValues.All), n, d);
        }

        return new FuzzCase(inputs, With(("beta", draw.OneOf(0, 0.25, 1, draw.LogUniform(1e-6, 1e3)))));
    }

    /// <summary>There is a code and a dimension.</summary>
    public override bool Admits(FuzzCase given) =>
        given.Length("codes") > 0 && given.Length("codes", 1) > 0 && given.Number("beta") >= 0;

    public override IEnumerable<FuzzCase> Simplify(FuzzCase given) => VectorVerdicts.WithoutOne(given, "grad", "index");

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        int n = given.Length("x");
        int d = given.Length("x", 1);
        int k = given.Length("codes");
        float[] codes = given.Floats("codes");
        int[] index = verdict.Integers("index", n);
        if (verdict.Failure is not null)
        {
            return;
        }

        if (given.Has("index"))
        {
            verdict.Compare("index", given.Integers("index"), n);
            index = VectorVerdicts.Clean(given.Integers("index"), k);
        }
        else if (!NearestTarget.Admits(NearestTarget.Rows(given, NearestMetric.L2), index, verdict))
        {
            return;
        }

        (_, Bounded codebook, Bounded commitment, Bounded[] gradX, int[] counts) = QuantizeReference.Evaluate(
            given.Floats("x"), codes, index, d, given.Number("beta"), given.Has("grad") ? given.Floats("grad") : []);
        float[] output = new float[n * d];
        for (int row = 0; row < n; row++)
        {
            if (index[row] >= 0)
            {
                codes.AsSpan(index[row] * d, d).CopyTo(output.AsSpan(row * d));
            }
        }

        verdict.Compare("output", VectorVerdicts.Exactly(output), n, d);
        verdict.CompareAll("loss", [codebook, commitment], 2);
        verdict.CompareAll("gradX", gradX, n, d);
        verdict.Compare("counts", counts, k);
    }
}
