using Kernels.Linear;
using Kernels.Tools.Benchmarks;

namespace Kernels.Tools.Operations;

/// <summary>Softmax with cross-entropy, and its gradient.</summary>
internal sealed class SoftmaxCrossEntropyOperation : Operation
{
    internal override string Name => "linear/softmaxcrossentropy";

    internal override string Summary => "Softmax with cross-entropy against class labels, and the gradient of its mean.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
    [
        new TensorSpec("logits", ElementType.Float32, ["rows", "classes"], "One row of logits for each sample."),
        new TensorSpec("labels", ElementType.Int32, ["rows"], "The class of each row, from 0 on."),
    ];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
    [
        new TensorSpec("losses", ElementType.Float32, ["rows"], "-log softmax(logits)[label], in nats."),
        new TensorSpec("mean", ElementType.Float32, ["1"], "The mean of the losses; NaN without rows."),
        new TensorSpec("gradient", ElementType.Float32, ["rows", "classes"], "(softmax - onehot) / rows."),
    ];

    internal override IReadOnlyList<OptionSpec> Options { get; } = [];

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        int rows = context.Length("rows");
        int classes = context.Length("classes");
        using var logits = new DeviceTensor(context, context.Floats("logits"));
        using var labels = new DeviceTensor(context, context.Integers("labels"));
        using var losses = new DeviceTensor(context, rows);
        using var mean = new DeviceTensor(context, 1);
        using var gradient = new DeviceTensor(context, (long)rows * classes);
        var entropy = new SoftmaxCrossEntropy(session.Accelerator);
        double numbers = (double)rows * classes;
        context.Launch(
            Cost.Floats(numbers, numbers, 4 * numbers),
            () => entropy.Evaluate(
                session.Stream, logits.View, labels.Integers, losses.View, mean.View, rows, classes, gradient.View));
        context.Output("losses", losses.ToArray());
        context.Output("mean", mean.ToArray());
        context.Output("gradient", gradient.ToArray());
    }
}
