using System.Collections.Concurrent;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Launching;
using Kernels.Optimizers;
using Kernels.References;
using Kernels.References.Optimizers;
using Kernels.Tests.Reductions;
using Kernels.Tests.Support;
using BatchTestKind = Kernels.Optimizers.BatchTestKind;
using ReferenceKind = Kernels.References.Optimizers.BatchTestKind;

namespace Kernels.Tests.Optimizers;

public sealed class BatchTestProperties
{
    private const int MaxSamples = 17;
    private static readonly ConcurrentDictionary<(Accelerator, DeviceFacts, int), BatchTest> s_loaded = new();

    [Theory]
    [InlineData(2, 1)]
    [InlineData(3, 2)]
    [InlineData(5, 33)]
    [InlineData(17, 65)]
    [InlineData(4, 1025)]
    [InlineData(3, 4200)]
    public void Matches_the_reference_in_every_walk(int samples, int columns)
    {
        float[] g = Samples(samples, columns, spread: 0.5);
        foreach (BatchTestKind kind in Enum.GetValues<BatchTestKind>())
        {
            var options = new BatchTestOptions { Kind = kind, Threshold = 0.3, Threshold2 = 0.7 };
            Bounded expected = BatchTestReference.Statistic(
                Reference(kind), Array.ConvertAll(g, x => (double)x), samples, 0.3, 0.7);
            Assert.True(expected.IsInDomain);
            float? bits = null;
            foreach ((Accelerator accelerator, DeviceFacts facts) in ReductionDevice.Walks(samples * columns < 5000))
            {
                float got = Statistic(accelerator, facts, g, samples, options);
                Assert.True(expected.Admits(got), $"{kind} {facts.Class}: {got:R}, expected {expected}");
                if (accelerator.AcceleratorType == AcceleratorType.CPU)
                {
                    bits ??= got;
                    Assert.Equal(bits, got);
                }
            }
        }
    }

    [Fact]
    public void Inner_product_and_orthogonality_add_up_to_the_norm_test()
    {
        float[] g = Samples(9, 40, spread: 1);
        float norm = Chosen(g, 9, new());
        float along = Chosen(g, 9, new() { Kind = BatchTestKind.InnerProduct });
        float across = Chosen(g, 9, new() { Kind = BatchTestKind.Orthogonality });
        // Exactly it is an identity; each of the three is within its own bound.
        double bound = new[] { BatchTestKind.Norm, BatchTestKind.InnerProduct, BatchTestKind.Orthogonality }.Sum(
            kind => BatchTestReference.Statistic(
                Reference(kind), Array.ConvertAll(g, x => (double)x), 9, new BatchTestOptions().Threshold).Bound);
        Assert.Equal(norm, (double)along + across, bound);
        Assert.Equal(Math.Max(along, across), Chosen(g, 9, new() { Kind = BatchTestKind.Augmented }));
    }

    [Fact]
    public void One_sample_a_zero_mean_and_equal_samples_are_defined()
    {
        foreach (BatchTestKind kind in Enum.GetValues<BatchTestKind>())
        {
            var options = new BatchTestOptions { Kind = kind };
            Assert.Equal(0, Chosen([1, 2, 3], 1, options));
            Assert.Equal(float.PositiveInfinity, Chosen([1, -2, -1, 2], 2, options));
            Assert.Equal(0, Chosen([0, 0, 0, 0], 2, options));
            Assert.Equal(0, Chosen([1, 2, 1, 2], 2, options));
            Assert.Equal(0, Chosen([], 2, options));
            Assert.True(float.IsNaN(Chosen([1, float.NaN, 3, 4], 2, options)));
        }
    }

    [Fact]
    public void A_coordinate_with_a_zero_mean_decides_only_if_its_samples_differ()
    {
        var options = new BatchTestOptions { Kind = BatchTestKind.Coordinate, Threshold = 1 };
        Assert.Equal(2f / 4, Chosen([1, 0, 3, 0], 2, options));
        Assert.Equal(float.PositiveInfinity, Chosen([1, 1, 3, -1], 2, options));
    }

    [Fact]
    public void Sixteen_bit_gradients_are_read_as_their_values()
    {
        Accelerator accelerator = ReductionDevice.Chosen;
        uint[] bits = Array.ConvertAll(Samples(4, 50, spread: 0.5), x => BitConverter.SingleToUInt32Bits(x) >> 16);
        float[] values = Array.ConvertAll(bits, x => BitConverter.UInt32BitsToSingle(x << 16));
        var options = new BatchTestOptions { Kind = BatchTestKind.Augmented };
        using var test = new BatchTest(accelerator, 4, 50);
        using var g = new GuardedTensor(accelerator, Storage.BF16, bits);
        using var result = new GuardedTensor(accelerator, [-1]);
        test.Run(accelerator.DefaultStream, g.View, 4, result.Floats, options);
        accelerator.Synchronize();
        Assert.Equal(Chosen(values, 4, options), result.Values()[0]);
        Assert.Equal(bits, g.Bits());
    }

    [Fact]
    public void The_next_batch_never_shrinks_and_is_that_of_the_reference()
    {
        foreach (double statistic in (double[])[0, 1, 7.2, 64, 1e9, double.PositiveInfinity])
        {
            Assert.Equal(BatchTestReference.NextBatch(statistic, 8, 100), BatchTest.NextBatch(statistic, 8, 100));
        }

        Assert.Equal(8, BatchTest.NextBatch(0, 8, 100));
        Assert.Equal(9, BatchTest.NextBatch(8.01, 8, 100));
        Assert.Equal(100, BatchTest.NextBatch(double.PositiveInfinity, 8, 100));
    }

    [Fact]
    public void Rejects_what_it_cannot_do_and_names_it()
    {
        Accelerator accelerator = ReductionDevice.Chosen;
        AcceleratorStream stream = accelerator.DefaultStream;
        Assert.Throws<ArgumentNullException>("accelerator", () => new BatchTest(null!, 1, 1));
        Assert.Throws<ArgumentOutOfRangeException>("maxSamples", () => new BatchTest(accelerator, 0, 1));
        Assert.Throws<ArgumentOutOfRangeException>("columns", () => new BatchTest(accelerator, 1, -1));
        Assert.Throws<ArgumentOutOfRangeException>("statistic", () => BatchTest.NextBatch(double.NaN, 1, 1));
        Assert.Throws<ArgumentOutOfRangeException>("statistic", () => BatchTest.NextBatch(-1, 1, 1));
        Assert.Throws<ArgumentOutOfRangeException>("batch", () => BatchTest.NextBatch(1, 0, 1));
        Assert.Throws<ArgumentOutOfRangeException>("maxBatch", () => BatchTest.NextBatch(1, 1, 0));
        using var test = new BatchTest(accelerator, 2, 3);
        using var all = accelerator.Allocate1D<float>(8);
        ArrayView<float> g = all.View.BaseView.SubView(0, 6);
        ArrayView<float> r = all.View.BaseView.SubView(6, 1);
        var options = new BatchTestOptions();
        Assert.Throws<ArgumentNullException>("stream", () => test.Run(null!, g, 2, r, options));
        Assert.Throws<ArgumentNullException>("options", () => test.Run(stream, g, 2, r, null!));
        Assert.Throws<ArgumentOutOfRangeException>("samples", () => test.Run(stream, g, 0, r, options));
        Assert.Throws<ArgumentOutOfRangeException>("samples", () => test.Run(stream, g, 3, r, options));
        Assert.Throws<ArgumentException>("gradients", () => test.Run(stream, g, 1, r, options));
        Assert.Throws<ArgumentException>("statistic", () => test.Run(stream, g, 2, g, options));
        Assert.Throws<ArgumentException>("statistic", () => test.Run(stream, g, 2, g.SubView(2, 1), options));
        foreach (BatchTestOptions bad in (BatchTestOptions[])
            [
                new() { Threshold = 0 }, new() { Threshold = double.NaN }, new() { Threshold2 = -1 },
                new() { Kind = (BatchTestKind)9 },
            ])
        {
            Assert.Throws<ArgumentOutOfRangeException>("options", () => test.Run(stream, g, 2, r, bad));
        }

        test.Dispose();
        Assert.Throws<ObjectDisposedException>(() => test.Run(stream, g, 2, r, options));
    }

    private static ReferenceKind Reference(BatchTestKind kind) => Enum.Parse<ReferenceKind>(kind.ToString());

    // A common direction and what each sample adds to it, as gradients have.
    private static float[] Samples(int samples, int columns, double spread)
    {
        float[] mean = Numbers.LogUniform(columns, seed: 1, 0.1, 10);
        float[] noise = Numbers.LogUniform(samples * columns, seed: 2, 0.1, 1);
        return [.. noise.Select((x, i) => mean[i % columns] + x * (float)spread)];
    }

    private static float Chosen(float[] g, int samples, BatchTestOptions options) =>
        Statistic(ReductionDevice.Chosen, DeviceFacts.Of(ReductionDevice.Chosen), g, samples, options);

    private static float Statistic(
        Accelerator accelerator, DeviceFacts facts, float[] g, int samples, BatchTestOptions options)
    {
        BatchTest test = s_loaded.GetOrAdd(
            (accelerator, facts, g.Length / samples),
            static key => new BatchTest(key.Item1, MaxSamples, key.Item3, key.Item2));
        using var gradients = new GuardedTensor(accelerator, g);
        using var result = new GuardedTensor(accelerator, [-1]);
        test.Run(accelerator.DefaultStream, gradients.Floats, samples, result.Floats, options);
        accelerator.Synchronize();
        Assert.Equal(g, gradients.Values());
        return result.Values()[0];
    }
}
