using Kernels.Optimizers;
using Kernels.Tools.Benchmarks;
using Kernels.VectorQuantization;

namespace Kernels.Tools.Operations;

/// <summary>VQBridge, forward, and backward where a gradient is given; its shape is that of the weights.</summary>
internal sealed class BridgeOperation : Operation
{
    private const int MaxDepth = 4;

    private static readonly TensorSpec[] s_weights =
    [
        .. Layer("compress", "width", "features", "Of a patch to a token.", isOptional: false),
        .. Enumerable.Range(0, MaxDepth).SelectMany(i => (TensorSpec[])
        [
            .. Layer($"blocks.{i}.attention.qkv", "3 width", "width", "Queries, keys, values.", isOptional: true),
            .. Layer($"blocks.{i}.attention.project", "width", "width", "Of all heads to the token.", isOptional: true),
            .. Layer($"blocks.{i}.mlp.expand", "hidden", "width", "Before GELU.", isOptional: true),
            .. Layer($"blocks.{i}.mlp.reduce", "width", "hidden", "After GELU.", isOptional: true),
        ]),
        .. Layer("recover", "features", "width", "Of a token to a patch.", isOptional: false),
    ];

    internal override string Name => "vq/bridge";

    internal override string Summary =>
        "VQBridge (FVQ): a transformer over patches of the codebook; the gradients where grad is given.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
    [
        new TensorSpec("codes", ElementType.Float32, ["k", "d"], "The codes."),
        .. s_weights,
        new TensorSpec(
            "grad", ElementType.Float32, ["k", "d"], "The gradient to the projected codes.", IsOptional: true),
    ];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
    [
        new TensorSpec("projected", ElementType.Float32, ["k", "d"], "The projected codes."),
        new TensorSpec("grad.codes", ElementType.Float32, ["k", "d"], "The gradient of the codes.", IsOptional: true),
        .. s_weights.Select(w => w with { Name = $"grad.{w.Name}", Meaning = "Its gradient.", IsOptional = true }),
    ];

    internal override IReadOnlyList<OptionSpec> Options { get; } =
    [
        OptionSpec.Integer("heads", 4, "Attention heads, a divisor of the width."),
        OptionSpec.Number("epsilon", 1e-6, "Added to the variance in layer normalisation."),
        OptionSpec.Boolean("compressNorm", false, "Tokens are normalised after compression too."),
    ];

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        (int k, int d) = (context.Length("k"), context.Length("d"));
        BridgeOptions options = Shape(context, d);
        if (k == 0 || k % options.Patch != 0)
        {
            throw new BadInputException(
                $"There must be patches of {options.Patch} codes, as compress.weight has it, and there are {k} codes.");
        }

        using var bridge = new Bridge(session.Accelerator, k, d, options);
        foreach (BridgeWeight weight in bridge.Weights)
        {
            if (!context.Has(weight.Name) || !context.ShapeOf(weight.Name).SequenceEqual(weight.Shape))
            {
                throw new BadInputException(
                    $"The input '{weight.Name}' must have the shape [{string.Join(", ", weight.Shape)}].");
            }

            TensorCopy.Upload(session.Stream, context.Floats(weight.Name), bridge.Parameter(weight.Name));
        }

        using var codes = new DeviceTensor(context, context.Floats("codes"));
        using var result = new DeviceTensor(context, (long)k * d);
        double numbers = bridge.Weights.Sum(weight => (double)weight.Length);
        double book = (double)k * d;
        double tokens = (double)k / options.Patch;
        double operations = 2 * tokens * (numbers + (2 * options.Depth * tokens * options.Width));
        context.Launch(
            Cost.Floats(book + numbers, book, operations),
            () => bridge.Forward(session.Stream, codes.View, result.View));
        context.Output("projected", result.ToArray());
        if (!context.Has("grad"))
        {
            return;
        }

        using var grad = new DeviceTensor(context, context.Floats("grad"));
        if (context.Meter is not null)
        {
            // Each way back is that of one way there.
            context.Launch(Cost.Floats((3 * book) + (2 * numbers), (2 * book) + numbers, 3 * operations), Both, "both ways");
            return;
        }

        bridge.Backward(session.Stream, codes.View, grad.View, result.View);
        context.Output("grad.codes", result.ToArray());
        foreach (BridgeWeight weight in bridge.Weights)
        {
            var values = new float[weight.Length];
            TensorCopy.Download(session.Stream, bridge.Gradient(weight.Name), values);
            context.Output($"grad.{weight.Name}", values, [.. weight.Shape]);
        }

        void Both()
        {
            bridge.Forward(session.Stream, codes.View, result.View);
            bridge.Backward(session.Stream, codes.View, grad.View, result.View);
        }
    }

    private static BridgeOptions Shape(OperationContext context, int d)
    {
        (int width, int features) = (context.Length("width"), context.Length("features"));
        if (d == 0 || width == 0 || features == 0 || features % d != 0)
        {
            throw new BadInputException(
                $"compress.weight must have {d} columns for every code of a patch, and has {features}.");
        }

        int depth = Enumerable.Range(0, MaxDepth).Count(i => context.Has($"blocks.{i}.mlp.expand.weight"));
        int hidden = depth > 0 ? context.Length("hidden") : 2 * width;
        if (hidden == 0 || hidden % width != 0)
        {
            throw new BadInputException($"The MLP must have a multiple of {width} hidden numbers, and has {hidden}.");
        }

        return new BridgeOptions
        {
            Patch = features / d,
            Width = width,
            Heads = (int)Math.Clamp(context.Options.Integer("heads"), 0, int.MaxValue),
            Depth = depth,
            MlpRatio = hidden / width,
            Epsilon = context.Options.Number("epsilon"),
            CompressNorm = context.Options.Boolean("compressNorm"),
        };
    }

    private static TensorSpec[] Layer(string name, string outputs, string inputs, string meaning, bool isOptional) =>
    [
        new TensorSpec($"{name}.weight", ElementType.Float32, [outputs, inputs], meaning, isOptional),
        new TensorSpec($"{name}.bias", ElementType.Float32, [outputs], "Added to it.", isOptional),
    ];
}
