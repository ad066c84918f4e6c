using Kernels.Quantization;

namespace Kernels.Tests.Validation;

/// <summary>Bad calls of what fits codebooks; more of them are in BadQuantizationTests.</summary>
public sealed partial class BadCallTests
{
    private static IEnumerable<BadCall> Fits()
    {
        yield return Bad<ArgumentNullException>("CodebookLayout..ctor", "null", "format", _ => new CodebookLayout(1, 1, null!));
        yield return Bad<ArgumentException>("WeightScope.Groups", "no group", "boundaries", _ => WeightScope.Groups([0]));
        yield return Bad<ArgumentOutOfRangeException>("Codebooks.Uniform", "one code", "codes", _ => Kernels.Quantization.Codebooks.Uniform(1));
        yield return Bad<ArgumentException>("Codebooks.Quantiles", "no number", "w", _ => Kernels.Quantization.Codebooks.Quantiles([], 2));
        yield return Bad<ArgumentException>("RowGrouping.Group", "part of a row", "w", _ => RowGrouping.Group([1, 2, 3], 2, 1));
        yield return Bad<ArgumentException>("RowGrouping.Inverse", "a number twice", "permutation", _ => RowGrouping.Inverse([0, 0]));
        yield return Bad<ArgumentException>("Permute..ctor", "a number too large", "permutation", f => new Permute(f.Accelerator, [0, 2]));
        yield return Bad<ArgumentException>("Permute.Rows", "in place", "y", f =>
        {
            using var permute = new Permute(f.Accelerator, [1, 0]);
            permute.Rows(f.Stream, f.P, 8, f.P);
        });
        yield return Bad<ArgumentException>("Assign.Run", "codes on the weights", "index", f =>
        {
            using var assign = new Assign(f.Accelerator, new CodebookLayout(2, 8, new CodeFormat(16)));
            assign.Run(f.Stream, f.P, f.X, default, f.P.As<float>().SubView(0, 4).Cast<byte>());
        });
        yield return Bad<ArgumentException>("AbsMax.Run", "scales on the weights", "scale", f =>
        {
            using var largest = new AbsMax(f.Accelerator, 4, 4, WeightScope.Rows);
            largest.Run(f.Stream, f.P, f.P.As<float>().SubView(0, 4));
        });
        yield return Bad<ArgumentException>("DoubleQuantization.Encode", "codes on the scales", "code", f =>
        {
            using var both = new DoubleQuantization(f.Accelerator, 16);
            both.Encode(f.Stream, f.X, f.X.SubView(0, 4).Cast<byte>(), f.M.SubView(0, 1), f.V.SubView(0, 1));
        });
        yield return Bad<ArgumentException>("CodebookFit.Run", "codebook on the weights", "codebook", f =>
        {
            using var fit = new CodebookFit(f.Accelerator, new CodebookLayout(2, 8, new CodeFormat(4)));
            fit.Run(f.Stream, f.P, default, f.P.As<float>().SubView(0, 4), f.X.SubView(0, 4).Cast<byte>());
        });
    }
}
