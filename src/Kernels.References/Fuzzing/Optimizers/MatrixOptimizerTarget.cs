using Kernels.References.Fuzzing.Dct;

namespace Kernels.References.Fuzzing.Optimizers;

/// <summary>Several steps of an optimizer of matrices from fresh state.</summary>
/// <remarks>
/// Which columns were chosen is not among the outputs. Where roundings may confuse some of them, each choice is gone on
/// with as long as it explains the outputs; where there are too many, a case is judged up to there.
/// </remarks>
/// <param name="name">As in <c>optimizers/muon</c>.</param>
/// <param name="change">Draws the options that not all of them have.</param>
/// <param name="begin">The oracle of a case, before the first step.</param>
/// <param name="options">The options and their defaults.</param>
internal sealed class MatrixOptimizerTarget(
    string name,
    Func<FuzzDraw, (string Name, object Value)[]> change,
    Func<FuzzCase, Bounded[], IMatrixSteps> begin,
    params (string Name, object Value)[] options) : DescribedTarget(
    name, [("p", ["rows", "n"]), ("g", ["T", "rows", "n"])], options)
{
    /// <summary>The most choices of one step that are looked at.</summary>
    internal const int MostChoices = 8;

    private bool IsLowRank => Options.ContainsKey("rank");

    public override FuzzCase Draw(FuzzDraw draw)
    {
        int most = draw.Once(16) ? 66 : 20;
        (string basis, int length) = IsLowRank ? DrawnBasis.Draw(draw, "length", most) : ("", draw.Length("length", most));
        int lines = draw.Length("lines", most > 20 ? 10 : 20);
        (string side, int rows, int n) = SelectTarget.Sides(draw, lines, length);
        int steps = draw.OneOf(1, 1, 2, 3, 4);
        draw.Cover($"T = {steps}");
        (string Name, object Value)[] selection = IsLowRank
            ?
            [
                ("rank", (long)SelectTarget.Rank(draw, length)), ("norm", draw.OneOf("l1", "l2")), ("side", side),
                ("basis", basis),
            ]
            : [];
        return Case(
        [
            ("p", new FuzzTensor(draw.Floats("p", rows * n), rows, n)),
            ("g", new FuzzTensor(draw.Floats("g", steps * rows * n, FuzzValues.All), steps, rows, n)),
        ],
            [.. change(draw), .. OptimizerTargets.Common(draw, Options), .. selection]);
    }

    public override bool Admits(FuzzCase given) => IsLowRank
        ? SelectTarget.Fits(given, given.Length("p"), given.Length("p", 1))
        : given.Length("p") > 0 && given.Length("p", 1) > 0;

    /// <summary>Fewer columns; or a smaller matrix.</summary>
    public override IEnumerable<FuzzCase> Simplify(FuzzCase given) => IsLowRank
        ? SelectTarget.Smaller(
            given, given.Length("p"), given.Length("p", 1),
            each => each.Shorter(("p", 0), ("g", 1)).Concat(each.Shorter(("p", 1), ("g", 2))))
        : [];

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        (int steps, int rows, int n) = (given.Length("g"), given.Length("p"), given.Length("p", 1));
        float[] measured = verdict.Floats("p", steps, rows, n);
        List<IMatrixSteps> held = [begin(given, Array.ConvertAll(given.Floats("p"), x => (Bounded)x))];
        for (int t = 0; t < steps && measured.Length > 0 && verdict.Failure is null; t++)
        {
            int start = t * rows * n;
            Bounded[] g = Array.ConvertAll(
                given.Floats("g")[start..(start + (rows * n))], x => (Bounded)(given.Boolean("maximize") ? -x : x));
            IMatrixSteps? first = null;
            var next = new List<IMatrixSteps>();
            foreach (IMatrixSteps each in held)
            {
                if (each.Step(t + 1, g) is not { } choices)
                {
                    return;
                }

                foreach (IMatrixSteps choice in choices)
                {
                    first ??= choice;
                    if (!choice.P.Where((p, i) => !p.Admits(measured[start + i])).Any())
                    {
                        next.Add(choice);
                    }
                }
            }

            Bounded[] nearest = (next.Count > 0 ? next[0] : first!).P;
            for (int i = 0; i < nearest.Length; i++)
            {
                verdict.Compare("p", start + i, nearest[i], measured[start + i]);
            }

            held = next;
            if (held.Count > MostChoices)
            {
                return;
            }
        }
    }
}
