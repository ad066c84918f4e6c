using System.Globalization;
using Kernels.References.Optimizers;

namespace Kernels.References.Fuzzing.Optimizers;

/// <summary>Tests of the batch size over per-sample gradients, whose squares are normal numbers: the kernels' domain.</summary>
internal sealed class BatchTestTarget : FuzzTarget
{
    public override string Name => "optimizers/batchtest";

    public override IReadOnlyDictionary<string, IReadOnlyList<string?>> Inputs { get; } =
        new Dictionary<string, IReadOnlyList<string?>>(StringComparer.Ordinal) { ["g"] = ["B", "d"] };

    public override IReadOnlyDictionary<string, object> Options { get; } =
        new Dictionary<string, object>(StringComparer.Ordinal)
        {
            ["test"] = "norm",
            ["threshold"] = 0.1,
            ["threshold2"] = 0.1,
            ["maxBatch"] = (long)int.MaxValue,
        };

    public override FuzzCase Draw(FuzzDraw draw)
    {
        // Inner products are summed 1,024 columns at a time.
        bool isLong = draw.Once(8);
        int samples = draw.Length("B", isLong ? 4 : 40);
        int d = isLong ? draw.OneOf(1025, 1100, 2047, 2049, 2100) : draw.Length("d");
        string test = draw.OneOf("norm", "innerProduct", "orthogonality", "augmented", "coordinate");
        draw.Cover(test);
        return new FuzzCase(
            new Dictionary<string, FuzzTensor>(StringComparer.Ordinal)
            {
                ["g"] = new FuzzTensor(draw.Floats("g", samples * d, FuzzValues.Ordinary), samples, d),
            },
            With(
                ("test", test), ("threshold", draw.LogUniform(0.01, 10)), ("threshold2", draw.LogUniform(0.01, 10)),
                ("maxBatch", draw.OneOf(100L, int.MaxValue))));
    }

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        int samples = given.Length("g");
        Bounded expected = BatchTestReference.Statistic(
            Enum.Parse<BatchTestKind>(given.Choice("test"), ignoreCase: true),
            Array.ConvertAll(given.Floats("g"), x => (double)x), samples, given.Number("threshold"),
            given.Number("threshold2"));
        float[] statistic = verdict.Floats("statistic", 1);
        int[] next = verdict.Integers("next", 1);
        if (statistic.Length == 0 || next.Length == 0)
        {
            return;
        }

        verdict.Compare("statistic", 0, expected, statistic[0]);
        if (float.IsNaN(statistic[0]) || statistic[0] < 0)
        {
            verdict.Fail(string.Create(
                CultureInfo.InvariantCulture, $"statistic[0] is {statistic[0]:R}, and must be at least 0."));
            return;
        }

        verdict.Compare(
            "next", [BatchTestReference.NextBatch(statistic[0], samples, given.Whole("maxBatch"))]);
    }
}
