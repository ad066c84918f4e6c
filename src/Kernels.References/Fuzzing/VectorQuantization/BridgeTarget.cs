using Kernels.References.VectorQuantization;

namespace Kernels.References.Fuzzing.VectorQuantization;

/// <summary>
/// VQBridge, forward and backward; numbers of the size of those of training, for its oracle's bound is a measured one.
/// </summary>
internal sealed class BridgeTarget : FuzzTarget
{
    private const int MostDepth = 4;
    private const int StandardHeads = 4;

    public override string Name => "vq/bridge";

    public override IReadOnlyDictionary<string, IReadOnlyList<string?>> Inputs { get; } = Symbols();

    public override IReadOnlyDictionary<string, object> Options { get; } =
        new Dictionary<string, object>(StringComparer.Ordinal)
        {
            ["heads"] = (long)StandardHeads,
            ["epsilon"] = 1e-6,
            ["compressNorm"] = false,
        };

    public override FuzzCase Draw(FuzzDraw draw)
    {
        int heads = draw.OneOf(1, 1, 2, 3, 4);
        var shape = new BridgeShape
        {
            Dimension = draw.OneOf(1, 2, 3, 4, 5, 8),
            Patch = draw.OneOf(1, 2, 3, 4),
            Width = heads * draw.OneOf(1, 2, 3, 4),
            Heads = heads,
            Depth = draw.OneOf(0, 0, 1, 1, 2, draw.Below(MostDepth + 1)),
            Ratio = draw.OneOf(1, 2, 3),
            Epsilon = draw.OneOf(1e-6, 1e-3, 1e-1),
            CompressNorm = draw.Once(2),
        };
        int tokens = draw.OneOf(1, 2, 3, 5, 9, 17);
        draw.Cover($"depth {shape.Depth}");
        draw.Cover($"{tokens} tokens");
        draw.Cover(shape.CompressNorm ? "normalised after compression" : "not normalised");
        // As it starts: nothing is recovered.
        bool isNew = draw.Once(8);
        var inputs = new Dictionary<string, FuzzTensor>(StringComparer.Ordinal)
        {
            ["codes"] = new FuzzTensor(
                Numbers(draw, tokens * shape.Features, draw.OneOf(0.05, 1, 3)), tokens * shape.Patch, shape.Dimension),
        };
        foreach ((string name, IReadOnlyList<int> sizes) in shape.Weights)
        {
            double limit = sizes.Count == 2 ? Math.Sqrt(6.0 / (sizes[0] + sizes[1])) : 0.2;
            bool isZero = isNew && name.StartsWith("recover", StringComparison.Ordinal);
            inputs[name] = new FuzzTensor(
                Numbers(draw, sizes.Aggregate(1, (product, n) => product * n), isZero ? 0 : limit), [.. sizes]);
        }

        if (draw.Once(2))
        {
            draw.Cover("backward");
            inputs["grad"] = new FuzzTensor(
                Numbers(draw, tokens * shape.Features, 1), tokens * shape.Patch, shape.Dimension);
        }

        return new FuzzCase(
            inputs,
            With(("heads", (long)heads), ("epsilon", shape.Epsilon), ("compressNorm", shape.CompressNorm)));
    }

    /// <summary>All weights are there and have the shapes that go together.</summary>
    public override bool Admits(FuzzCase given) => given.Number("epsilon") > 0 && Shape(given) is not null;

    /// <summary>Fewer blocks, tokens, codes of a patch, dimensions, heads, and less width.</summary>
    public override IEnumerable<FuzzCase> Simplify(FuzzCase given)
    {
        BridgeShape shape = Shape(given)!;
        int tokens = given.Length("codes") / shape.Patch;
        IEnumerable<BridgeShape> smaller =
        [
            shape with { Depth = 0 }, shape with { Depth = shape.Depth - 1 }, shape with { Patch = 1 },
            shape with { Dimension = 1 }, shape with { Dimension = shape.Dimension / 2 },
            shape.Depth == 0 ? shape : shape with { Ratio = 1 },
            shape with { Width = 1, Heads = 1 }, shape with { Width = 2, Heads = 1 },
            shape with { Width = shape.Heads },
            // Not where the default, 4, fits: one would be made of the other again and again.
            shape.Width % StandardHeads == 0 ? shape : shape with { Heads = 1 },
        ];
        foreach (int fewer in new[] { 1, tokens / 2, tokens - 1 }.Where(n => n > 0 && n < tokens))
        {
            yield return Cut(given, shape, fewer);
        }

        foreach (BridgeShape less in smaller.Where(
            s => s.Depth >= 0 && s.Dimension > 0 && s.Width <= shape.Width && s != shape))
        {
            yield return Cut(given, less, tokens);
        }

        foreach (FuzzCase without in VectorVerdicts.WithoutOne(given, "grad"))
        {
            yield return without;
        }
    }

    protected override void Judge(FuzzCase given, FuzzVerdict verdict)
    {
        BridgeShape shape = Shape(given)!;
        int[] sizes = [.. given.Inputs["codes"].Shape];
        bool hasGrad = given.Has("grad");
        (Bounded[] projected, IReadOnlyDictionary<string, Bounded[]> gradients) = BridgeReference.EvaluateBounded(
            shape, shape.Weights.ToDictionary(w => w.Name, w => given.Floats(w.Name), StringComparer.Ordinal),
            given.Floats("codes"), hasGrad ? given.Floats("grad") : null);
        verdict.Compare("projected", projected, sizes);
        if (hasGrad)
        {
            verdict.Compare("grad.codes", gradients["codes"], sizes);
            foreach ((string name, IReadOnlyList<int> of) in shape.Weights)
            {
                verdict.Compare($"grad.{name}", gradients[name], [.. of]);
            }
        }
    }

    private static Dictionary<string, IReadOnlyList<string?>> Symbols()
    {
        var symbols = new Dictionary<string, IReadOnlyList<string?>>(StringComparer.Ordinal) { ["codes"] = ["k", "d"] };
        Add("compress", "width", "features");
        for (int i = 0; i < MostDepth; i++)
        {
            Add($"blocks.{i}.attention.qkv", "3 width", "width");
            Add($"blocks.{i}.attention.project", "width", "width");
            Add($"blocks.{i}.mlp.expand", "hidden", "width");
            Add($"blocks.{i}.mlp.reduce", "width", "hidden");
        }

        Add("recover", "features", "width");
        symbols["grad"] = ["k", "d"];
        return symbols;

        void Add(string name, string outputs, string inputs)
        {
            symbols[name + ".weight"] = [outputs, inputs];
            symbols[name + ".bias"] = [outputs];
        }
    }

    /// <summary>The shape that the inputs have; null if they do not go together.</summary>
    private static BridgeShape? Shape(FuzzCase given)
    {
        int d = given.Length("codes", 1);
        int width = given.Length("compress.weight");
        int features = given.Length("compress.weight", 1);
        int depth = Enumerable.Range(0, MostDepth).Count(i => given.Has($"blocks.{i}.mlp.expand.weight"));
        bool hasFirst = given.Has("blocks.0.mlp.expand.weight");
        int hidden = hasFirst ? given.Length("blocks.0.mlp.expand.weight") : 2 * width;
        int heads = given.Whole("heads");
        if (d < 1 || width < 1 || features < 1 || heads < 1 || hidden < 1 || features % d != 0 || width % heads != 0
            || hidden % width != 0)
        {
            return null;
        }

        var shape = new BridgeShape
        {
            Dimension = d,
            Patch = features / d,
            Width = width,
            Heads = heads,
            Depth = depth,
            Ratio = hidden / width,
            Epsilon = given.Number("epsilon"),
            CompressNorm = given.Boolean("compressNorm"),
        };
        int k = given.Length("codes");
        int others = 1 + (given.Has("grad") ? 1 : 0);
        bool fits = k > 0 && k % shape.Patch == 0 && given.Inputs.Count == shape.Weights.Count + others
            && shape.Weights.All(w => given.Has(w.Name) && given.Inputs[w.Name].Shape.SequenceEqual(w.Shape));
        return fits ? shape : null;
    }

    /// <summary>The first numbers of all inputs that a smaller shape has room for.</summary>
    private static FuzzCase Cut(FuzzCase given, BridgeShape shape, int tokens)
    {
        var inputs = new Dictionary<string, FuzzTensor>(StringComparer.Ordinal);
        foreach ((string name, IReadOnlyList<int> sizes) in shape.Weights)
        {
            inputs[name] = Corner(given.Inputs[name], sizes);
        }

        foreach (string name in given.Inputs.Keys.Where(name => name is "codes" or "grad"))
        {
            inputs.Add(name, Corner(given.Inputs[name], [tokens * shape.Patch, shape.Dimension]));
        }

        return new FuzzCase(inputs, given.WithOption("heads", (long)shape.Heads).Options);
    }

    private static FuzzTensor Corner(FuzzTensor tensor, IReadOnlyList<int> sizes)
    {
        for (int i = 0; i < sizes.Count; i++)
        {
            tensor = tensor.Without(i, sizes[i], tensor.Shape[i] - sizes[i]);
        }

        return tensor;
    }

    private static float[] Numbers(FuzzDraw draw, int count, double limit)
    {
        float[] numbers = new float[count];
        for (int i = 0; i < count; i++)
        {
            numbers[i] = (float)(draw.LogUniform(1e-2, 1) * draw.OneOf(limit, -limit));
        }

        return numbers;
    }
}
