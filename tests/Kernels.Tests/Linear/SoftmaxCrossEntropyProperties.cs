using ILGPU;
using ILGPU.Runtime;
using Kernels.Linear;
using Kernels.References;
using Kernels.References.Linear;
using Kernels.Tests.Support;

namespace Kernels.Tests.Linear;

public sealed class SoftmaxCrossEntropyProperties
{
    [Theory]
    [MemberData(nameof(LinearPlaces.Groups), MemberType = typeof(LinearPlaces))]
    public void Matches_the_reference_within_its_bound(LinearPlace place)
    {
        var random = new Random(1);
        Accelerator accelerator = LinearDevice.Accelerator(place);
        var softmax = new SoftmaxCrossEntropy(accelerator, launch: place != LinearPlace.Own);
        (int Rows, int Classes)[] sizes =
            [(0, 3), (1, 1), (3, 2), (5, 10), (4, 31), (3, 32), (2, 33), (3, 100), (2, 127), (3, 129), (2, 1031), (300, 7)];
        foreach ((int rows, int classes) in place == LinearPlace.Own ? sizes : sizes[..^1])
        {
            foreach (float spread in new[] { 0f, 1f, 30f })
            {
                float[] x = Array.ConvertAll(LinearDevice.Random(random, rows * classes), v => spread * v);
                int[] labels = [.. Enumerable.Range(0, rows).Select(_ => random.Next(classes))];
                Check(accelerator, softmax, x, labels, classes, $"{place} {rows} x {classes}, spread {spread}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(LinearPlaces.Groups), MemberType = typeof(LinearPlaces))]
    public void Special_values_stay_in_their_row(LinearPlace place)
    {
        const int Classes = 70;
        Accelerator accelerator = LinearDevice.Accelerator(place);
        var softmax = new SoftmaxCrossEntropy(accelerator, launch: place != LinearPlace.Own);
        float[] x = LinearDevice.Random(new Random(2), 9 * Classes);
        int[] labels = [3, 4, 5, 6, 7, 8, 9, 69, 0];
        x[(1 * Classes) + 66] = float.NaN;
        x[(2 * Classes) + 1] = float.PositiveInfinity;
        x[(3 * Classes) + 6] = float.NegativeInfinity; // the label: infinite loss
        x[(4 * Classes) + 6] = float.NegativeInfinity;
        Array.Fill(x, float.NegativeInfinity, 5 * Classes, Classes);
        Array.Fill(x, float.NaN, 6 * Classes, Classes);
        x[7 * Classes] = 1e30f;
        Result result = Check(accelerator, softmax, x, labels, Classes, $"{place}");
        Assert.Equal(
            [false, true, true, false, false, true, true, false, false], Array.ConvertAll(result.Losses, float.IsNaN));
        Assert.Equal(float.PositiveInfinity, result.Losses[3]);
        Assert.True(float.IsNaN(result.Mean));
    }

    /// <summary>Shifted by the logits of the next row nothing would be left of a row.</summary>
    [Theory]
    [MemberData(nameof(LinearPlaces.Groups), MemberType = typeof(LinearPlaces))]
    public void The_next_row_does_not_count(LinearPlace place)
    {
        Accelerator accelerator = LinearDevice.Accelerator(place);
        var softmax = new SoftmaxCrossEntropy(accelerator, launch: place != LinearPlace.Own);
        foreach (int classes in new[] { 1, 5, 32, 33, 70, 129 })
        {
            float[] x = LinearDevice.Random(new Random(5), 2 * classes);
            Array.Fill(x, 1e30f, classes, classes);
            Check(accelerator, softmax, x, [classes - 1, 0], classes, $"{place} {classes}");
        }
    }

    [Theory]
    [MemberData(nameof(LinearPlaces.Groups), MemberType = typeof(LinearPlaces))]
    public void Losses_may_overflow(LinearPlace place)
    {
        Accelerator accelerator = LinearDevice.Accelerator(place);
        var softmax = new SoftmaxCrossEntropy(accelerator, launch: place != LinearPlace.Own);
        const float Huge = 3e38f;
        // The difference; minus infinity; the sum of losses that are numbers themselves.
        Result result = Check(accelerator, softmax, [Huge, -Huge, 1, 2], [1, 0], 2, $"{place} difference");
        Assert.Equal([float.PositiveInfinity, float.PositiveInfinity], [result.Losses[0], result.Mean]);
        result = Check(accelerator, softmax, [1, float.NegativeInfinity], [1], 2, $"{place} label");
        Assert.Equal(float.PositiveInfinity, result.Losses[0]);
        result = Check(accelerator, softmax, [0, -Huge, 0, -Huge], [1, 1], 2, $"{place} sum");
        Assert.Equal([Huge, Huge], result.Losses);
        Assert.Equal(double.PositiveInfinity, SoftmaxCrossEntropyReference.Evaluate([0, -Huge, 0, -Huge], [1, 1], 2).Mean.Bound);
    }

    [Theory]
    [MemberData(nameof(LinearPlaces.Groups), MemberType = typeof(LinearPlaces))]
    public void A_label_out_of_range_is_rejected_or_makes_its_row_NaN(LinearPlace place)
    {
        Accelerator accelerator = LinearDevice.Accelerator(place);
        var softmax = new SoftmaxCrossEntropy(accelerator, launch: place != LinearPlace.Own);
        float[] x = LinearDevice.Random(new Random(3), 4 * 5);
        foreach (int label in new[] { -1, 5, int.MinValue, int.MaxValue })
        {
            int[] labels = [0, label, 2, 4];
            if (place == LinearPlace.Own && TestDevices.IsHost)
            {
                Assert.Throws<ArgumentOutOfRangeException>("labels", () => Run(accelerator, softmax, x, labels, 5));
                continue;
            }

            Result result = Check(accelerator, softmax, x, labels, 5, $"{place} label {label}");
            Assert.Equal([false, true, false, false], Array.ConvertAll(result.Losses, float.IsNaN));
        }
    }

    [Theory]
    [MemberData(nameof(LinearPlaces.Groups), MemberType = typeof(LinearPlaces))]
    public void The_gradient_may_take_the_place_of_the_logits_with_the_same_bits(LinearPlace place)
    {
        Accelerator accelerator = LinearDevice.Accelerator(place);
        var softmax = new SoftmaxCrossEntropy(accelerator, launch: place != LinearPlace.Own);
        var random = new Random(4);
        foreach (int classes in new[] { 5, 64, 201 })
        {
            float[] x = LinearDevice.Random(random, 6 * classes);
            int[] labels = [.. Enumerable.Range(0, 6).Select(_ => random.Next(classes))];
            Result apart = Run(accelerator, softmax, x, labels, classes);
            Result again = Run(accelerator, softmax, x, labels, classes);
            Result inPlace = Run(accelerator, softmax, x, labels, classes, inPlace: true);
            foreach (Result other in new[] { again, inPlace })
            {
                Assert.Equal(apart.Losses, other.Losses);
                Assert.Equal(apart.Mean, other.Mean);
                Assert.Equal(apart.Gradient, other.Gradient);
            }

            // A row among others has the loss it has alone.
            Assert.Equal(apart.Losses[5], Run(accelerator, softmax, x[(5 * classes)..], labels[5..], classes).Losses[0]);
        }
    }

    [Fact]
    public void Rejects_what_does_not_fit()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        AcceleratorStream stream = TestDevices.Session.Stream;
        var softmax = new SoftmaxCrossEntropy(accelerator);
        using var x = accelerator.Allocate1D(new float[6]);
        using var g = accelerator.Allocate1D(new float[6]);
        using var labels = accelerator.Allocate1D(new int[3]);
        using var losses = accelerator.Allocate1D(new float[3]);
        using var mean = accelerator.Allocate1D(new float[1]);
        void Evaluate(
            TensorView logits, ArrayView<int> classOf, TensorView each, TensorView all, int rows = 3, int classes = 2,
            TensorView gradient = default) =>
            softmax.Evaluate(stream, logits, classOf, each, all, rows, classes, gradient);

        Evaluate(x.View, labels.View, losses.View, mean.View);
        Assert.Throws<ArgumentNullException>("accelerator", () => new SoftmaxCrossEntropy(null!));
        Assert.Throws<ArgumentException>("logits", () => Evaluate(x.View.SubView(1, 5), labels.View, losses.View, mean.View));
        Assert.Throws<ArgumentException>(
            "labels", () => Evaluate(x.View, labels.View.SubView(0, 2), losses.View, mean.View));
        Assert.Throws<ArgumentException>("losses", () => Evaluate(x.View, labels.View, mean.View, mean.View));
        Assert.Throws<ArgumentException>("mean", () => Evaluate(x.View, labels.View, losses.View, losses.View));
        Assert.Throws<ArgumentException>(
            "mean", () => Evaluate(x.View, labels.View, losses.View, losses.View.SubView(1, 1)));
        Assert.Throws<ArgumentException>(
            "gradient", () => Evaluate(x.View, labels.View, losses.View, mean.View, gradient: losses.View));
        Assert.Throws<ArgumentOutOfRangeException>(
            "classes", () => Evaluate(x.View, labels.View, losses.View, mean.View, classes: 0));
        Assert.Throws<ArgumentOutOfRangeException>(
            "rows", () => Evaluate(x.View, labels.View, losses.View, mean.View, rows: -1));
        stream.Synchronize();
    }

    private static Result Check(
        Accelerator accelerator, SoftmaxCrossEntropy softmax, float[] x, int[] labels, int classes, string what)
    {
        (Bounded[] losses, Bounded mean, Bounded[] gradient) = SoftmaxCrossEntropyReference.Evaluate(x, labels, classes);
        Result got = Run(accelerator, softmax, x, labels, classes);
        LinearDevice.AssertWithin(losses, got.Losses, $"{what}: losses");
        LinearDevice.AssertWithin([mean], [got.Mean], $"{what}: mean");
        LinearDevice.AssertWithin(gradient, got.Gradient, $"{what}: gradient");
        return got;
    }

    private static Result Run(
        Accelerator accelerator, SoftmaxCrossEntropy softmax, float[] x, int[] labels, int classes, bool inPlace = false)
    {
        using var logits = new GuardedTensor(accelerator, x, shift: 1);
        using var gradient = new GuardedTensor(accelerator, new float[x.Length]);
        using var losses = new GuardedTensor(accelerator, new float[labels.Length]);
        using var mean = new GuardedTensor(accelerator, new float[1]);
        using var classOf = new GuardedTensor(accelerator, Storage.F32, Array.ConvertAll(labels, l => (uint)l));
        softmax.Evaluate(
            accelerator.DefaultStream, logits.View, classOf.Floats.Cast<int>(), losses.View, mean.View, labels.Length,
            classes, inPlace ? logits.View : gradient.View);
        accelerator.DefaultStream.Synchronize();
        if (!inPlace)
        {
            Assert.Equal(x, logits.Values());
        }

        return new Result(losses.Values(), mean.Values()[0], (inPlace ? logits : gradient).Values());
    }

    private sealed record Result(float[] Losses, float Mean, float[] Gradient);
}
