using Kernels.Optimizers;
using Kernels.Tools.Benchmarks;

namespace Kernels.Tools.Operations;

/// <summary>What a step of an optimizer must do at least.</summary>
internal static class StepCosts
{
    // Jordan's five steps, each of three products.
    private const int NewtonSchulzSteps = 5;

    /// <summary>Parameter, gradient and state once, and so many operations of an element.</summary>
    internal static Func<ElementwiseOptions, long, long[], Cost> Elementwise(int operations) => (options, n, _) =>
        Cost.Floats((2 + options.StateNames.Count) * n, (1 + options.StateNames.Count) * n, operations * n, inPlace: true);

    /// <summary>So many tensors read and written.</summary>
    internal static Func<OptimizerOptions, long, long[], Cost> Tensors(int read, int written, int operations) => (_, n, _) =>
        Cost.Floats(read * n, written * n, operations * n, inPlace: true);

    /// <summary>A matrix keeps moments of its rows and columns, which are little.</summary>
    internal static Cost Adafactor(OptimizerOptions options, long n, long[] shape) => shape.Length > 1
        ? Cost.Floats(2 * n, n, 12 * n, inPlace: true)
        : Cost.Floats(3 * n, 2 * n, 12 * n, inPlace: true);

    /// <summary>There and back by transforms, with two moments of the chosen columns.</summary>
    internal static Cost DctAdamW(LowRankOptions options, double rows, double columns)
    {
        double state = 2 * options.Rank * Math.Max(rows, columns);
        return Cost.Floats(
            (2 * rows * columns) + state, (rows * columns) + state, 2 * Transforms(rows, columns) + (7 * state),
            inPlace: true);
    }

    /// <summary>There and back by transforms, with a momentum, and Newton and Schulz's steps on the chosen columns.</summary>
    internal static Cost Trion(LowRankOptions options, double rows, double columns) => Cost.Floats(
        3 * rows * columns, 2 * rows * columns,
        (2 * Transforms(rows, columns)) + NewtonSchulz(options.Rank, Math.Max(rows, columns)), inPlace: true);

    /// <summary>A momentum, and Newton and Schulz's steps on all of it.</summary>
    internal static Cost Muon(MatrixOptions options, double rows, double columns) => Cost.Floats(
        3 * rows * columns, 2 * rows * columns, NewtonSchulz(Math.Min(rows, columns), Math.Max(rows, columns)), inPlace: true);

    private static double Transforms(double rows, double columns) =>
        TransformOperation.Transforms(rows * columns, (int)Math.Min(rows, columns));

    private static double NewtonSchulz(double least, double most) =>
        NewtonSchulzSteps * ((4 * least * least * most) + (2 * least * least * least));
}
