using Kernels.Linear;
using Kernels.Tools.Benchmarks;

namespace Kernels.Tools.Operations;

/// <summary>The class of the largest logit, and how many of them are the labels.</summary>
internal sealed class PredictionOperation : Operation
{
    internal override string Name => "linear/prediction";

    internal override string Summary => "The class of the largest logit of each row, and how many are the labels.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
    [
        new TensorSpec("logits", ElementType.Float32, ["rows", "classes"], "One row of logits for each sample."),
        new TensorSpec("labels", ElementType.Int32, ["rows"], "The class of each row.", IsOptional: true),
    ];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
    [
        new TensorSpec("predictions", ElementType.Int32, ["rows"], "The lowest class of the largest logit; -1 with a NaN."),
        new TensorSpec("count", ElementType.Int32, ["1"], "How many predictions are the labels.", IsOptional: true),
    ];

    internal override IReadOnlyList<OptionSpec> Options { get; } = [];

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        int rows = context.Length("rows");
        var predictions = new Predictions(session.Accelerator);
        using var logits = new DeviceTensor(context, context.Floats("logits"));
        using var found = new DeviceTensor(context, rows);
        int classes = context.Length("classes");
        context.Launch(
            Cost.Floats((double)rows * classes, rows, (double)rows * classes),
            () => predictions.Predict(session.Stream, logits.View, found.Integers, rows, classes));
        context.Output("predictions", found.ToIntegers());
        if (context.Has("labels"))
        {
            using var labels = new DeviceTensor(context, context.Integers("labels"));
            using var count = new DeviceTensor(context, 1);
            predictions.Count(session.Stream, found.Integers, labels.Integers, count.Integers);
            context.Output("count", count.ToIntegers());
        }
    }
}
