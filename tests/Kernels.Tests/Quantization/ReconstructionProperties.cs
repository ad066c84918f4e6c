using ILGPU;
using ILGPU.Runtime;
using Kernels.Quantization;
using Kernels.References;
using Kernels.References.Quantization;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;

namespace Kernels.Tests.Quantization;

public sealed class ReconstructionProperties
{
    [Theory]
    [InlineData(1, 1, 1, null)]
    [InlineData(5, 7, 3, null)]
    [InlineData(5, 7, 4, null)]
    [InlineData(33, 70, 40, true)]
    [InlineData(33, 70, 40, false)]
    [InlineData(4, 9, 100, false)]
    [InlineData(20, 300, 2, true)]
    public void Is_within_the_bounds_of_the_oracle(int rows, int columns, int samples, bool? byGram)
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        var random = new Random(rows + samples);
        float[] x = LinearDevice.Random(random, samples * columns);
        float[] w = LinearDevice.Random(random, rows * columns);
        float[] q = LinearDevice.Random(random, rows * columns);
        using var objective = new Reconstruction(accelerator, rows, columns, samples, byGram);
        Assert.Equal(byGram ?? columns <= 2 * samples, objective.HasGram);
        using var activations = new GuardedTensor(accelerator, x, 1);
        using var weights = new GuardedTensor(accelerator, w, 1);
        using var value = new GuardedTensor(accelerator, q, 1);
        using var grad = new GuardedTensor(accelerator, new float[w.Length], 1);
        using var sum = new GuardedTensor(accelerator, new float[1]);
        AcceleratorStream stream = accelerator.DefaultStream;
        Assert.Throws<InvalidOperationException>(() => objective.Evaluate(
            stream, weights.Floats, value.Floats, grad.Floats, sum.Floats));
        objective.SetActivations(stream, activations.Floats);
        objective.Evaluate(stream, weights.Floats, value.Floats, grad.Floats, sum.Floats);
        accelerator.Synchronize();
        (Bounded wanted, Bounded[] gradient) = ReconstructionReference.Evaluate(x, w, q, columns);
        LinearDevice.AssertWithin(gradient, grad.Values(), "gradient");
        LinearDevice.AssertWithin([wanted], sum.Values(), "objective");
        uint[] bits = grad.Bits();
        Allocations.AssertNone(accelerator, () => objective.Evaluate(
            stream, weights.Floats, value.Floats, grad.Floats, sum.Floats));
        Assert.Equal(bits, grad.Bits());

        objective.Evaluate(stream, weights.Floats, weights.Floats, grad.Floats, sum.Floats);
        accelerator.Synchronize();
        Assert.All(grad.Values(), v => Assert.Equal(0, v));
        Assert.Equal([0f], sum.Values());
    }

    [Theory]
    [InlineData(1, 1, false)]
    [InlineData(3, 40, true)]
    [InlineData(70, 99, true)]
    [InlineData(70, 99, false)]
    public void Without_activations_it_is_the_weighted_error_of_the_weights(int rows, int columns, bool hasImportance)
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        var random = new Random(rows);
        float[] w = LinearDevice.Random(random, rows * columns);
        float[] q = LinearDevice.Random(random, rows * columns);
        float[] h = hasImportance ? Array.ConvertAll(LinearDevice.Random(random, w.Length), Math.Abs) : [];
        using var objective = new Reconstruction(accelerator, rows, columns, 0);
        using var weights = new GuardedTensor(accelerator, w, 1);
        using var value = new GuardedTensor(accelerator, q);
        using var importance = new GuardedTensor(accelerator, h);
        using var grad = new GuardedTensor(accelerator, new float[w.Length], 1);
        using var sum = new GuardedTensor(accelerator, new float[1]);
        objective.Evaluate(
            accelerator.DefaultStream, weights.Floats, value.Floats, grad.Floats, sum.Floats,
            hasImportance ? importance.Floats : default);
        accelerator.Synchronize();
        Bounded[] errors = [.. w.Zip(q, (a, b) => (Bounded)b - a)];
        Bounded[] weighted = hasImportance ? [.. errors.Zip(h, (e, i) => e * i)] : errors;
        LinearDevice.AssertWithin(Array.ConvertAll(weighted, e => 2 * e), grad.Values(), "gradient");
        LinearDevice.AssertWithin(
            [Bounded.Sum([.. weighted.Zip(errors, (a, b) => a * b)])], sum.Values(), "objective");
    }

    [Fact]
    public void Rejects_what_does_not_fit_by_its_name()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        AcceleratorStream stream = accelerator.DefaultStream;
        Assert.Throws<ArgumentOutOfRangeException>("rows", () => new Reconstruction(accelerator, 0, 1, 1));
        Assert.Throws<ArgumentOutOfRangeException>("columns", () => new Reconstruction(accelerator, 1 << 16, 1 << 16, 1));
        Assert.Throws<ArgumentOutOfRangeException>("samples", () => new Reconstruction(accelerator, 1, 1, -1));
        using var objective = new Reconstruction(accelerator, 2, 4, 3);
        using var plain = new Reconstruction(accelerator, 2, 4, 0);
        using var room = new GuardedTensor(accelerator, new float[100]);
        ArrayView<float> all = room.Floats;
        ArrayView<float> x = all.SubView(0, 12), w = all.SubView(12, 8), q = all.SubView(20, 8), g = all.SubView(28, 8);
        ArrayView<float> sum = all.SubView(36, 1), h = all.SubView(40, 8);
        Assert.Throws<ArgumentException>("x", () => objective.SetActivations(stream, w));
        Assert.Throws<InvalidOperationException>(() => plain.SetActivations(stream, x));
        objective.SetActivations(stream, x);
        Assert.Throws<ArgumentException>("weights", () => objective.Evaluate(stream, x, q, g, sum));
        Assert.Throws<ArgumentException>("value", () => objective.Evaluate(stream, w, x, g, sum));
        Assert.Throws<ArgumentException>("gradValue", () => objective.Evaluate(stream, w, q, q, sum));
        Assert.Throws<ArgumentException>("objective", () => objective.Evaluate(stream, w, q, g, g.SubView(0, 1)));
        Assert.Throws<ArgumentException>("importance", () => objective.Evaluate(stream, w, q, g, sum, h));
        Assert.Throws<ArgumentException>("importance", () => plain.Evaluate(stream, w, q, g, sum, sum));
        objective.Dispose();
        Assert.Throws<ObjectDisposedException>(() => objective.Evaluate(stream, w, q, g, sum));
    }
}
