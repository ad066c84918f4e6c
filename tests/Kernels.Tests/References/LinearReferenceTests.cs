using Kernels.References;
using Kernels.References.Linear;

namespace Kernels.Tests.References;

/// <summary>Products, sums of columns and predictions, in cases that are exact, and with their bounds.</summary>
public class LinearReferenceTests
{
    private const float Half = float.MaxValue / 2;

    // What binary64 may have lost, per rounding.
    private const double Wide = 1.2e-16;

    private static readonly float[] s_a = [1, 2, 3, 4, 5, 6]; // [2, 3]
    private static readonly float[] s_turnedA = [1, 4, 2, 5, 3, 6];
    private static readonly float[] s_b = [1, -1, 2, 0, 0, 3, 1, 1, 2, -2, 1, 5]; // [3, 4]
    private static readonly float[] s_turnedB = [1, 0, 2, -1, 3, -2, 2, 1, 1, 0, 1, 5];

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void A_product_is_that_of_rows_and_columns(bool transposeA, bool transposeB)
    {
        double[] plain = [7, -1, 7, 17, 16, -1, 19, 35];
        float[] bias = [10, 20, 30, 40];
        float[] c0 = [100, 200, 300, 400, 500, 600, 700, 800];
        Assert.Equal(plain, Multiply([], []));
        Assert.Equal(plain.Select((v, i) => v + bias[i % 4]), Multiply(bias, []));
        Assert.Equal(plain.Select((v, i) => v + c0[i]), Multiply([], c0));
        Assert.Equal(plain.Select((v, i) => v + c0[i] + bias[i % 4]), Multiply(bias, c0));

        IEnumerable<double> Multiply(float[] bias, float[] c0) => MatMulReference.Multiply(
            transposeA ? s_turnedA : s_a, transposeA, transposeB ? s_turnedB : s_b, transposeB, 2, 4, 3, bias, c0)
            .Select(v => v.Value);
    }

    [Fact]
    public void The_bound_of_a_product_counts_terms_bias_start_and_what_underflows()
    {
        Bounded y = MatMulReference.Multiply([1, -2, 3], false, [4, 5, 6], false, 1, 1, 3, [-7], [8])[0];
        AssertNear((Bounded.Gamma(5) + (5 * Wide)) * (4 + 10 + 18 + 7 + 8), y.Bound);
        y = MatMulReference.Multiply([1, -2, 3], false, [4, 5, 6], false, 1, 1, 3, [], [])[0];
        AssertNear((Bounded.Gamma(5) + (5 * Wide)) * (4 + 10 + 18), y.Bound);
        y = MatMulReference.Multiply([0, 0, 0], false, [4, 5, 6], false, 1, 1, 3, [], [])[0];
        Assert.Equal(new Bounded(0, 4 * Bounded.LeastSubnormal), y);
    }

    [Fact]
    public void A_product_is_in_the_domain_up_to_half_the_largest_number_and_the_activation_comes_last()
    {
        float more = MathF.BitIncrement(Half);
        Assert.True(One(Half).IsInDomain);
        Assert.False(One(more).IsInDomain);
        Assert.True(One(-Half).IsInDomain);
        Assert.False(One(-more).IsInDomain);
        Bounded[] y = MatMulReference.Multiply([1], false, [3, -4], false, 1, 2, 1, [], [], v => v * v);
        Assert.Equal([9, 16], y.Select(v => v.Value));

        static Bounded One(float b) => MatMulReference.Multiply([1], false, [b], false, 1, 1, 1, [], [])[0];
    }

    [Fact]
    public void Lengths_of_a_product_are_checked()
    {
        Assert.Throws<ArgumentException>("a", () => Multiply(5, 12, 0, 0));
        Assert.Throws<ArgumentException>("a", () => Multiply(6, 11, 0, 0));
        Assert.Throws<ArgumentException>("a", () => Multiply(6, 12, 1, 0));
        Assert.Throws<ArgumentException>("a", () => Multiply(6, 12, 2, 0));
        Assert.Throws<ArgumentException>("a", () => Multiply(6, 12, 0, 1));
        Assert.Throws<ArgumentException>("a", () => Multiply(6, 12, 0, 4));

        static Bounded[] Multiply(int a, int b, int bias, int c0) => MatMulReference.Multiply(
            new float[a], false, new float[b], false, 2, 4, 3, new float[bias], new float[c0]);
    }

    [Fact]
    public void A_sum_of_columns_has_an_addition_for_each_row()
    {
        float[] x = [1, -2, 3, 4, 5, -6];
        Bounded[] sums = MatMulReference.ColumnSum(x, 2, 3, []);
        Assert.Equal([5, 3, -3], sums.Select(v => v.Value));
        AssertNear((Bounded.Gamma(3) + (3 * Wide)) * 7, sums[1].Bound);
        sums = MatMulReference.ColumnSum(x, 2, 3, [10, -20, 30]);
        Assert.Equal([15, -17, 27], sums.Select(v => v.Value));
        AssertNear((Bounded.Gamma(3) + (3 * Wide)) * 27, sums[1].Bound);
        Assert.True(MatMulReference.ColumnSum([Half], 1, 1, [])[0].IsInDomain);
        Assert.False(MatMulReference.ColumnSum([-MathF.BitIncrement(Half)], 1, 1, [])[0].IsInDomain);
        Assert.Throws<ArgumentException>("x", () => MatMulReference.ColumnSum(x, 2, 2, []));
        Assert.Throws<ArgumentException>("x", () => MatMulReference.ColumnSum(x, 2, 3, [1]));
        Assert.Throws<ArgumentException>("x", () => MatMulReference.ColumnSum(x, 2, 3, [1, 2]));
    }

    [Fact]
    public void A_prediction_is_the_first_of_the_largest_and_none_beside_a_nan()
    {
        Assert.Equal(2, PredictionReference.ArgMax([-3, -2, 5, 5, 1]));
        Assert.Equal(0, PredictionReference.ArgMax([-1, -2]));
        Assert.Equal(0, PredictionReference.ArgMax([float.NegativeInfinity]));
        Assert.Equal(1, PredictionReference.ArgMax([1, float.PositiveInfinity]));
        Assert.Equal(0, PredictionReference.ArgMax([0, -0f]));
        Assert.Equal(-1, PredictionReference.ArgMax([1, 2, float.NaN]));
        Assert.Equal(-1, PredictionReference.ArgMax([float.NaN, 2]));
        Assert.Equal(-1, PredictionReference.ArgMax([]));
    }

    /// <summary>Worked out once in binary64: another count of roundings is another number.</summary>
    [Fact]
    public void The_bounds_of_attention_are_those_of_their_derivation()
    {
        AssertBounds(
            [
                3.41940751279e-6, 2.22724086234e-6, 3.94559014869e-6, 2.84144624084e-6, 2.81174832971e-6,
                2.41719515741e-6, 4.38710525769e-6, 2.18646041771e-6, 2.73494997306e-6, 3.25831750755e-6,
                1.68777986551e-6, 3.72492599997e-6,
            ],
            AttentionReference.Forward(Sixtyfourths(36, 0, 2), 2, 2));
        AssertBounds(
            [0.00115399460015, 0.00115399460015], AttentionReference.Forward([20, 20, 3, -20, 20, 5], 1, 1));
        AssertBounds(
            [
                1.28575734609e-6, 1.18191043099e-6, 7.92799491382e-7, 1.27225174592e-6, 5.45090696741e-7,
                6.59287850207e-7, 1.94832282674e-7, 1.60588247962e-6, 2.14978866997e-6, 9.40653900732e-7,
                2.04365493894e-6, 6.64377622967e-7, 8.24581428539e-7, 7.43685996485e-7, 7.44251457686e-7,
                2.46273189449e-6, 2.61913685322e-6, 1.37288477439e-6, 7.3319824114e-7, 4.50232756367e-7,
                1.72311511583e-6, 1.3103513692e-6, 2.03490411295e-6, 1.72157702237e-6, 1.73737259486e-6,
                1.09584750655e-6, 9.19085146299e-7, 5.84703986041e-7, 6.21263546648e-7, 5.16200287128e-7,
                2.33223158535e-6, 1.3881862447e-6, 9.35064572036e-7, 1.32233351706e-6, 1.65260665281e-6,
                9.72312658274e-7,
            ],
            AttentionReference.Backward(Sixtyfourths(36, 0, 2), Sixtyfourths(12, 1, 1), Sixtyfourths(12, 2, 1), 2, 2));
        AssertBounds(
            [
                0.0519655301477, 0.0288790797362, 0.00100974527513, 0.0462074815283, 0.0692939319398, 0.00100974527513,
            ],
            AttentionReference.Backward([20, 20, 3, -20, 20, 5], [1, 2], [3, 4], 1, 1));

        static void AssertBounds(double[] expected, Bounded[] actual)
        {
            Assert.Equal(expected.Length, actual.Length);
            Assert.All(expected.Zip(actual), pair => Assert.InRange(
                pair.Second.Bound, pair.First * (1 - 1e-8), pair.First * (1 + 1e-8)));
        }

        static float[] Sixtyfourths(int n, int t, int scale) =>
            [.. Enumerable.Range(1, n).Select(i => scale * ((i * (37 + (10 * t)) % 101) - 50) / 64f)];
    }

    /// <summary>Both weights are 1/2, so the slopes of the logits are half of g (v - 4).</summary>
    [Theory]
    [InlineData(new float[] { 0, 2, 3, 0, -1, 5 }, new float[] { 1, 2 }, new[] { -1.5, 0, 1.5, -3, 0, 1.5 })]
    [InlineData(new float[] { 2, 0, 3, -1, 0, 5 }, new float[] { 1, 1 }, new[] { 0, -0.5, 1, 0, 0.5, 1 })]
    public void Gradients_of_attention_are_exact_where_all_numbers_are(float[] qkv, float[] grad, double[] expected) =>
        Assert.Equal(expected, AttentionReference.Backward(qkv, [4, 4], grad, 1, 1).Select(x => x.Value + 0));

    /// <summary>Of a sum of 2, before and behind the quotient.</summary>
    [Fact]
    public void Exponentials_of_attention_may_be_flushed_to_0()
    {
        Bounded mixed = AttentionReference.Forward([10, 0, 0, 0, 0, 0, 0, -10, 1e30f], 1, 1)[0];
        Assert.InRange(mixed.Bound, 1.2e-8 * 1.5 * 0.999, 1.2e-8 * 1.5 * 1.001);
    }

    [Fact]
    public void Attention_is_in_the_domain_as_long_as_its_terms_and_their_count_are()
    {
        float value = 0.49f * float.MaxValue;
        Assert.All(AttentionReference.Forward([0, 0, value, 0, 0, value], 1, 1), v => Assert.True(v.IsInDomain));
        // What roundings may add counts.
        value = (float)(0.5 * (1 - 5e-7) * float.MaxValue);
        Assert.All(AttentionReference.Forward([0, 0, value, 0, 0, value], 1, 1), v => Assert.False(v.IsInDomain));
    }

    private static void AssertNear(double expected, double actual) =>
        Assert.InRange(actual, expected * (1 - 1e-12), expected * (1 + 1e-12));
}
