using Kernels.References.Linear;

namespace Kernels.References.Fuzzing.Linear;

/// <summary>Attention by heads over any numbers, and the gradient through it.</summary>
internal sealed class AttentionTarget() : DescribedTarget(
    "linear/attention", [("qkv", ["tokens", "3", "heads", "size"]), ("grad", ["tokens", "heads", "size"])])
{
    public override FuzzCase Draw(FuzzDraw draw)
    {
        int tokens = draw.Once(32) ? 0 : draw.Length("tokens", 70);
        int heads = draw.OneOf(1, 1, 2, 3);
        int size = draw.Length("size", tokens > 20 ? 12 : 130);
        draw.Cover($"heads = {heads}");
        float[] qkv = draw.Floats("qkv", 3 * tokens * heads * size, FuzzValues.All);
        if (draw.Once(2))
        {
            // Logits of ordinary sizes, where every weight counts.
            draw.Cover("qkv: small");
            qkv = Array.ConvertAll(qkv, value => float.IsFinite(value) ? value % 1.5f : value);
        }

        FuzzTensor? grad = draw.Once(3)
            ? null : new FuzzTensor(draw.Floats("grad", tokens * heads * size, FuzzValues.All), tokens, heads, size);
        return Case([("qkv", new FuzzTensor(qkv, tokens, 3, heads, size)), ("grad", grad)]);
    }

    public override bool Admits(FuzzCase given) => given.Length("qkv", 1) == 3;

    public override IEnumerable<FuzzCase> Simplify(FuzzCase given) => given.Has("grad") ? [given.Without("grad")] : [];

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        float[] qkv = given.Floats("qkv");
        (int tokens, int heads, int size) = (given.Length("qkv"), given.Length("qkv", 2), given.Length("qkv", 3));
        verdict.Compare("mixed", AttentionReference.Forward(qkv, heads, size), tokens, heads, size);
        if (given.Has("grad") && verdict.Failure is null)
        {
            // Through what the forward pass has made of it.
            Bounded[] gradient = AttentionReference.Backward(
                qkv, verdict.Floats("mixed", tokens, heads, size), given.Floats("grad"), heads, size);
            verdict.Compare("grad.qkv", gradient, tokens, 3, heads, size);
        }
    }
}
