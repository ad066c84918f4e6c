using Kernels.Linear;
using Kernels.Tools.Benchmarks;

namespace Kernels.Tools.Operations;

/// <summary>Multi-head attention, and its gradient.</summary>
internal sealed class AttentionOperation : Operation
{
    internal override string Name => "linear/attention";

    internal override string Summary => "softmax(Q K^T / sqrt(size)) V by heads, and the gradient where grad is given.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
    [
        new TensorSpec(
            "qkv", ElementType.Float32, ["tokens", "3", "heads", "size"], "Queries, keys and values of each token."),
        new TensorSpec(
            "grad", ElementType.Float32, ["tokens", "heads", "size"], "The gradient to the result.", IsOptional: true),
    ];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
    [
        new TensorSpec("mixed", ElementType.Float32, ["tokens", "heads", "size"], "The result."),
        new TensorSpec(
            "grad.qkv", ElementType.Float32, ["tokens", "3", "heads", "size"], "The gradient of qkv.", IsOptional: true),
    ];

    internal override IReadOnlyList<OptionSpec> Options { get; } = [];

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        (int tokens, int heads, int size) = (context.Length("tokens"), context.Length("heads"), context.Length("size"));
        var attention = new Attention(session.Accelerator);
        using var qkv = new DeviceTensor(context, context.Floats("qkv"));
        using var mixed = new DeviceTensor(context, (long)tokens * heads * size);
        using var state = new DeviceTensor(context, Attention.StateLength(tokens, heads));
        double numbers = (double)tokens * heads * size;
        context.Launch(
            Cost.Floats(3 * numbers, numbers, 4 * numbers * tokens),
            () => attention.Forward(session.Stream, qkv.View, mixed.View, state.View, tokens, heads, size));
        context.Output("mixed", mixed.ToArray());
        if (context.Has("grad"))
        {
            using var grad = new DeviceTensor(context, context.Floats("grad"));
            using var gradQkv = new DeviceTensor(context, 3L * tokens * heads * size);
            using var scratch = new DeviceTensor(context, (long)tokens * heads);
            context.Launch(
                Cost.Floats(5 * numbers, 3 * numbers, 10 * numbers * tokens),
                () => attention.Backward(
                    session.Stream, qkv.View, mixed.View, state.View, grad.View, gradQkv.View, scratch.View, tokens, heads,
                    size),
                "backward");
            context.Output("grad.qkv", gradQkv.ToArray());
        }
    }
}
