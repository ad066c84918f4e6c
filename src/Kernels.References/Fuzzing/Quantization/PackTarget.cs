namespace Kernels.References.Fuzzing.Quantization;

/// <summary>Codes into bytes, exactly.</summary>
internal sealed class PackTarget : PackingTarget
{
    public override string Name => "codebook/pack";

    public override IReadOnlyDictionary<string, IReadOnlyList<string?>> Inputs { get; } =
        new Dictionary<string, IReadOnlyList<string?>>(StringComparer.Ordinal) { ["index"] = ["rows", "cols"] };

    public override IReadOnlyDictionary<string, object> Options { get; } =
        new Dictionary<string, object>(StringComparer.Ordinal)
        {
            ["k"] = 16L,
            ["packing"] = "fields",
            ["order"] = "linear",
        };

    public override FuzzCase Draw(FuzzDraw draw)
    {
        (int rows, int columns, int codes, string packing, string order) = Format(draw);
        return new FuzzCase(
            new Dictionary<string, FuzzTensor>(StringComparer.Ordinal)
            {
                ["index"] = new FuzzTensor(draw.Integers(rows * columns, 0, codes), rows, columns),
            },
            With(("k", (long)codes), ("packing", packing), ("order", order)));
    }

    /// <summary>All are codes.</summary>
    public override bool Admits(FuzzCase given)
    {
        int codes = given.Whole("k");
        return codes is >= 2 and <= 256 && Array.TrueForAll(given.Integers("index"), code => code >= 0 && code < codes);
    }

    protected override void Judge(FuzzCase given, FuzzVerdict verdict) =>
        verdict.Compare("packed", Pack(Reference(given), given.Integers("index"), given.Length("index", 1)));
}
