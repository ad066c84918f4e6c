using Kernels.Dct;
using Kernels.Tools.Benchmarks;

namespace Kernels.Tools.Operations;

/// <summary>An orthonormal transform of rows or columns.</summary>
internal sealed class TransformOperation : Operation
{
    internal override string Name => "dct/transform";

    internal override string Summary => "Orthonormal DCT-I to DCT-IV and Walsh-Hadamard transforms of rows or columns.";

    internal override IReadOnlyList<TensorSpec> Inputs { get; } =
        [new TensorSpec("x", ElementType.Float32, ["rows", "n"], "The matrix.")];

    internal override IReadOnlyList<TensorSpec> Outputs { get; } =
        [new TensorSpec("y", ElementType.Float32, ["rows", "n"], "The transforms of its rows, or of its columns.")];

    internal override IReadOnlyList<OptionSpec> Options { get; } =
    [
        BasisOption.Spec("type", "Which transform; hadamard is in natural order, for powers of two."),
        OptionSpec.Integer("axis", 1, "Along which axis: 1 or -1 transforms rows, 0 columns."),
    ];

    /// <summary>Operations of transforms of lines of a matrix, as FFTW counts real ones.</summary>
    internal static double Transforms(double numbers, int length) => 2.5 * numbers * Math.Log2(Math.Max(length, 1));

    internal override void Run(OperationContext context)
    {
        Session session = context.Session;
        (int rows, int n) = (context.Length("rows"), context.Length("n"));
        long axis = context.Options.Integer("axis");
        if (axis is not (-1 or 0 or 1))
        {
            throw new BadInputException($"The option 'axis' must be -1, 0 or 1, and is {axis}.");
        }

        int length = axis == 0 ? rows : n;
        using var transform = new Transform(
            session.Accelerator, BasisOption.Chosen(context, "type", length), length);
        using var x = new DeviceTensor(context, context.Floats("x"));
        using var y = new DeviceTensor(context, (long)rows * n);
        double numbers = (double)rows * n;
        context.Launch(Cost.Floats(numbers, numbers, Transforms(numbers, length)), () =>
        {
            if (axis == 0)
            {
                transform.Columns(session.Stream, x.View, y.View, n);
            }
            else
            {
                transform.Rows(session.Stream, x.View, y.View, rows);
            }
        });

        context.Output("y", y.ToArray());
    }
}
