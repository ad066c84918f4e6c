using ILGPU.Runtime;
using Kernels.Linear;
using Kernels.References;
using Kernels.References.Linear;
using Kernels.Tests.Support;

namespace Kernels.Tests.Linear;

public sealed class ActivationProperties
{
    private static readonly float[] s_edges =
    [
        0f, -0f, 1e-45f, -1e-45f, 1e-38f, -1e-38f, 1e-20f, 0.75f, -0.75f, 5f, -5f, 9.9f, -9.9f, 10.1f, -10.1f, 20f, -20f,
        20.1f, -20.1f, 1e6f, -1e6f, 1e13f, -1e13f, 1e30f, -1e30f, float.MaxValue, -float.MaxValue,
        float.PositiveInfinity, float.NaN,
    ];

    [Theory]
    [MemberData(nameof(LinearPlaces.Groups), MemberType = typeof(LinearPlaces))]
    public void Matches_the_reference_within_its_bound(LinearPlace place)
    {
        var random = new Random(1);
        Accelerator accelerator = LinearDevice.Accelerator(place);
        var activations = new Activations(accelerator, launch: place != LinearPlace.Own);
        foreach (int n in new[] { 0, 1, 2, 3, 7, 8, 9, 31, 33, 255, 256, 257, 1031 })
        {
            float[] x = [.. s_edges.Concat(LinearDevice.Random(random, n)).TakeLast(n)];
            float[] dy = LinearDevice.Random(random, n);
            if (n > 0)
            {
                (x[0], dy[0]) = (1.5f, float.MaxValue); // where the slope of GELU is above 1
            }

            foreach (Activation activation in Enum.GetValues<Activation>())
            {
                Bounded Value(float v) => activation switch
                {
                    Activation.Relu => ActivationReference.Relu(v),
                    Activation.Gelu => ActivationReference.Gelu(v),
                    _ => v,
                };
                Bounded Slope(float v, float d) => activation switch
                {
                    Activation.Relu => ActivationReference.ReluBack(v, d),
                    Activation.Gelu => ActivationReference.GeluBack(v, d),
                    _ => d,
                };
                (float[] y, float[] dx) = Run(accelerator, activations, x, dy, activation);
                LinearDevice.AssertWithin([.. x.Select(Value)], y, $"{place} {activation} {n}");
                LinearDevice.AssertWithin([.. x.Zip(dy, Slope)], dx, $"{place} {activation} gradient {n}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(LinearPlaces.Groups), MemberType = typeof(LinearPlaces))]
    public void Special_values_stay_in_their_element(LinearPlace place)
    {
        Accelerator accelerator = LinearDevice.Accelerator(place);
        var activations = new Activations(accelerator, launch: place != LinearPlace.Own);
        float[] x = [.. s_edges, float.NegativeInfinity, 1f];
        float[] dy = [.. Enumerable.Repeat(1f, x.Length)];
        foreach (Activation activation in Enum.GetValues<Activation>())
        {
            (float[] y, float[] dx) = Run(accelerator, activations, x, dy, activation);
            for (int i = 0; i < x.Length; i++)
            {
                bool lost = activation == Activation.Gelu && float.IsNegativeInfinity(x[i]);
                Assert.Equal(float.IsNaN(x[i]) || lost, float.IsNaN(y[i]));
                Assert.Equal(float.IsNaN(x[i]) && activation != Activation.None, float.IsNaN(dx[i]));
            }
        }
    }

    [Fact]
    public void May_work_in_place_and_rejects_what_does_not_fit()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        AcceleratorStream stream = TestDevices.Session.Stream;
        var activations = new Activations(accelerator);
        using var x = accelerator.Allocate1D(new[] { -1f, 2f, -3f, 4f });
        using var dy = accelerator.Allocate1D(new[] { 1f, 2f, 3f, 4f });
        activations.Backward(stream, x.View, dy.View, dy.View, Activation.Relu);
        activations.Forward(stream, x.View, x.View, Activation.Relu);
        stream.Synchronize();
        Assert.Equal([0f, 2f, 0f, 4f], dy.GetAsArray1D());
        Assert.Equal([0f, 2f, 0f, 4f], x.GetAsArray1D());

        Assert.Throws<ArgumentNullException>("accelerator", () => new Activations(null!));
        Assert.Throws<ArgumentNullException>("stream", () => activations.Forward(null!, x.View, dy.View, default));
        Assert.Throws<ArgumentException>(
            "y", () => activations.Forward(stream, x.View, dy.View.SubView(0, 3), Activation.Relu));
        Assert.Throws<ArgumentException>(
            "y", () => activations.Forward(stream, x.View.SubView(0, 3), x.View.SubView(1, 3), Activation.Relu));
        Assert.Throws<ArgumentException>(
            "dx", () => activations.Backward(stream, x.View, dy.View, x.View, Activation.Relu));
        Assert.Throws<ArgumentException>(
            "dy", () => activations.Backward(stream, x.View, dy.View.SubView(0, 3), dy.View, Activation.Relu));
        Assert.Throws<ArgumentOutOfRangeException>(
            "activation", () => activations.Forward(stream, x.View, dy.View, (Activation)(-1)));
    }

    private static (float[] Y, float[] Dx) Run(
        Accelerator accelerator, Activations activations, float[] x, float[] dy, Activation activation)
    {
        using var viewX = new GuardedTensor(accelerator, x, shift: 1);
        using var viewDy = new GuardedTensor(accelerator, dy);
        using var y = new GuardedTensor(accelerator, new float[x.Length], shift: 3);
        using var dx = new GuardedTensor(accelerator, new float[x.Length]);
        activations.Forward(accelerator.DefaultStream, viewX.View, y.View, activation);
        activations.Backward(accelerator.DefaultStream, viewX.View, viewDy.View, dx.View, activation);
        accelerator.DefaultStream.Synchronize();
        Assert.Equal(dy, viewDy.Values());
        return (y.Values(), dx.Values());
    }
}
