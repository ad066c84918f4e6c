using Kernels.References.Linear;

namespace Kernels.References.Fuzzing.Linear;

/// <summary>Losses of any logits; labels are classes, since hosts refuse others.</summary>
internal sealed class SoftmaxCrossEntropyTarget() : DescribedTarget(
    "linear/softmaxcrossentropy", [("logits", ["rows", "classes"]), ("labels", ["rows"])])
{
    public override FuzzCase Draw(FuzzDraw draw)
    {
        bool isWide = draw.Once(4);
        int rows = draw.Once(32) ? 0 : draw.Length("rows", isWide ? 8 : 70);
        int classes = draw.Length("classes", isWide ? 1100 : 70);
        return Case(
        [
            ("logits", new FuzzTensor(draw.Floats("logits", rows * classes, FuzzValues.All), rows, classes)),
            ("labels", new FuzzTensor(draw.Integers(rows, 0, classes), rows)),
        ]);
    }

    public override bool Admits(FuzzCase given) =>
        Array.TrueForAll(given.Integers("labels"), label => label >= 0 && label < given.Length("logits", 1));

    /// <summary>Fewer classes, with the labels among them.</summary>
    public override IEnumerable<FuzzCase> Simplify(FuzzCase given) => given.Shorter(("logits", 1)).Select(shorter =>
        shorter.With("labels", new FuzzTensor(
            Array.ConvertAll(given.Integers("labels"), label => Math.Min(label, shorter.Length("logits", 1) - 1)),
            given.Length("labels"))));

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        (int rows, int classes) = (given.Length("logits"), given.Length("logits", 1));
        (Bounded[] losses, Bounded mean, Bounded[] gradient) =
            SoftmaxCrossEntropyReference.Evaluate(given.Floats("logits"), given.Integers("labels"), classes);
        verdict.Compare("losses", losses);
        verdict.Compare("mean", [mean]);
        verdict.Compare("gradient", gradient, rows, classes);
    }
}
