using Kernels.References.VectorQuantization;

namespace Kernels.References.Fuzzing.VectorQuantization;

/// <summary>SimVQ's map of the codebook, and its gradients where one comes.</summary>
internal sealed class SimVqTarget : FuzzTarget
{
    public override string Name => "vq/simvq";

    public override IReadOnlyDictionary<string, IReadOnlyList<string?>> Inputs { get; } =
        new Dictionary<string, IReadOnlyList<string?>>(StringComparer.Ordinal)
        {
            ["codes"] = ["k", "d"],
            ["weight"] = ["d", "d"],
            ["bias"] = ["d"],
            ["grad"] = ["k", "d"],
        };

    public override IReadOnlyDictionary<string, object> Options { get; } =
        new Dictionary<string, object>(StringComparer.Ordinal);

    public override FuzzCase Draw(FuzzDraw draw)
    {
        int d = draw.Length("d", draw.Once(30) ? 130 : 40);
        int k = draw.Length("k", Math.Clamp(30_000 / (d * d), 2, 300));
        var inputs = new Dictionary<string, FuzzTensor>(StringComparer.Ordinal)
        {
            ["codes"] = new FuzzTensor(draw.Floats("codes", k * d, FuzzValues.All), k, d),
            ["weight"] = new FuzzTensor(draw.Floats("weight", d * d, FuzzValues.All), d, d),
        };
        bool hasBias = draw.Once(2);
        bool hasGrad = draw.Once(2);
        draw.Cover(hasBias ? "bias" : "no bias");
        draw.Cover(hasGrad ? "backward" : "forward alone");
        if (hasBias)
        {
            inputs["bias"] = new FuzzTensor(draw.Floats("bias", d, FuzzValues.All), d);
        }

        if (hasGrad)
        {
            inputs["grad"] = new FuzzTensor(draw.Floats("grad", k * d, FuzzValues.All), k, d);
        }

        return new FuzzCase(inputs, Options);
    }

    /// <summary>There is a code and a dimension.</summary>
    public override bool Admits(FuzzCase given) => given.Length("codes") > 0 && given.Length("codes", 1) > 0;

    public override IEnumerable<FuzzCase> Simplify(FuzzCase given) => VectorVerdicts.WithoutOne(given, "grad", "bias");

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        int k = given.Length("codes");
        int d = given.Length("codes", 1);
        float[] codes = given.Floats("codes");
        float[] weight = given.Floats("weight");
        verdict.CompareAll(
            "projected", SimVqReference.Forward(codes, weight, given.Has("bias") ? given.Floats("bias") : [], d), k, d);
        if (given.Has("grad"))
        {
            (Bounded[] gradCodes, Bounded[] gradWeight, Bounded[] gradBias) =
                SimVqReference.Backward(codes, weight, given.Floats("grad"), d);
            verdict.CompareAll("grad.codes", gradCodes, k, d);
            verdict.CompareAll("grad.weight", gradWeight, d, d);
            verdict.CompareAll("grad.bias", gradBias, d);
        }
    }
}
