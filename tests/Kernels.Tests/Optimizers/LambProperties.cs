using ILGPU;
using ILGPU.Runtime;
using Kernels.Launching;
using Kernels.Optimizers;
using Kernels.References;
using Kernels.References.Optimizers;
using Kernels.Tests.Reductions;
using Kernels.Tests.Support;

namespace Kernels.Tests.Optimizers;

public sealed class LambProperties
{
    private const int Steps = 3;

    [Theory]
    [InlineData(new long[] { 1 }, 0.3, true, false)]
    [InlineData(new long[] { 255 }, 0.3, true, true)]
    [InlineData(new long[] { 256, 0, 3, 257, 31 }, 0.3, true, false)]
    [InlineData(new long[] { 100, 513 }, 0.3, false, false)]
    [InlineData(new long[] { 9 }, 1, false, false)]
    public void Matches_the_reference_segment_by_segment(long[] lengths, double decay, bool decoupled, bool maximize) =>
        Check(lengths, new LambOptions
        {
            LearningRate = 0.1,
            WeightDecay = decay,
            Decoupled = decoupled,
            Maximize = maximize,
            Beta2 = 0.9,
        });

    [Fact]
    public void Matches_the_reference_with_several_runs() =>
        Check([70_003, 20_011], new LambOptions { LearningRate = 0.1 }, tiny: false);

    [Fact]
    public void A_segment_does_not_depend_on_the_others_nor_on_padding()
    {
        Accelerator accelerator = ReductionDevice.Chosen;
        float[] p = Numbers.LogUniform(700, seed: 1);
        float[] g = Numbers.LogUniform(700, seed: 2);
        float[] alone = Run(accelerator, null, [700], p, [g], padded: false, new(), null)[0];
        float[] padded = Run(accelerator, null, [700], p, [g], padded: true, new(), null)[0];
        Assert.Equal(alone, padded[..700]);
        Assert.All(padded[700..], x => Assert.Equal(0, x));
        float[] other = Numbers.LogUniform(300, seed: 3);
        float[] both = Run(
            accelerator, null, [300, 700], Join(other, p), [Join(other, g)], padded: false, new(), null)[0];
        Assert.Equal(alone, both[512..]);
    }

    [Fact]
    public void Control_scales_and_skips()
    {
        float[] p = Numbers.LogUniform(700, seed: 1);
        float[] g = Numbers.LogUniform(700, seed: 2);
        foreach ((Accelerator accelerator, DeviceFacts facts) in ReductionDevice.Walks(tiny: true))
        {
            float[][] plain = Run(accelerator, facts, [700], p, [g], padded: false, new(), null);
            float[] scaled = Array.ConvertAll(g, x => x * 1024);
            float[][] unscaled = Run(
                accelerator, facts, [700], p, [scaled], padded: false, new(), [1f / 1024, 0]);
            Assert.Equal(plain, unscaled);
            float[][] skipped = Run(accelerator, facts, [700], p, [g], padded: false, new(), [1, 1]);
            Assert.Equal([p, new float[700], new float[700]], skipped);
        }
    }

    [Fact]
    public void Zeros_stay_and_a_zero_norm_takes_the_ratio_of_one()
    {
        Accelerator accelerator = ReductionDevice.Chosen;
        var options = new LambOptions { LearningRate = 0.1, Epsilon = 0 };
        float[] p = Run(accelerator, null, [5], [0, 0, 3, 0, 0], [new float[5]], padded: true, options with { WeightDecay = 0 }, null)[0];
        Assert.Equal(3, p[2]);
        p = Run(accelerator, null, [2], [0, 0], [[7, -7]], padded: false, options, null)[0];
        var reference = new LambReference(0.1, epsilon: 0);
        var wanted = new Bounded[2];
        reference.Step(1, wanted, [7, -7], reference.CreateState(2));
        Assert.Equal([-0.1, 0.1], wanted.Select(w => Math.Round(w.Value, 15)));
        Assert.All(wanted.Zip(p), pair => Assert.True(pair.First.Admits(pair.Second), $"{pair.Second:R}, {pair.First}"));
    }

    [Fact]
    public void Rejects_what_it_cannot_do_and_names_it()
    {
        Accelerator accelerator = ReductionDevice.Chosen;
        AcceleratorStream stream = accelerator.DefaultStream;
        Assert.Throws<ArgumentNullException>("accelerator", () => new Lamb(null!, 1));
        Assert.Throws<ArgumentOutOfRangeException>("segments", () => new Lamb(accelerator, [1L, -1L]));
        using var lamb = new Lamb(accelerator, 10);
        using var all = accelerator.Allocate1D<float>(64);
        ArrayView<float> p = all.View.BaseView.SubView(0, 10);
        ArrayView<float> g = all.View.BaseView.SubView(10, 10);
        ArrayView<float> m = all.View.BaseView.SubView(20, 10);
        ArrayView<float> v = all.View.BaseView.SubView(30, 10);
        var options = new LambOptions();
        Assert.Throws<ArgumentNullException>("stream", () => lamb.Step(null!, p, g, m, v, 1, options));
        Assert.Throws<ArgumentNullException>("options", () => lamb.Step(stream, p, g, m, v, 1, null!));
        Assert.Throws<ArgumentOutOfRangeException>("step", () => lamb.Step(stream, p, g, m, v, 0, options));
        Assert.Throws<ArgumentException>("p", () => lamb.Step(stream, p.SubView(1), g, m, v, 1, options));
        Assert.Throws<ArgumentException>("g", () => lamb.Step(stream, p, g.SubView(1), m, v, 1, options));
        Assert.Throws<ArgumentException>("m", () => lamb.Step(stream, p, g, m.SubView(1), v, 1, options));
        Assert.Throws<ArgumentException>("v", () => lamb.Step(stream, p, g, m, v.SubView(1), 1, options));
        Assert.Throws<ArgumentException>("g", () => lamb.Step(stream, p, p, m, v, 1, options));
        Assert.Throws<ArgumentException>("m", () => lamb.Step(stream, p, g, p, v, 1, options));
        Assert.Throws<ArgumentException>("v", () => lamb.Step(stream, p, g, m, m, 1, options));
        Assert.Throws<ArgumentException>("extras", () => lamb.Step(stream, p, g, m, v, 1, options, new UpdateExtras { Control = p }));
        Assert.Throws<ArgumentException>(
            "extras.Control",
            () => lamb.Step(stream, p, g, m, v, 1, options, new UpdateExtras { Control = m.SubView(0, 2) }));
        foreach (LambOptions bad in (LambOptions[])
            [
                new() { LearningRate = double.NaN }, new() { WeightDecay = -1 }, new() { Beta1 = 1 },
                new() { Beta2 = double.NaN }, new() { Epsilon = -1 },
            ])
        {
            Assert.Throws<ArgumentOutOfRangeException>("options", () => lamb.Step(stream, p, g, m, v, 1, bad));
        }

        lamb.Dispose();
        Assert.Throws<ObjectDisposedException>(() => lamb.Step(stream, p, g, m, v, 1, options));
    }

    private static float[] Join(float[] first, float[] second) =>
        [.. first, .. new float[(256 - first.Length % 256) % 256], .. second];

    private static void Check(long[] lengths, LambOptions options, bool tiny = true)
    {
        int total = 0;
        int length = 0;
        foreach (long n in lengths)
        {
            length = total + (int)n;
            total += (int)(n + 255) / 256 * 256;
        }

        float[] p = new float[length];
        float[][] gradients = [.. Enumerable.Range(0, Steps).Select(_ => new float[length])];
        var expected = new Bounded[Steps][];
        for (int t = 0; t < Steps; t++)
        {
            expected[t] = new Bounded[length];
        }

        int first = 0;
        foreach (long n in lengths)
        {
            Numbers.LogUniform((int)n, first + 1).CopyTo(p, first);
            for (int t = 0; t < Steps; t++)
            {
                Numbers.LogUniform((int)n, first + t + 2).CopyTo(gradients[t], first);
            }

            Reference(p.AsSpan(first, (int)n), gradients, first, expected, options);
            first += (int)(n + 255) / 256 * 256;
        }

        float[][]? bits = null;
        foreach ((Accelerator accelerator, DeviceFacts facts) in ReductionDevice.Walks(tiny))
        {
            for (int steps = 1; steps <= Steps; steps++)
            {
                float[][] got = Run(
                    accelerator, facts, lengths, p, gradients[..steps], padded: false, options, null);
                for (int i = 0; i < length; i++)
                {
                    Assert.True(
                        expected[steps - 1][i].Admits(got[0][i]),
                        $"{facts.Class} {steps} {i}: {got[0][i]:R}, expected {expected[steps - 1][i]}");
                }

                if (steps == Steps && accelerator.AcceleratorType == AcceleratorType.CPU)
                {
                    bits ??= got;
                    Assert.Equal(bits, got);
                }
            }
        }
    }

    private static void Reference(
        ReadOnlySpan<float> p0, float[][] gradients, int first, Bounded[][] expected, LambOptions options)
    {
        int n = p0.Length;
        var reference = new LambReference(
            options.LearningRate, options.Beta1, options.Beta2, options.Epsilon,
            options.Decoupled ? options.WeightDecay : 0, options.Maximize)
        {
            ReductionDepth = Math.Min(n, 7 + 5 + 255 + n / 65536),
        };
        Bounded[] p = Array.ConvertAll(p0.ToArray(), x => Bounded.FromDouble(x));
        Bounded[][] state = reference.CreateState(n);
        for (int t = 0; t < Steps; t++)
        {
            Bounded[] g = Array.ConvertAll(gradients[t].AsSpan(first, n).ToArray(), x => Bounded.FromDouble(x));
            if (!options.Decoupled)
            {
                for (int i = 0; i < n; i++)
                {
                    g[i] += Bounded.Rounded(options.WeightDecay) * p[i];
                }
            }

            reference.Step(t + 1, p, g, state);
            p.CopyTo(expected[t], first);
        }
    }

    private static float[][] Run(
        Accelerator accelerator, DeviceFacts? facts, long[] lengths, float[] p0, float[][] gradients, bool padded,
        LambOptions options, float[]? controls)
    {
        using var lamb = new Lamb(accelerator, lengths, facts);
        int length = (int)(padded ? lamb.PaddedLength : lamb.Length);
        Assert.Equal(p0.Length, lamb.Length);
        Array.Resize(ref p0, length);
        using var p = new GuardedTensor(accelerator, p0);
        using var m = new GuardedTensor(accelerator, new float[length]);
        using var v = new GuardedTensor(accelerator, new float[length]);
        using var control = new GuardedTensor(accelerator, controls ?? [1, 0]);
        for (int t = 0; t < gradients.Length; t++)
        {
            Array.Resize(ref gradients[t], length);
            using var g = new GuardedTensor(accelerator, gradients[t]);
            lamb.Step(
                accelerator.DefaultStream, p.Floats, g.Floats, m.Floats, v.Floats, t + 1, options,
                new UpdateExtras { Control = controls is null ? default : control.Floats });
            accelerator.Synchronize();
            Assert.Equal(gradients[t], g.Values());
        }

        return [p.Values(), m.Values(), v.Values()];
    }
}
