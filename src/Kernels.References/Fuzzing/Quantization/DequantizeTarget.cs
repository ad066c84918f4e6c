using System.Globalization;
using Kernels.References.Quantization;

namespace Kernels.References.Fuzzing.Quantization;

/// <summary>The weights that codes stand for; codes and scales are any numbers.</summary>
internal sealed class DequantizeTarget : CodebookTarget
{
    public override string Name => "codebook/dequantize";

    public override IReadOnlyDictionary<string, IReadOnlyList<string?>> Inputs { get; } =
        new Dictionary<string, IReadOnlyList<string?>>(StringComparer.Ordinal)
        {
            ["index"] = ["rows", "cols"],
            ["codebook"] = ["c", "k"],
            ["boundaries"] = ["g + 1"],
            ["scale"] = ["g"],
        };

    public override IReadOnlyDictionary<string, object> Options { get; } =
        new Dictionary<string, object>(StringComparer.Ordinal);

    private protected override string Matrix => "index";

    public override FuzzCase Draw(FuzzDraw draw)
    {
        (Dictionary<string, FuzzTensor> inputs, int rows, int columns) = Groups(draw, FuzzValues.All, FuzzValues.All);
        inputs["index"] = new FuzzTensor(
            draw.Integers(rows * columns, 0, inputs["codebook"].Shape[1]), rows, columns);
        return new FuzzCase(inputs, Options);
    }

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        CodebookShape shape = Shape(given);
        float[] w = verdict.Floats("w", shape.Rows, shape.Columns);
        float[] codebook = given.Floats("codebook");
        int[] index = given.Integers("index");
        Bounded[] expected = DequantizeReference.Evaluate(shape, index, codebook, Scale(given));
        for (int i = 0; i < w.Length; i++)
        {
            // What is not finite is what IEEE 754 makes of the product, and so is an overflow.
            float product = shape.Scale(i, Scale(given)) * codebook[shape.Entry(i, index)];
            if (float.IsFinite(product))
            {
                verdict.Compare("w", i, expected[i], w[i]);
            }
            else if (!product.Equals(w[i]))
            {
                verdict.Fail(string.Create(
                    CultureInfo.InvariantCulture, $"w[{i}] is {w[i]:R}, and must be {product:R}."));
            }
        }
    }
}
