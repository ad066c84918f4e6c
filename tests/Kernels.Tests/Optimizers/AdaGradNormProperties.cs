using System.Collections.Concurrent;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Launching;
using Kernels.Optimizers;
using Kernels.References;
using Kernels.References.Optimizers;
using Kernels.Tests.Reductions;
using Kernels.Tests.Support;

namespace Kernels.Tests.Optimizers;

public sealed class AdaGradNormProperties
{
    private const int MaxLength = 40_000;
    private static readonly ConcurrentDictionary<(Accelerator, DeviceFacts), AdaGradNorm> s_loaded = new();

    [Theory]
    [InlineData(1, 0, false, false)]
    [InlineData(33, 0.3, false, false)]
    [InlineData(257, 0.3, true, true)]
    [InlineData(16_388, 0.3, false, true)] // a whole tile, which GPUs read in packets, and a packet beside it
    [InlineData(4097, 0, false, true)]
    [InlineData(20011, 0.1, false, false)]
    public void Matches_the_reference_in_every_walk(int n, double decay, bool decoupled, bool maximize)
    {
        var options = new AdaGradNormOptions
        {
            LearningRate = 0.5,
            WeightDecay = decay,
            Decoupled = decoupled,
            Maximize = maximize,
            InitialAccumulator = 0.25,
        };
        float[] first = Numbers.LogUniform(n, seed: 1);
        float[][] gradients = [.. Enumerable.Range(2, 3).Select(seed => Numbers.LogUniform(n, seed))];
        var reference = new AdaGradNormReference(0.5, 0.25, decay, decoupled, maximize)
        {
            ReductionDepth = ReductionPlan.Depth(n),
        };
        float[][]? bits = null;
        foreach ((Accelerator accelerator, DeviceFacts facts) in ReductionDevice.Walks(tiny: n < 17_000))
        {
            AdaGradNorm kernel = Loaded(accelerator, facts);
            using var p = new GuardedTensor(accelerator, first);
            using var sum = new GuardedTensor(accelerator, [0.25f]);
            Bounded[] expected = Array.ConvertAll(first, x => Bounded.FromDouble(x));
            Bounded[][] state = reference.CreateState(n);
            for (int t = 1; t <= gradients.Length; t++)
            {
                using var g = new GuardedTensor(accelerator, gradients[t - 1]);
                kernel.Step(accelerator.DefaultStream, p.Floats, g.Floats, sum.Floats, t, options);
                accelerator.Synchronize();
                reference.Step(t, expected, Array.ConvertAll(gradients[t - 1], x => Bounded.FromDouble(x)), state);
                float[] got = p.Values();
                Assert.True(state[0][0].Admits(sum.Values()[0]), $"{sum.Values()[0]:R}, expected {state[0][0]}");
                for (int i = 0; i < n; i++)
                {
                    Assert.True(expected[i].Admits(got[i]), $"{facts.Class} {t} {i}: {got[i]:R}, expected {expected[i]}");
                }

                Assert.Equal(gradients[t - 1], g.Values());
            }

            float[][] result = [p.Values(), sum.Values()];
            if (accelerator.AcceleratorType == AcceleratorType.CPU)
            {
                bits ??= result;
                Assert.Equal(bits[0], result[0]);
                Assert.Equal(bits[1], result[1]);
            }
        }
    }

    [Theory]
    [InlineData(1000)]
    [InlineData(16_388)] // a whole tile, as above
    public void Control_scales_and_skips(int n)
    {
        float[] first = Numbers.LogUniform(n, seed: 1);
        float[] gradient = Numbers.LogUniform(n, seed: 2);
        foreach ((Accelerator accelerator, DeviceFacts facts) in ReductionDevice.Walks(tiny: true))
        {
            AdaGradNorm kernel = Loaded(accelerator, facts);
            float[][] results = new float[3][];
            float[][] sums = new float[3][];
            for (int form = 0; form < 3; form++)
            {
                using var p = new GuardedTensor(accelerator, first);
                using var g = new GuardedTensor(
                    accelerator, form == 2 ? gradient : Array.ConvertAll(gradient, x => form == 0 ? x : x * 1024));
                using var sum = new GuardedTensor(accelerator, [0.01f]);
                using var control = new GuardedTensor(accelerator, form == 1 ? [1f / 1024, 0] : [1, 1]);
                kernel.Step(
                    accelerator.DefaultStream, p.Floats, g.Floats, sum.Floats, 1, new AdaGradNormOptions(),
                    new UpdateExtras { Control = form == 0 ? default : control.Floats });
                accelerator.Synchronize();
                results[form] = p.Values();
                sums[form] = sum.Values();
            }

            Assert.Equal(results[0], results[1]);
            Assert.Equal(sums[0], sums[1]);
            Assert.NotEqual(first, results[0]);
            Assert.Equal(first, results[2]);
            Assert.Equal([0.01f], sums[2]);
        }
    }

    [Fact]
    public void Nothing_on_top_of_nothing_takes_no_step()
    {
        Accelerator accelerator = ReductionDevice.Chosen;
        AdaGradNorm kernel = Loaded(accelerator, DeviceFacts.Of(accelerator));
        float[] first = Numbers.LogUniform(300, seed: 1);
        using var p = new GuardedTensor(accelerator, first);
        using var g = new GuardedTensor(accelerator, new float[300]);
        using var sum = new GuardedTensor(accelerator, [0]);
        kernel.Step(accelerator.DefaultStream, p.Floats, g.Floats, sum.Floats, 1, new AdaGradNormOptions());
        accelerator.Synchronize();
        Assert.Equal(first, p.Values());
        Assert.Equal([0f], sum.Values());
    }

    [Fact]
    public void Sixteen_bit_tensors_round_once()
    {
        Accelerator accelerator = ReductionDevice.Chosen;
        AdaGradNorm kernel = Loaded(accelerator, DeviceFacts.Of(accelerator));
        uint[] first = Array.ConvertAll(Numbers.LogUniform(301, seed: 1), Bits);
        uint[] gradient = Array.ConvertAll(Numbers.LogUniform(301, seed: 2), Bits);
        using var narrow = new GuardedTensor(accelerator, Storage.BF16, first);
        using var narrowGradient = new GuardedTensor(accelerator, Storage.BF16, gradient);
        using var wide = new GuardedTensor(accelerator, Array.ConvertAll(first, Value));
        using var wideGradient = new GuardedTensor(accelerator, Array.ConvertAll(gradient, Value));
        using var sum = new GuardedTensor(accelerator, [0.01f, 0.01f]);
        var options = new AdaGradNormOptions();
        kernel.Step(accelerator.DefaultStream, narrow.View, narrowGradient.View, sum.Floats.SubView(0, 1), 1, options);
        kernel.Step(accelerator.DefaultStream, wide.Floats, wideGradient.Floats, sum.Floats.SubView(1, 1), 1, options);
        accelerator.Synchronize();
        Assert.Equal(sum.Values()[0], sum.Values()[1]);
        Assert.Equal(
            Array.ConvertAll(wide.Values(), x => (BitConverter.SingleToUInt32Bits(x) + 0x7FFF
                + ((BitConverter.SingleToUInt32Bits(x) >> 16) & 1)) >> 16),
            narrow.Bits());
    }

    [Fact]
    public void Rejects_what_it_cannot_do_and_names_it()
    {
        Accelerator accelerator = ReductionDevice.Chosen;
        AcceleratorStream stream = accelerator.DefaultStream;
        using var kernel = new AdaGradNorm(accelerator, 10);
        using var p = accelerator.Allocate1D<float>(10);
        using var g = accelerator.Allocate1D<float>(11);
        using var sum = accelerator.Allocate1D<float>(1);
        ArrayView<float> gradient = g.View.BaseView.SubView(0, 10);
        var options = new AdaGradNormOptions();
        Assert.Throws<ArgumentNullException>("accelerator", () => new AdaGradNorm(null!, 1));
        Assert.Throws<ArgumentNullException>("stream", () => kernel.Step(null!, p.View, gradient, sum.View, 1, options));
        Assert.Throws<ArgumentNullException>("options", () => kernel.Step(stream, p.View, gradient, sum.View, 1, null!));
        Assert.Throws<ArgumentException>("g", () => kernel.Step(stream, p.View, g.View, sum.View, 1, options));
        Assert.Throws<ArgumentException>("g", () => kernel.Step(stream, gradient, gradient, sum.View, 1, options));
        using var shorter = new AdaGradNorm(accelerator, 9);
        Assert.Throws<ArgumentException>("p", () => shorter.Step(stream, p.View, gradient, sum.View, 1, options));
        Assert.Throws<ArgumentException>("g", () => kernel.Step(stream, p.View, p.View, sum.View, 1, options));
        Assert.Throws<ArgumentException>("sum", () => kernel.Step(stream, p.View, gradient, p.View, 1, options));
        Assert.Throws<ArgumentException>(
            "extras", () => kernel.Step(
                stream, p.View, gradient, sum.View, 1, options, new UpdateExtras { Control = g.View }));
        foreach (AdaGradNormOptions bad in (AdaGradNormOptions[])
            [
                new() { LearningRate = double.NaN }, new() { LearningRate = -1 }, new() { WeightDecay = double.NaN },
                new() { InitialAccumulator = double.NaN }, new() { InitialAccumulator = -1 },
            ])
        {
            Assert.Throws<ArgumentOutOfRangeException>(
                "options", () => kernel.Step(stream, p.View, gradient, sum.View, 1, bad));
        }

        kernel.Dispose();
        Assert.Throws<ObjectDisposedException>(() => kernel.Step(stream, p.View, gradient, sum.View, 1, options));
    }

    private static uint Bits(float value) => BitConverter.SingleToUInt32Bits(value) >> 16;

    private static float Value(uint bits) => BitConverter.UInt32BitsToSingle(bits << 16);

    private static AdaGradNorm Loaded(Accelerator accelerator, DeviceFacts facts) =>
        s_loaded.GetOrAdd((accelerator, facts), static key => new AdaGradNorm(key.Item1, MaxLength, key.Item2));
}
