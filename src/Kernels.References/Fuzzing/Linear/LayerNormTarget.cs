using Kernels.References.Linear;

namespace Kernels.References.Fuzzing.Linear;

/// <summary>Normalised rows of any matrix, and the gradient through them.</summary>
internal sealed class LayerNormTarget() : DescribedTarget(
    "linear/layernorm", [("x", ["rows", "columns"]), ("dy", ["rows", "columns"])], ("epsilon", 1e-6))
{
    public override FuzzCase Draw(FuzzDraw draw)
    {
        bool isWide = draw.Once(4);
        int rows = draw.Once(32) ? 0 : draw.Length("rows", isWide ? 4 : 40);
        int columns = draw.Length("columns", isWide ? 1100 : 70);
        float[] x = draw.Floats("x", rows * columns, FuzzValues.All);
        if (draw.Once(4))
        {
            // Far from zero, where the variance must come from the differences.
            draw.Cover("x: far from zero");
            float offset = draw.OneOf(1e3f, -1e5f, 1e7f);
            x = Array.ConvertAll(x, value => offset + value);
        }

        double epsilon = draw.Once(8) ? 0 : draw.LogUniform(1e-12, 1e-1);
        draw.Cover(epsilon > 0 ? "epsilon" : "epsilon = 0");
        FuzzTensor? dy = draw.Once(3)
            ? null : new FuzzTensor(draw.Floats("dy", rows * columns, FuzzValues.All), rows, columns);
        return Case([("x", new FuzzTensor(x, rows, columns)), ("dy", dy)], ("epsilon", epsilon));
    }

    public override IEnumerable<FuzzCase> Simplify(FuzzCase given) => given.Has("dy") ? [given.Without("dy")] : [];

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        (int rows, int columns) = (given.Length("x"), given.Length("x", 1));
        (Bounded[] y, Bounded[] factors) =
            LayerNormReference.Forward(given.Floats("x"), columns, given.Number("epsilon"));
        verdict.Compare("y", y, rows, columns);
        verdict.Compare("factors", factors);
        if (given.Has("dy") && verdict.Failure is null)
        {
            // Through what the forward pass has made of it.
            Bounded[] dx = LayerNormReference.Backward(
                verdict.Floats("y", rows, columns), verdict.Floats("factors", rows), given.Floats("dy"), []);
            verdict.Compare("dx", dx, rows, columns);
        }
    }
}
