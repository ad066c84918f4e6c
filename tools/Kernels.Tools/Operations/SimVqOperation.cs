using Kernels.Tools.Benchmarks;
using Kernels.VectorQuantization;

namespace Kernels.Tools.Operations;

/// <summary>SimVQ's linear map of the codebook, and its gradients.</summary>
internal sealed class SimVqOperation : Operation
{
    internal override string Name => "vq/simvq";

    internal override string Summary => "projected = codes weight^T + bias (SimVQ), and the gradients where grad is given.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
    [
        new TensorSpec("codes", ElementType.Float32, ["k", "d"], "The codes."),
        new TensorSpec("weight", ElementType.Float32, ["d", "d"], "The map."),
        new TensorSpec("bias", ElementType.Float32, ["d"], "Added to every code.", IsOptional: true),
        new TensorSpec("grad", ElementType.Float32, ["k", "d"], "The gradient to the result.", IsOptional: true),
    ];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
    [
        new TensorSpec("projected", ElementType.Float32, ["k", "d"], "The projected codes."),
        new TensorSpec("grad.codes", ElementType.Float32, ["k", "d"], "The gradient of the codes.", IsOptional: true),
        new TensorSpec("grad.weight", ElementType.Float32, ["d", "d"], "The gradient of the map.", IsOptional: true),
        new TensorSpec("grad.bias", ElementType.Float32, ["d"], "The gradient of the bias.", IsOptional: true),
    ];

    internal override IReadOnlyList<OptionSpec> Options { get; } = [];

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        (int k, int d) = (context.Length("k"), context.Length("d"));
        if (k == 0 || d == 0)
        {
            throw new BadInputException($"There must be a code and a dimension, and there are {k} and {d}.");
        }

        using var simVq = new SimVq(session.Accelerator, k, d);
        using var codes = new DeviceTensor(context, context.Floats("codes"));
        using var weight = new DeviceTensor(context, context.Floats("weight"));
        using DeviceTensor? bias = context.Has("bias") ? new DeviceTensor(context, context.Floats("bias")) : null;
        using var projected = new DeviceTensor(context, (long)k * d);
        (double book, double map) = ((double)k * d, (double)d * d);
        context.Launch(
            Cost.Floats(book + map, book, 2 * book * d),
            () => simVq.Forward(session.Stream, codes.View, weight.View, projected.View, bias?.View ?? default));
        context.Output("projected", projected.ToArray());
        if (context.Has("grad"))
        {
            using var grad = new DeviceTensor(context, context.Floats("grad"));
            using var gradCodes = new DeviceTensor(context, (long)k * d);
            using var gradWeight = new DeviceTensor(context, (long)d * d);
            using var gradBias = new DeviceTensor(context, d);
            context.Launch(
                Cost.Floats((2 * book) + map, book + map + d, 4 * book * d),
                () => simVq.Backward(
                    session.Stream, codes.View, weight.View, grad.View, gradWeight.View, gradBias.View, gradCodes.View),
                "backward");
            context.Output("grad.codes", gradCodes.ToArray());
            context.Output("grad.weight", gradWeight.ToArray());
            context.Output("grad.bias", gradBias.ToArray());
        }
    }
}
