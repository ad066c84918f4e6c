using Kernels.References.Quantization;

namespace Kernels.References.Fuzzing.Quantization;

/// <summary>The learned mapping of weights to codes, and the gradient to its logits.</summary>
internal sealed class ProximalTarget : FuzzTarget
{
    public override string Name => "codebook/proximal";

    public override IReadOnlyDictionary<string, IReadOnlyList<string?>> Inputs { get; } =
        new Dictionary<string, IReadOnlyList<string?>>(StringComparer.Ordinal)
        {
            ["logits"] = ["m", "k"],
            ["codebook"] = ["k"],
            ["grad"] = ["m"],
        };

    public override IReadOnlyDictionary<string, object> Options { get; } =
        new Dictionary<string, object>(StringComparer.Ordinal)
        {
            ["temperature"] = 1d,
            ["rule"] = "proximal",
            ["decay"] = "ratio",
        };

    public override FuzzCase Draw(FuzzDraw draw)
    {
        // Each number of codes up to 16 is a kernel of its own.
        int k = draw.OneOf(2, 3, 4, 5, 8, 11, 16, 17, 40, 256);
        int m = draw.Length("m", Math.Clamp(600 / k, 1, 100));
        string rule = draw.OneOf("proximal", "proximal", "default");
        string decay = draw.OneOf("ratio", "exponential", "adjacent");
        draw.Cover(rule is "default" ? rule : decay);
        draw.Cover(k <= 16 ? "k <= 16" : "k > 16");
        float[] codebook = draw.Floats("codebook", k, FuzzValues.Finite);
        Array.Sort(codebook);
        return new FuzzCase(
            new Dictionary<string, FuzzTensor>(StringComparer.Ordinal)
            {
                ["logits"] = new FuzzTensor(draw.Floats("logits", m * k, FuzzValues.All), m, k),
                ["codebook"] = new FuzzTensor(codebook, k),
                ["grad"] = new FuzzTensor(draw.Floats("grad", m, FuzzValues.All), m),
            },
            With(
                ("temperature", draw.OneOf(1, draw.LogUniform(0.01, 100))), ("rule", rule), ("decay", decay)));
    }

    /// <summary>There are two codes, which are finite and ascend.</summary>
    public override bool Admits(FuzzCase given) =>
        given.Length("codebook") is >= 2 and <= 256 && CodebookTarget.Ascend(given.Floats("codebook"))
        && given.Number("temperature") > 0;

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        float[] logits = given.Floats("logits");
        float[] codebook = given.Floats("codebook");
        int[] index = MappingReference.Hard(logits, codebook.Length);
        verdict.Compare("index", index);
        verdict.Compare("value", Array.ConvertAll(index, code => (Bounded)codebook[code]));
        bool isDefault = given.Choice("rule") is "default";
        MappingDecay decay = isDefault
            ? MappingDecay.Distance
            : Enum.Parse<MappingDecay>(given.Choice("decay"), ignoreCase: true);
        var reference = new MappingReference(decay, isDefault, given.Number("temperature"));
        verdict.Compare(
            "gradLogits", reference.Gradient(logits, codebook, given.Floats("grad")), index.Length, codebook.Length);
    }
}
