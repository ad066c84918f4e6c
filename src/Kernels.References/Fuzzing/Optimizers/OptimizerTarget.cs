using Kernels.References.Optimizers;

namespace Kernels.References.Fuzzing.Optimizers;

/// <summary>Several steps of an optimizer from fresh state.</summary>
/// <param name="name">As in <c>optimizers/adam</c>.</param>
/// <param name="options">The options and their defaults.</param>
/// <param name="change">Draws options that are not the default.</param>
/// <param name="reference">The oracle of a case.</param>
/// <param name="gradients">What the gradients may be.</param>
/// <param name="length">Draws how many elements there are.</param>
internal sealed class OptimizerTarget(
    string name,
    IReadOnlyDictionary<string, object> options,
    Func<FuzzDraw, int, (string Name, object Value)[]> change,
    Func<FuzzCase, OptimizerReference> reference,
    FuzzValues gradients = FuzzValues.All,
    Func<FuzzDraw, int>? length = null) : FuzzTarget
{
    /// <summary>Of more elements there is one step.</summary>
    private const int LongFrom = 10_000;

    public override string Name => name;

    public override IReadOnlyDictionary<string, IReadOnlyList<string?>> Inputs { get; } =
        new Dictionary<string, IReadOnlyList<string?>>(StringComparer.Ordinal) { ["p"] = ["n"], ["g"] = ["T", "n"] };

    public override IReadOnlyDictionary<string, object> Options => options;

    public override FuzzCase Draw(FuzzDraw draw)
    {
        int n = length?.Invoke(draw) ?? draw.Length("n");
        int steps = n > LongFrom ? 1 : draw.OneOf(1, 1, 2, 3, 6, 7);
        draw.Cover($"T = {steps}");
        // A gradient without decay does not know the parameter, not even one that is not finite.
        FuzzValues parameters = FuzzValues.Ordinary | (gradients & FuzzValues.NotFinite);
        return new FuzzCase(
            new Dictionary<string, FuzzTensor>(StringComparer.Ordinal)
            {
                ["p"] = new FuzzTensor(draw.Floats("p", n, parameters), n),
                ["g"] = new FuzzTensor(draw.Floats("g", steps * n, gradients), steps, n),
            },
            With(change(draw, n)));
    }

    /// <summary>Options go together, and a shape, where there is one, has as many elements as there are.</summary>
    public override bool Admits(FuzzCase given)
    {
        bool hasMomentum = !given.Options.ContainsKey("nesterov") || !given.Boolean("nesterov")
            || (given.Number("momentum") > 0 && given.Number("dampening") == 0);
        bool hasDecay = !given.Options.ContainsKey("fixedDecay") || !given.Boolean("fixedDecay") || given.Boolean("decoupled");
        bool hasShape = !given.Options.TryGetValue("shape", out object? shape) || shape is int[] { Length: 0 }
            || ((int[])shape).Aggregate(1L, (product, n) => product * n) == given.Length("p");
        return hasMomentum && hasDecay && hasShape;
    }

    /// <summary>Elements together with the shape that they have.</summary>
    public override IEnumerable<FuzzCase> Simplify(FuzzCase given)
    {
        if (!given.Options.TryGetValue("shape", out object? shape) || given.Length("p") <= 1)
        {
            yield break;
        }

        int n = given.Length("p");
        foreach (int[] smaller in ((int[])shape).SelectMany((length, i) =>
            new[] { 1, length / 2, length - 1 }.Where(l => l > 0 && l < length)
                .Select(l => ((int[])shape).Select((old, j) => j == i ? l : old).ToArray())))
        {
            int left = smaller.Aggregate(1, (product, length) => product * length);
            FuzzTensor Cut(string input) => given.Inputs[input].Without(given.Inputs[input].Shape.Count - 1, left, n - left);
            yield return given.With("p", Cut("p")).With("g", Cut("g")).WithOption("shape", smaller);
        }
    }

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        int n = given.Length("p");
        int steps = given.Length("g");
        OptimizerReference oracle = reference(given);
        Bounded[] p = Array.ConvertAll(given.Floats("p"), x => (Bounded)x);
        Bounded[][] state = oracle.CreateState(n);
        float[] measured = verdict.Floats("p", steps, n);
        for (int t = 0; t < steps && measured.Length > 0; t++)
        {
            oracle.Step(t + 1, p, Array.ConvertAll(given.Floats("g")[(t * n)..((t + 1) * n)], x => (Bounded)x), state);
            for (int i = 0; i < n; i++)
            {
                verdict.Compare("p", (t * n) + i, p[i], measured[(t * n) + i]);
            }
        }
    }
}
