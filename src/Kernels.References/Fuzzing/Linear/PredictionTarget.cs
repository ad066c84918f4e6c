using Kernels.References.Linear;

namespace Kernels.References.Fuzzing.Linear;

/// <summary>The class of the largest logit of any, and how often it is any label; exact.</summary>
internal sealed class PredictionTarget() : DescribedTarget(
    "linear/prediction", [("logits", ["rows", "classes"]), ("labels", ["rows"])])
{
    public override FuzzCase Draw(FuzzDraw draw)
    {
        bool isWide = draw.Once(4);
        int rows = draw.Once(32) ? 0 : draw.Length("rows", isWide ? 8 : 300);
        int classes = draw.Length("classes", isWide ? 1100 : 40);
        float[] logits = draw.Floats("logits", rows * classes, FuzzValues.All);
        // Mostly the answer: a count of few says little.
        FuzzTensor? labels = draw.Once(3) ? null : new FuzzTensor(
            [.. Predict(logits, classes).Select(right => draw.Once(3) ? draw.Below(classes + 2) - 1 : right)], rows);
        draw.Cover(labels is null ? "no labels" : "labels");
        return Case([("logits", new FuzzTensor(logits, rows, classes)), ("labels", labels)]);
    }

    public override IEnumerable<FuzzCase> Simplify(FuzzCase given) => given.Has("labels") ? [given.Without("labels")] : [];

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        int[] predictions = Predict(given.Floats("logits"), given.Length("logits", 1));
        verdict.Compare("predictions", predictions);
        if (given.Has("labels"))
        {
            int[] labels = given.Integers("labels");
            verdict.Compare("count", [predictions.Where((found, row) => found >= 0 && found == labels[row]).Count()]);
        }
    }

    private static int[] Predict(float[] logits, int classes) =>
        [.. logits.Chunk(classes).Select(row => PredictionReference.ArgMax(row))];
}
