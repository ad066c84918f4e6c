using Kernels.References.Quantization;

namespace Kernels.References.Fuzzing.Quantization;

/// <summary>The nearest code of each weight, many of which lie about the middles of codes.</summary>
internal sealed class AssignTarget : CodebookTarget
{
    public override string Name => "codebook/assign";

    public override IReadOnlyDictionary<string, IReadOnlyList<string?>> Inputs { get; } =
        new Dictionary<string, IReadOnlyList<string?>>(StringComparer.Ordinal)
        {
            ["w"] = ["rows", "cols"],
            ["codebook"] = ["c", "k"],
            ["boundaries"] = ["g + 1"],
            ["scale"] = ["g"],
        };

    public override IReadOnlyDictionary<string, object> Options { get; } =
        new Dictionary<string, object>(StringComparer.Ordinal);

    private protected override string Matrix => "w";

    private protected override bool Ascends => true;

    public override FuzzCase Draw(FuzzDraw draw)
    {
        (Dictionary<string, FuzzTensor> inputs, int rows, int columns) =
            Groups(draw, FuzzValues.Finite, FuzzValues.All);
        float[] w = draw.Floats("w", rows * columns, FuzzValues.All);
        inputs["w"] = new FuzzTensor(w, rows, columns);
        var given = new FuzzCase(inputs, Options);
        if (draw.Once(2))
        {
            draw.Cover("w about the middles");
            CodebookShape shape = Shape(given);
            float[] codebook = given.Floats("codebook");
            float[] scale = Scale(given);
            for (int i = 0; i < w.Length; i++)
            {
                int code = (shape.Codebooks.Of(i) * shape.Codes) + draw.Below(shape.Codes - 1);
                float middle = ((codebook[code] / 2) + (codebook[code + 1] / 2)) * shape.Scale(i, scale);
                w[i] = draw.Below(4) switch
                {
                    0 => middle,
                    1 => MathF.BitIncrement(middle),
                    2 => MathF.BitDecrement(middle),
                    _ => w[i],
                };
            }
        }

        return given;
    }

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        int[] index = verdict.Integers("index", given.Length("w"), given.Length("w", 1));
        if (index.Length == 0)
        {
            return;
        }

        CodebookShape shape = Shape(given);
        Judge(verdict, shape, given.Floats("w"), given.Floats("codebook"), Scale(given), index);
    }

    /// <summary>Whether a right binary32 computation may find these codes.</summary>
    internal static void Judge(
        FuzzVerdict verdict, CodebookShape shape, float[] w, float[] codebook, float[] scale, int[] index)
    {
        int wrong = AssignReference.FirstWrong(shape, w, codebook, scale, index);
        if (wrong >= 0)
        {
            int nearest = AssignReference.Assign(shape, w, codebook, scale)[wrong];
            verdict.Fail($"index[{wrong}] is {index[wrong]}, and must be {nearest}, or as near within the bounds.");
        }
    }
}
