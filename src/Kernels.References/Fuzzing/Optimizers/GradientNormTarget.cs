using Kernels.References.Optimizers;

namespace Kernels.References.Fuzzing.Optimizers;

/// <summary>The norm of a gradient; no square overflows or underflows.</summary>
internal sealed class GradientNormTarget : FuzzTarget
{
    public override string Name => "optimizers/gradnorm";

    public override IReadOnlyDictionary<string, IReadOnlyList<string?>> Inputs { get; } =
        new Dictionary<string, IReadOnlyList<string?>>(StringComparer.Ordinal) { ["g"] = ["n"] };

    public override IReadOnlyDictionary<string, object> Options { get; } =
        new Dictionary<string, object>(StringComparer.Ordinal);

    public override FuzzCase Draw(FuzzDraw draw)
    {
        int n = draw.Once(8) ? draw.Length("n", 20000, 4000) : draw.Length("n");
        return new FuzzCase(
            new Dictionary<string, FuzzTensor>(StringComparer.Ordinal)
            {
                ["g"] = new FuzzTensor(draw.Floats("g", n, FuzzValues.All), n),
            },
            Options);
    }

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        float[] g = given.Floats("g");
        float[] norm = verdict.Floats("norm", 1);
        if (norm.Length == 0)
        {
            return;
        }

        if (Array.TrueForAll(g, float.IsFinite))
        {
            verdict.Compare("norm", 0, GradientNormReference.ScaledNorm(g), norm[0]);
        }
        else if (float.IsFinite(norm[0]))
        {
            verdict.Fail($"norm[0] is {norm[0]:R}, and must not be finite, since an element is not.");
        }
    }
}
