using Kernels.References.Linear;
using Kernels.References.Quantization;

namespace Kernels.References.Fuzzing.Quantization;

/// <summary>Products with packed codes. Of what is not finite nothing is stated.</summary>
internal sealed class CodebookMatMulTarget : CodebookTarget
{
    public override string Name => "codebook/matmul";

    public override IReadOnlyDictionary<string, IReadOnlyList<string?>> Inputs { get; } =
        new Dictionary<string, IReadOnlyList<string?>>(StringComparer.Ordinal)
        {
            ["index"] = ["rows", "cols"],
            ["codebook"] = ["c", "k"],
            ["boundaries"] = ["g + 1"],
            ["scale"] = ["g"],
            ["x"] = ["n", "cols"],
            ["bias"] = ["rows"],
        };

    public override IReadOnlyDictionary<string, object> Options { get; } =
        new Dictionary<string, object>(StringComparer.Ordinal) { ["activation"] = "none" };

    private protected override string Matrix => "index";

    public override FuzzCase Draw(FuzzDraw draw)
    {
        (Dictionary<string, FuzzTensor> inputs, int rows, int columns) =
            Groups(draw, FuzzValues.Finite, FuzzValues.Finite);
        // Many vectors go another way than few.
        int n = columns > 300 ? draw.OneOf(1, 2) : draw.OneOf(1, 1, 2, 3, 4, 5, 17, 33);
        draw.Cover(n == 1 ? "n = 1" : n < 5 ? "n < 5" : "n > 4");
        inputs["index"] = new FuzzTensor(
            draw.Integers(rows * columns, 0, inputs["codebook"].Shape[1]), rows, columns);
        inputs["x"] = new FuzzTensor(draw.Floats("x", n * columns, FuzzValues.Finite), n, columns);
        if (draw.Once(2))
        {
            inputs["bias"] = new FuzzTensor(draw.Floats("bias", rows), rows);
        }

        string activation = draw.OneOf("none", "none", "relu", "gelu");
        draw.Cover(activation);
        return new FuzzCase(inputs, With(("activation", activation)));
    }

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        Bounded[] expected = QuantizedProductReference.Multiply(
            Shape(given), given.Floats("x"), given.Integers("index"), given.Floats("codebook"), Scale(given),
            given.Has("bias") ? given.Floats("bias") : default, default,
            given.Choice("activation") switch
            {
                "relu" => ActivationReference.Relu,
                "gelu" => ActivationReference.Gelu,
                _ => null,
            });
        verdict.Compare("y", expected, given.Length("x"), given.Length("index"));
    }
}
