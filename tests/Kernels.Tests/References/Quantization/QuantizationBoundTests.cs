using Kernels.References;
using Kernels.References.Quantization;

namespace Kernels.Tests.References.Quantization;

/// <summary>The bounds of the oracles of quantization, in cases where each of their terms can be told.</summary>
public sealed class QuantizationBoundTests
{
    private const double Half = float.MaxValue / 2;

    // What binary64 may have lost, per rounding.
    private const double Wide = 1.2e-16;

    [Fact]
    public void Gradients_of_codes_have_a_rounding_more_where_scales_may_be_taken_out()
    {
        var scaled = new CodebookShape(1, 4, 3, 1, null, QuantizationScope.Tensor(4));
        var plain = new CodebookShape(1, 4, 3);
        int[] index = [0, 0, 0, 1];
        // Sizes at which a product may underflow, and sizes at which it may not.
        foreach (float size in new[] { 1, 3e-30f })
        {
            float[] g = [3 * size, 5 * size, -9 * size, 7 * size];
            float scale = 1.1f * size;
            Bounded[] products = Array.ConvertAll(g, v => (Bounded)scale * v);
            Bounded[] codes = CodebookGradientReference.Codes(scaled, index, g, [scale]);
            Bounded sum = Bounded.Sum(products.AsSpan(0, 3), depth: 3);
            Assert.Equal([sum with { Bound = sum.Bound + Bounded.LeastSubnormal }, Bounded.Sum([products[3]]), 0], codes);

            // One weight of the scale, and three.
            Assert.Equal(
                [Bounded.Sum([products[3]])],
                CodebookGradientReference.Scales(
                    new CodebookShape(1, 1, 1, 1, null, QuantizationScope.Tensor(1)), [0], [g[3]], [scale]));
            Bounded[] scales = CodebookGradientReference.Scales(
                new CodebookShape(1, 3, 1, 1, null, QuantizationScope.Tensor(3)), [0, 0, 0], g.AsSpan(0, 3), [scale]);
            Assert.Equal([codes[0]], scales);

            codes = CodebookGradientReference.Codes(plain, index, g, []);
            Assert.Equal([Bounded.Sum([g[0], g[1], g[2]], depth: 2), Bounded.Sum([g[3]]), 0], codes);
        }
    }

    [Theory]
    [InlineData(3, 2, 5)] // the form with X^T X is the longer one
    [InlineData(9, 2, 1)] // the residuals are
    [InlineData(9, 4, 3)]
    public void The_bounds_of_a_reconstruction_count_its_roundings(int n, int rows, int columns)
    {
        float[] x = [.. Enumerable.Repeat(3f, n * columns)];
        float[] w = [.. Enumerable.Repeat(-2f, rows * columns)];
        float[] q = [.. Enumerable.Repeat(1f, rows * columns)];
        (Bounded value, Bounded[] gradient) = ReconstructionReference.Evaluate(x, w, q, columns);

        double a = columns * 3 * (2 + 1);
        int roundings = Math.Max((2 * columns) + (n * rows), n + columns + (rows * columns)) + 6;
        Assert.Equal(n * rows * a * a, value.Value);
        AssertNear((Bounded.Gamma(roundings) + (roundings * Wide)) * n * rows * a * a, value.Bound);
        roundings = n + columns + 4;
        double size = n * 2 * a * 3;
        Assert.All(gradient, v => Assert.Equal(size, v.Value));
        Assert.All(gradient, v => AssertNear((Bounded.Gamma(roundings) + (roundings * Wide)) * size, v.Bound));
    }

    [Theory]
    [InlineData(0, 4, 7)]
    [InlineData(9, 0, 0)]
    [InlineData(float.NaN, 4, 7)]
    public void What_underflows_in_a_reconstruction_is_nothing_beside_its_largest_numbers(float x, float w, float q)
    {
        const int N = 3;
        const int Rows = 2;
        const int Columns = 5;
        float[] xs = [.. Enumerable.Repeat(x, N * Columns)];
        float[] ws = [.. Enumerable.Repeat(w, Rows * Columns)];
        float[] qs = [.. Enumerable.Repeat(-q, Rows * Columns)];
        (Bounded value, Bounded[] gradient) = ReconstructionReference.Evaluate(xs, ws, qs, Columns);

        double largest = 1 + (float.IsNaN(x) ? 0 : x) + w + q;
        double underflow = 2 * largest * largest * Bounded.LeastSubnormal;
        if (float.IsNaN(x))
        {
            Assert.True(gradient[0].Admits(float.NaN) && value.Admits(float.NaN) && !value.Admits(0));
            return;
        }

        Assert.All(gradient, v => Assert.Equal(2 * N * Columns * underflow, v.Bound));
        Assert.Equal(2.0 * N * Rows * Columns * largest * underflow, value.Bound);
    }

    [Fact]
    public void What_is_not_finite_is_not_the_largest_number_of_a_reconstruction()
    {
        Bounded[] gradient = ReconstructionReference.Evaluate([3], [0, float.NaN], [0, 0], 1).GradQ;
        Assert.Equal(new Bounded(0, 2 * 2 * (1 + 3) * (1 + 3) * Bounded.LeastSubnormal), gradient[0]);
        Assert.True(gradient[1].Admits(float.NaN));
    }

    [Fact]
    public void A_reconstruction_is_in_the_domain_up_to_half_the_largest_number()
    {
        Assert.True(Gradient((float)(Half / 2)).IsInDomain);
        Assert.False(Gradient(MathF.BitIncrement((float)(Half / 2))).IsInDomain);

        // 2 |1 w| |1|.
        static Bounded Gradient(float w) => ReconstructionReference.Evaluate([1], [w], [0], 1).GradQ[0];
    }

    [Fact]
    public void The_bound_of_a_quantized_product_counts_its_terms()
    {
        // Two products with a scale, bias and C0, each of which may be 0.
        const double Size = (3 * 2) + (5 * 2);
        foreach ((float bias, float c0) in new[] { (0f, 0f), (7, 0), (0, 9), (-7, -9) })
        {
            int terms = 2 + (bias == 0 ? 0 : 1) + (c0 == 0 ? 0 : 1);
            double size = (4 * Size) + Math.Abs(bias) + Math.Abs(c0);
            Bounded y = Product([3, -5], 2, 4, bias, c0);
            Assert.Equal((4 * (6 - 10)) + bias + c0, y.Value);
            AssertNear((Bounded.Gamma(terms + 1) * size) + ((terms + 3) * size * Wide), y.Bound);
            y = Product([3, -5], 2, null, bias, c0);
            size -= 3 * Size;
            AssertNear((Bounded.Gamma(terms) * size) + ((terms + 3) * size * Wide), y.Bound);
        }

        // One term alone has its own bound if it is 1 or -1 times a weight, or bias or C0.
        Assert.Equal((Bounded)1.1f * 0.7f, Product([1, 0], 0.7f, 1.1f, 0, 0));
        Assert.Equal((Bounded)1.1f * -0.7f, Product([0, -1], 0.7f, 1.1f, 0, 0));
        Assert.Equal(new Bounded(0.7f, 0), Product([0, 0], 0.7f, 1.1f, 0.7f, 0));
        Assert.Equal(new Bounded(0.7f, 0), Product([0, 0], 0.7f, 1.1f, 0, 0.7f));
        AssertNear(((Bounded.Gamma(2) + (4 * Wide)) * 6) + (4 * 3 * Bounded.LeastSubnormal), Product([3, 0], 1, 2, 0, 0).Bound);
        // No term at all is 0.
        Assert.Equal(new Bounded(0, 0), Product([0, 0], 0.7f, 1.1f, 0, 0));
        // A product with each sign of what may underflow: (1 + |x|) (1 + |s|) for each.
        Assert.Equal((1 + 3 + 1 + 5) * (1 + 2) * Bounded.LeastSubnormal, Product([3, -5], 0, -2, 0, 0).Bound);
    }

    [Fact]
    public void A_quantized_product_is_in_the_domain_up_to_half_the_largest_number()
    {
        float half = (float)Half;
        float more = MathF.BitIncrement(half);
        // Sums of x times one more than the code.
        Assert.True(Product([half / 4, -half / 4], 1, 1, 0, 0).IsInDomain);
        Assert.False(Product([half / 4, -more / 4], 1, 1, 0, 0).IsInDomain);
        // A weight.
        Assert.True(Product([1e-30f, 1e-30f], half, 1, 0, 0).IsInDomain);
        Assert.False(Product([1e-30f, 1e-30f], more, 1, 0, 0).IsInDomain);
        Assert.False(Product([1e-30f, 1e-30f], half, 1.1f, 0, 0).IsInDomain);
        // The sum of sizes.
        Assert.True(Product([0, 0], 1, 1, half / 2, -half / 2).IsInDomain);
        Assert.False(Product([0, 0], 1, 1, half / 2, -more / 2).IsInDomain);
        // A weight that overflows, by whatever it is multiplied.
        Assert.True(Product([0, 1], float.MaxValue, 1, 0, 0).IsInDomain);
        Assert.False(Product([0, 1], float.MaxValue, 1.1f, 0, 0).IsInDomain);
        Assert.False(Product([0, 1], float.PositiveInfinity, 1, 0, 0).IsInDomain);
        Assert.False(Product([0, 1], 0, float.PositiveInfinity, 0, 0).IsInDomain);
    }

    private static Bounded Product(float[] x, float code, float? scale, float bias, float c0)
    {
        var shape = new CodebookShape(
            1, x.Length, 1, 1, null, scale is null ? null : QuantizationScope.Tensor(x.Length));
        return QuantizedProductReference.Multiply(
            shape, x, new int[x.Length], [code], scale is { } s ? [s] : [], [bias], [c0])[0];
    }

    private static void AssertNear(double expected, double actual) =>
        Assert.InRange(actual, expected * (1 - 1e-12), expected * (1 + 1e-12));
}
