using Kernels.Linear;
using Kernels.Tools.Benchmarks;

namespace Kernels.Tools.Operations;

/// <summary>An activation, and the gradient through it.</summary>
internal sealed class ActivationOperation : Operation
{
    internal override string Name => "linear/activation";

    internal override string Summary => "y = act(x), and dx = act'(x) dy where dy is given.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
    [
        new TensorSpec("x", ElementType.Float32, ["n"], "The arguments."),
        new TensorSpec("dy", ElementType.Float32, ["n"], "The gradients of the values.", IsOptional: true),
    ];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
    [
        new TensorSpec("y", ElementType.Float32, ["n"], "The values."),
        new TensorSpec("dx", ElementType.Float32, ["n"], "The gradients of the arguments.", IsOptional: true),
    ];

    internal override IReadOnlyList<OptionSpec> Options { get; } = [Choice("relu")];

    /// <summary>The option that chooses an activation.</summary>
    internal static OptionSpec Choice(string standard) => OptionSpec.Choice(
        "activation", standard, "What is applied to every element; gelu in its tanh form.",
        [.. Enum.GetNames<Activation>().Select(n => char.ToLowerInvariant(n[0]) + n[1..])]);

    /// <summary>The activation that a case chooses.</summary>
    internal static Activation Chosen(OperationContext context) =>
        Enum.Parse<Activation>(context.Options.Choice("activation"), ignoreCase: true);

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        Activation activation = Chosen(context);
        var activations = new Activations(session.Accelerator);
        using var x = new DeviceTensor(context, context.Floats("x"));
        using var to = new DeviceTensor(context, context.Length("n"));
        long n = context.Length("n");
        context.Launch(Cost.Floats(n, n, n), () => activations.Forward(session.Stream, x.View, to.View, activation));
        context.Output("y", to.ToArray());
        if (context.Has("dy"))
        {
            using var dy = new DeviceTensor(context, context.Floats("dy"));
            context.Launch(
                Cost.Floats(2 * n, n, 2 * n),
                () => activations.Backward(session.Stream, x.View, dy.View, to.View, activation), "backward");
            context.Output("dx", to.ToArray());
        }
    }
}
