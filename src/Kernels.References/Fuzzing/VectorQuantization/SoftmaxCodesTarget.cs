using System.Globalization;
using Kernels.References.VectorQuantization;

namespace Kernels.References.Fuzzing.VectorQuantization;

/// <summary>The gradient of index back-propagation. What is not finite makes all so that it meets.</summary>
internal sealed class SoftmaxCodesTarget : FuzzTarget
{
    public override string Name => "vq/softmaxcodes";

    public override IReadOnlyDictionary<string, IReadOnlyList<string?>> Inputs { get; } =
        new Dictionary<string, IReadOnlyList<string?>>(StringComparer.Ordinal)
        {
            ["x"] = ["n", "d"],
            ["codes"] = ["k", "d"],
            ["grad"] = ["n", "d"],
            ["index"] = ["n"],
        };

    public override IReadOnlyDictionary<string, object> Options { get; } =
        new Dictionary<string, object>(StringComparer.Ordinal);

    public override FuzzCase Draw(FuzzDraw draw)
    {
        const FuzzValues Kinds = FuzzValues.Ordinary | FuzzValues.Tiny | FuzzValues.NotFinite;
        (int n, int k, int d) = VectorDraws.Sizes(draw);
        float[] codes = VectorDraws.Codes(draw, "codes", k, d, Kinds);
        float[] x = VectorDraws.Rows(draw, "x", n, codes, d, Kinds);
        float[] grad = draw.Floats("grad", n * d, Kinds);
        // Few logits of numbers up to a thousand leave a probability that is not 0 or 1.
        bool isSoft = !draw.Once(6);
        draw.Cover(isSoft ? "soft" : "any logits");
        if (isSoft)
        {
            float power = MathF.ScaleB(1, -Math.Max(0, Math.ILogB(Largest(x) * Largest(codes) * d / 8)));
            x = Array.ConvertAll(x, v => v * power);
        }

        var inputs = new Dictionary<string, FuzzTensor>(StringComparer.Ordinal)
        {
            ["x"] = new FuzzTensor(x, n, d),
            ["codes"] = new FuzzTensor(codes, k, d),
            ["grad"] = new FuzzTensor(grad, n, d),
        };
        if (draw.Once(2))
        {
            inputs["index"] = new FuzzTensor(VectorDraws.Indices(draw, n, k), n);
        }

        return new FuzzCase(inputs, Options);
    }

    /// <summary>There is a code and a dimension.</summary>
    public override bool Admits(FuzzCase given) => given.Length("codes") > 0 && given.Length("codes", 1) > 0;

    public override IEnumerable<FuzzCase> Simplify(FuzzCase given) => VectorVerdicts.WithoutOne(given, "index");

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        int n = given.Length("x");
        int d = given.Length("x", 1);
        int k = given.Length("codes");
        int[] index = verdict.Integers("index", n);
        float[] gradX = verdict.Floats("gradX", n, d);
        float[] gradCodes = verdict.Floats("gradCodes", k, d);
        if (verdict.Failure is not null)
        {
            return;
        }

        if (given.Has("index"))
        {
            verdict.Compare("index", given.Integers("index"), n);
            index = VectorVerdicts.Clean(given.Integers("index"), k);
        }
        else if (!NearestTarget.Admits(NearestTarget.Rows(given, NearestMetric.Dot), index, verdict))
        {
            return;
        }

        (Bounded[] rows, Bounded[] codes) = SoftmaxCodesReference.Backward(
            given.Floats("x"), given.Floats("codes"), index, given.Floats("grad"), d);
        bool areCodes = Array.TrueForAll(given.Floats("codes"), float.IsFinite);
        bool isAnyBad = false;
        for (int row = 0; row < n; row++)
        {
            bool isBad = index[row] >= 0 && !(areCodes && IsFinite(given, "x", row) && IsFinite(given, "grad", row));
            isAnyBad |= isBad;
            Compare("gradX", rows, gradX, row * d, d, isBad, verdict);
        }

        Compare("gradCodes", codes, gradCodes, 0, k * d, isAnyBad, verdict);
    }

    private static void Compare(
        string name, Bounded[] expected, float[] measured, int first, int count, bool isBad, FuzzVerdict verdict)
    {
        for (int i = first; i < first + count; i++)
        {
            if (!isBad)
            {
                verdict.Compare(name, i, expected[i], measured[i]);
            }
            else if (float.IsFinite(measured[i]))
            {
                verdict.Fail(string.Create(
                    CultureInfo.InvariantCulture, $"{name}[{i}] is {measured[i]:R}, and must not be finite."));
            }
        }
    }

    private static bool IsFinite(FuzzCase given, string input, int row)
    {
        int d = given.Length(input, 1);
        return Array.TrueForAll(given.Floats(input)[(row * d)..((row + 1) * d)], float.IsFinite);
    }

    private static float Largest(float[] values) =>
        values.Where(float.IsFinite).Select(Math.Abs).Append(1e-30f).Max();
}
