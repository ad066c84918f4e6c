using ILGPU;
using ILGPU.Runtime;
using Kernels.Quantization;
using Kernels.Tools.Benchmarks;

namespace Kernels.Tools.Operations;

/// <summary>The learned mapping of weights to codes, and the gradient to its logits.</summary>
internal sealed class ProximalOperation : Operation
{
    internal override string Name => "codebook/proximal";

    internal override string Summary => "The code with the largest logit of each weight, and a gradient to the logits.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
    [
        new TensorSpec("logits", ElementType.Float32, ["m", "k"], "The logits; k is 2 to 256."),
        new TensorSpec("codebook", ElementType.Float32, ["k"], "The codes, ascending."),
        new TensorSpec("grad", ElementType.Float32, ["m"], "The gradient to the values."),
    ];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
    [
        new TensorSpec("value", ElementType.Float32, ["m"], "The code of each weight."),
        new TensorSpec("index", ElementType.Int32, ["m"], "Which code it is: the first of the largest logits."),
        new TensorSpec("gradLogits", ElementType.Float32, ["m", "k"], "The gradient to the logits."),
    ];

    internal override IReadOnlyList<OptionSpec> Options { get; } =
    [
        OptionSpec.Number("temperature", 1, "t of softmax(logits / t), above 0."),
        OptionSpec.Choice(
            "rule", "proximal",
            "default grad p_i (c_i - sum p c) / t, proximal grad p_i sgn(c_i - c_j) phi(|c_i - c_j|) / t, j the code in use.",
            "default", "proximal"),
        OptionSpec.Choice(
            "decay", "ratio",
            "phi(d), u the mean gap of the codebook: ratio u^2 / (d + u), exponential u exp(-d / u), adjacent u for the next "
            + "codes and 0 for others.",
            "ratio", "exponential", "adjacent"),
    ];

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        (int m, int k) = (context.Length("m"), context.Length("k"));
        if (k is < 2 or > 256)
        {
            throw new BadInputException($"There must be 2 to 256 codes, and there are {k}.");
        }

        float[] book = context.Floats("codebook");
        for (int i = 0; i < k; i++)
        {
            if (!float.IsFinite(book[i]) || (i > 0 && book[i] < book[i - 1]))
            {
                throw new BadInputException($"The codebook must be finite and ascend, and has {book[i]} at {i}.");
            }
        }

        var layout = new CodebookLayout(Math.Max(m, 1), 1, new CodeFormat(k));
        using var mapping = new Mapping(session.Accelerator, layout, new MappingOptions
        {
            Rule = Enum.Parse<MappingRule>(context.Options.Choice("rule"), ignoreCase: true),
            Decay = Enum.Parse<MappingDecay>(context.Options.Choice("decay"), ignoreCase: true),
        });
        // With no weights there is one, of zeros: options are checked all the same.
        using var logits = new DeviceTensor(context, m > 0 ? context.Floats("logits") : new float[k]);
        using var codebook = new DeviceTensor(context, book);
        using var grad = new DeviceTensor(context, m > 0 ? context.Floats("grad") : new float[1]);
        using var value = new DeviceTensor(context, layout.WeightCount);
        using var gradLogits = new DeviceTensor(context, (long)layout.WeightCount * k);
        using MemoryBuffer1D<byte, Stride1D.Dense> index = session.Accelerator.Allocate1D<byte>(layout.WeightCount);
        double temperature = context.Options.Number("temperature");
        double numbers = (double)m * k;
        context.Launch(
            new Cost(sizeof(float) * (numbers + m + k), (sizeof(float) * (numbers + m)) + m, 6 * numbers),
            () => mapping.Backward(
                session.Stream, logits.Floats, codebook.Floats, default, grad.Floats, gradLogits.Floats, value.Floats,
                index.View, temperature));
        var codes = new byte[layout.WeightCount];
        index.View.BaseView.CopyToCPU(session.Stream, codes);
        session.Synchronize();
        context.Output("value", value.ToArray()[..m]);
        context.Output("index", Array.ConvertAll(codes[..m], code => (int)code));
        context.Output("gradLogits", gradLogits.ToArray()[..(m * k)]);
    }
}
