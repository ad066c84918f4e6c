using ILGPU.Runtime;
using Kernels.References;
using Kernels.References.VectorQuantization;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;
using Kernels.VectorQuantization;

namespace Kernels.Tests.VectorQuantization;

public sealed class SimVqProperties
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(7, 3)]
    [InlineData(65, 17)]
    [InlineData(300, 8)]
    public void Both_passes_are_within_the_bounds_of_the_reference(int k, int d)
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        AcceleratorStream stream = accelerator.DefaultStream;
        var random = new Random(k);
        float[] c = LinearDevice.Random(random, k * d);
        float[] w = LinearDevice.Random(random, d * d);
        float[] b = LinearDevice.Random(random, d);
        float[] g = LinearDevice.Random(random, k * d);
        using var simVq = new SimVq(accelerator, k, d);
        using var codes = new GuardedTensor(accelerator, c, shift: 1);
        using var weight = new GuardedTensor(accelerator, w, shift: 2);
        using var bias = new GuardedTensor(accelerator, b, shift: 3);
        using var grad = new GuardedTensor(accelerator, g);
        using var projected = new GuardedTensor(accelerator, new float[k * d], shift: 1);
        using var gradCodes = new GuardedTensor(accelerator, new float[k * d], shift: 1);
        using var gradWeight = new GuardedTensor(accelerator, new float[d * d], shift: 1);
        using var gradBias = new GuardedTensor(accelerator, new float[d], shift: 1);
        simVq.Forward(stream, codes.View, weight.View, projected.View, bias.View);
        LinearDevice.AssertWithin(SimVqReference.Forward(c, w, b, d), projected.Values(), "with bias");
        simVq.Forward(stream, codes.View, weight.View, projected.View);
        LinearDevice.AssertWithin(SimVqReference.Forward(c, w, [], d), projected.Values(), "without bias");

        (Bounded[] dCodes, Bounded[] dWeight, Bounded[] dBias) = SimVqReference.Backward(c, w, g, d);
        simVq.Backward(stream, codes.View, weight.View, grad.View, gradWeight.View);
        LinearDevice.AssertWithin(dWeight, gradWeight.Values(), "weight alone");
        Assert.All(gradCodes.Values().Concat(gradBias.Values()), v => Assert.Equal(0f, v));
        simVq.Backward(stream, codes.View, weight.View, grad.View, gradWeight.View, gradBias.View, gradCodes.View);
        LinearDevice.AssertWithin(dWeight, gradWeight.Values(), "weight");
        LinearDevice.AssertWithin(dBias, gradBias.Values(), "bias");
        LinearDevice.AssertWithin(dCodes, gradCodes.Values(), "codes");
        Assert.Equal(c, codes.Values());
        Assert.Equal(g, grad.Values());
    }
}
