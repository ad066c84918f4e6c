using Kernels.References;
using Kernels.References.Optimizers;

namespace Kernels.Tests.References;

public class BatchTestReferenceTests
{
    private const int Batch = 6;
    private const int Dimension = 5;

    public static TheoryData<BatchTestKind> EveryKind => new(Enum.GetValues<BatchTestKind>());

    [Fact]
    public void The_norm_test_splits_into_inner_product_and_orthogonality()
    {
        for (int seed = 0; seed < 50; seed++)
        {
            double[] g = Gradients(seed);

            double norm = Statistic(BatchTestKind.Norm, g);
            double along = Statistic(BatchTestKind.InnerProduct, g);
            double across = Statistic(BatchTestKind.Orthogonality, g);

            Assert.Equal(norm, along + across, 1e-9 * norm);
            Assert.Equal(Math.Max(along, across), Statistic(BatchTestKind.Augmented, g));
        }
    }

    [Fact]
    public void Two_samples_by_hand()
    {
        // Mean (2, 0); variances 2 and 2; along the mean 2; across it 2.
        double[] g = [1, 1, 3, -1];

        Assert.Equal(4, BatchTestReference.Statistic(BatchTestKind.Norm, g, 2, 0.5).Value, 1e-12);
        Assert.Equal(2, BatchTestReference.Statistic(BatchTestKind.InnerProduct, g, 2, 0.5).Value, 1e-12);
        Assert.Equal(2, BatchTestReference.Statistic(BatchTestKind.Orthogonality, g, 2, 0.5).Value, 1e-12);
        Assert.Equal(8, BatchTestReference.Statistic(BatchTestKind.Augmented, g, 2, 0.5, 0.25).Value, 1e-12);
        Assert.Equal(
            double.PositiveInfinity,
            BatchTestReference.Statistic(BatchTestKind.Coordinate, g, 2, 0.5).Value);
        Assert.Equal(
            2,
            BatchTestReference.Statistic(BatchTestKind.Coordinate, [1, 0, 3, 0], 2, 0.5).Value,
            1e-12);
    }

    [Theory]
    [MemberData(nameof(EveryKind))]
    public void Scale_and_order_of_the_samples_do_not_matter(BatchTestKind kind)
    {
        double[] g = Gradients(1);
        double expected = Statistic(kind, g);
        double[] reversed = [.. g.Chunk(Dimension).Reverse().SelectMany(x => x)];

        Assert.Equal(expected, Statistic(kind, [.. g.Select(x => -3 * x)]), 1e-9 * expected);
        Assert.Equal(expected, Statistic(kind, reversed), 1e-9 * expected);
    }

    [Theory]
    [MemberData(nameof(EveryKind))]
    public void Repeated_samples_change_only_the_divisor(BatchTestKind kind)
    {
        double[] g = Gradients(2);
        double expected = Statistic(kind, g) * 3 * (Batch - 1) / ((3 * Batch) - 1);

        double actual = BatchTestReference.Statistic(kind, [.. g, .. g, .. g], 3 * Batch).Value;

        Assert.Equal(expected, actual, 1e-9 * expected);
    }

    [Theory]
    [MemberData(nameof(EveryKind))]
    public void A_larger_threshold_asks_for_less(BatchTestKind kind)
    {
        double[] g = Gradients(3);

        Assert.True(
            BatchTestReference.Statistic(kind, g, Batch, 0.2, 0.2).Value < Statistic(kind, g));
    }

    [Theory]
    [MemberData(nameof(EveryKind))]
    public void Equal_samples_ask_for_nothing(BatchTestKind kind)
    {
        double[] g = [1, 2, 4, 1, 2, 4];

        Assert.Equal(0, BatchTestReference.Statistic(kind, g, 2).Value);
        Assert.Equal(0, BatchTestReference.Statistic(kind, new double[6], 2).Value);
        Assert.Equal(0, BatchTestReference.Statistic(kind, g, 1).Value);
    }

    [Theory]
    [MemberData(nameof(EveryKind))]
    public void A_zero_mean_asks_for_the_largest_batch_if_the_samples_differ(BatchTestKind kind)
    {
        double statistic = BatchTestReference.Statistic(kind, [1, 2, -1, -2], 2).Value;

        Assert.Equal(double.PositiveInfinity, statistic);
        Assert.Equal(64, BatchTestReference.NextBatch(statistic, 2, 64));
    }

    [Theory]
    [InlineData(0, 8, 64, 8)]
    [InlineData(8.1, 8, 64, 9)]
    [InlineData(8, 8, 64, 8)]
    [InlineData(1e300, 8, 64, 64)]
    [InlineData(3, 128, 64, 64)]
    public void The_next_batch_does_not_shrink_below_this_one_nor_exceed_the_largest(
        double statistic, int batch, int largest, int expected) =>
        Assert.Equal(expected, BatchTestReference.NextBatch(statistic, batch, largest));

    [Theory]
    [MemberData(nameof(EveryKind))]
    public void The_bound_is_small_for_benign_gradients(BatchTestKind kind)
    {
        Kernels.References.Bounded statistic = BatchTestReference.Statistic(kind, Gradients(4, offset: 3), Batch);

        Assert.InRange(statistic.Bound, 0, 1e-3 * statistic.Value);
    }

    [Theory]
    [MemberData(nameof(EveryKind))]
    public void Zeros_ask_for_exactly_nothing_and_thresholds_are_a_tenth_by_default(BatchTestKind kind)
    {
        Assert.Equal(new Bounded(0, 0), BatchTestReference.Statistic(kind, new double[6], 3));
        Assert.True(double.IsPositiveInfinity(BatchTestReference.Statistic(kind, [1, -1], 2).Bound));
        for (int seed = 0; seed < 20; seed++)
        {
            double[] g = Gradients(seed);
            Assert.Equal(
                BatchTestReference.Statistic(kind, g, Batch, 0.1, 0.1), BatchTestReference.Statistic(kind, g, Batch));
        }
    }

    [Fact]
    public void Wrong_arguments_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(
            "batch", () => BatchTestReference.Statistic(BatchTestKind.Norm, [], 0));
        Assert.Throws<ArgumentOutOfRangeException>("batch", () => BatchTestReference.NextBatch(1, 0, 1));
        Assert.Throws<ArgumentOutOfRangeException>("maxBatch", () => BatchTestReference.NextBatch(1, 1, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => BatchTestReference.NextBatch(double.NaN, 1, 1));
        Assert.Throws<ArgumentOutOfRangeException>(
            () => BatchTestReference.Statistic(BatchTestKind.Norm, [1], 1, threshold: 0));
        Assert.Throws<ArgumentException>(() => BatchTestReference.Statistic(BatchTestKind.Norm, [1, 2, 3], 2));
    }

    private static double Statistic(BatchTestKind kind, double[] gradients) =>
        BatchTestReference.Statistic(kind, gradients, gradients.Length / Dimension).Value;

    private static double[] Gradients(int seed, double offset = 0.5)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, Batch * Dimension).Select(_ => random.NextDouble() + offset)];
    }
}
