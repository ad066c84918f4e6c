using Kernels.Tools.Benchmarks;
using Kernels.VectorQuantization;

namespace Kernels.Tools.Operations;

/// <summary>A search for the nearest codes, and all that follows from it.</summary>
internal sealed class QuantizeOperation : Operation
{
    internal override string Name => "vq/quantize";

    internal override string Summary => "The nearest code of each row, output, losses, gradient to the rows, histogram.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
    [
        new TensorSpec("x", ElementType.Float32, ["n", "d"], "The rows."),
        new TensorSpec("codes", ElementType.Float32, ["k", "d"], "The codebook."),
        new TensorSpec("index", ElementType.Int32, ["n"], "The codes, instead of a search; -1: none.", IsOptional: true),
        new TensorSpec("grad", ElementType.Float32, ["n", "d"], "The gradient to the output; zeros.", IsOptional: true),
    ];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
    [
        new TensorSpec("output", ElementType.Float32, ["n", "d"], "The code of each row; 0 where there is none."),
        new TensorSpec("index", ElementType.Int32, ["n"], "Which code it is."),
        new TensorSpec("loss", ElementType.Float32, ["2"], "Codebook loss, and beta times that: commitment loss."),
        new TensorSpec("gradX", ElementType.Float32, ["n", "d"], "grad + (2 beta / (m d)) (x - output), m rows with a code."),
        new TensorSpec("counts", ElementType.Int32, ["k"], "How often each code occurs."),
    ];

    internal override IReadOnlyList<OptionSpec> Options { get; } =
    [
        OptionSpec.Number("beta", 0.25, "The weight of the commitment."),
    ];

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        (int n, int k, int d) = (context.Length("n"), context.Length("k"), context.Length("d"));
        if (k == 0 || d == 0)
        {
            throw new BadInputException($"There must be a code and a dimension, and there are {k} and {d}.");
        }

        using var x = new DeviceTensor(context, context.Floats("x"));
        using var codes = new DeviceTensor(context, context.Floats("codes"));
        using DeviceTensor index = context.Has("index")
            ? new DeviceTensor(context, context.Integers("index"))
            : new DeviceTensor(context, n);
        using DeviceTensor? grad = context.Has("grad") ? new DeviceTensor(context, context.Floats("grad")) : null;
        using var output = new DeviceTensor(context, (long)n * d);
        using var loss = new DeviceTensor(context, 2);
        using var gradX = new DeviceTensor(context, (long)n * d);
        using var counts = new DeviceTensor(context, k);
        if (!context.Has("index"))
        {
            using var nearest = new NearestCode(session.Accelerator, Math.Max(n, 1), k, d);
            nearest.Search(session.Stream, x.View, codes.View, index.Integers, n);
            session.Synchronize();
        }

        using var quantize = new Quantize(session.Accelerator, Math.Max(n, 1), k, d);
        double beta = context.Options.Number("beta");
        double numbers = (double)n * d;
        context.Launch(
            Cost.Floats(numbers + n + ((double)Math.Min(n, k) * d), (2 * numbers) + k, 5 * numbers),
            () => quantize.Apply(
                session.Stream, x.View, codes.View, index.Integers, n, output.View, loss.Floats, gradX.View,
                counts.Integers, grad?.View ?? default, beta));
        context.Output("output", output.ToArray());
        context.Output("index", index.ToIntegers());
        context.Output("loss", loss.ToArray());
        context.Output("gradX", gradX.ToArray());
        context.Output("counts", counts.ToIntegers());
    }
}
