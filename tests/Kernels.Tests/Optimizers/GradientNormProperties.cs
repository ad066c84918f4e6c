using System.Collections.Concurrent;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using Kernels.DeviceCode.Reductions;
using Kernels.Launching;
using Kernels.Optimizers;
using Kernels.References;
using Kernels.References.Optimizers;
using Kernels.Tests.Reductions;
using Kernels.Tests.Support;

namespace Kernels.Tests.Optimizers;

public sealed class GradientNormProperties
{
    public static readonly TheoryData<int> Sizes =
        new(0, 1, 2, 3, 31, 32, 33, 255, 256, 257, 4095, 4096, 4097, 16383, 16384, 16385, 20011, 70001);

    private const int TinyLimit = 40_000;
    private const int MaxLength = 100_000;
    private static readonly ConcurrentDictionary<(Accelerator, DeviceFacts?), GradientNorm> s_loaded = new();

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Matches_the_reference_and_every_walk_gives_the_same_bits(int n)
    {
        float[] g = Numbers.LogUniform(n, seed: n + 1);
        Bounded expected = GradientNormReference.ScaledNorm(g, ReductionPlan.Depth(n));
        var bits = new Dictionary<Accelerator, float>();
        foreach ((Accelerator accelerator, DeviceFacts facts) in ReductionDevice.Walks(n < TinyLimit))
        {
            float norm = Norm(accelerator, facts, g);
            Assert.True(expected.Admits(norm), $"{facts.Class}: {norm:R}, expected {expected}");
            // All CPU accelerators, and the host's walk, are one arithmetic.
            Accelerator key = accelerator.AcceleratorType == AcceleratorType.CPU ? ReductionDevice.Chosen : accelerator;
            Assert.Equal(bits.GetValueOrDefault(key, norm), norm);
            bits[key] = norm;
        }
    }

    [Theory]
    [InlineData(1e-37, 1e-36)]
    [InlineData(1e-44, 1e-40)]
    [InlineData(1e-30, 1e30)]
    [InlineData(1e30, 1e36)]
    [InlineData(1e-15, 1e-12)]
    [InlineData(1e12, 1e15)]
    public void Neither_overflows_nor_underflows(double least, double largest)
    {
        foreach (int n in (int[])[1, 7, 257, 20011])
        {
            float[] g = Numbers.LogUniform(n, seed: 5, least, largest);
            Bounded expected = GradientNormReference.ScaledNorm(g, ReductionPlan.Depth(n));
            Assert.True(expected.IsInDomain);
            foreach ((Accelerator accelerator, DeviceFacts facts) in ReductionDevice.Walks(tiny: n < 1000))
            {
                float norm = Norm(accelerator, facts, g);
                Assert.True(expected.Admits(norm), $"{n}, {facts.Class}: {norm:R}, expected {expected}");
            }
        }
    }

    [Fact]
    public void One_element_counts_wherever_it_is()
    {
        const int N = SumOfSquares.TileLength + 1000;
        Accelerator accelerator = ReductionDevice.Chosen;
        foreach (int position in (int[])[0, 7, 8, 1023, 1024, 4095, 4096, 4104, N - 1])
        {
            foreach (float value in (float[])[1, float.MaxValue, float.Epsilon, 1e-20f])
            {
                var g = new float[N];
                g[position] = value;
                Assert.Equal(value, Norm(accelerator, DeviceFacts.Of(accelerator), g));
            }

            foreach (float value in (float[])[float.NaN, float.PositiveInfinity, float.NegativeInfinity])
            {
                float[] g = Numbers.LogUniform(N, seed: 3, 1e-38, 1e38);
                g[position] = value;
                Assert.False(float.IsFinite(Norm(accelerator, DeviceFacts.Of(accelerator), g)));
            }
        }
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1e-30, 1)]
    [InlineData(1e30, 1)]
    [InlineData(1e-30, 1e30)]
    [InlineData(3e-10, 3.5e-10)]
    [InlineData(2e9, 3.5e9)]
    public void Tiles_of_different_sizes_make_one_norm(double first, double second)
    {
        // Plain tiles, scaled ones and empty ones beside each other, and at the limits of what is summed plainly.
        float[] g = Numbers.LogUniform(4 * SumOfSquares.TileLength + 77, seed: 11, 0.5, 2);
        for (int i = 0; i < g.Length; i++)
        {
            g[i] *= (float)(i / SumOfSquares.TileLength % 2 == 0 ? first : second);
        }

        Bounded expected = GradientNormReference.ScaledNorm(g, ReductionPlan.Depth(g.Length));
        Assert.True(expected.IsInDomain);
        foreach ((Accelerator accelerator, DeviceFacts facts) in ReductionDevice.Walks(tiny: true))
        {
            float norm = Norm(accelerator, facts, g);
            Assert.True(expected.Admits(norm), $"{facts.Class}: {norm:R}, expected {expected}");
        }
    }

    [Fact]
    public void A_number_of_each_range_counts_beside_the_others()
    {
        // 3, 4, 5 in the middle range is 3e0, 4e0; beside them what is too small to count.
        float[] g = [3, 1e-30f, 4, 1e-44f, 0];
        Assert.Equal(5, Norm(ReductionDevice.Chosen, DeviceFacts.Of(ReductionDevice.Chosen), g));
        g = [3e30f, 1, 4e30f, 1e-44f];
        Assert.Equal(5e30f, Norm(ReductionDevice.Chosen, DeviceFacts.Of(ReductionDevice.Chosen), g), 1e24f);
    }

    [Theory]
    [InlineData(257)]
    [InlineData(20011)]
    public void Sixteen_bit_gradients_are_summed_as_their_values(int n)
    {
        float[] wanted = Numbers.LogUniform(n, seed: 9, 1e-6, 1e4);
        System.Half[] halves = Array.ConvertAll(wanted, x => (System.Half)x);
        uint[] bf16 = Array.ConvertAll(wanted, x => BitConverter.SingleToUInt32Bits(x) >> 16);
        float[] halfValues = Array.ConvertAll(halves, x => (float)x);
        float[] bf16Values = Array.ConvertAll(bf16, x => BitConverter.UInt32BitsToSingle(x << 16));
        foreach ((Accelerator accelerator, DeviceFacts facts) in ReductionDevice.Walks(tiny: n < 1000))
        {
            GradientNorm norm = Loaded(accelerator, facts);
            using var result = new GuardedTensor(accelerator, [-1]);
            using var half = new GuardedTensor(
                accelerator, Storage.F16, Array.ConvertAll(halves, x => (uint)BitConverter.HalfToUInt16Bits(x)));
            norm.Norm(accelerator.DefaultStream, half.View, result.Floats);
            accelerator.Synchronize();
            Assert.True(GradientNormReference.ScaledNorm(halfValues, ReductionPlan.Depth(n)).Admits(result.Values()[0]));
            using var brain = new GuardedTensor(accelerator, Storage.BF16, bf16);
            norm.Norm(accelerator.DefaultStream, brain.View, result.Floats);
            accelerator.Synchronize();
            Assert.True(GradientNormReference.ScaledNorm(bf16Values, ReductionPlan.Depth(n)).Admits(result.Values()[0]));
            Assert.Equal(bf16, brain.Bits());
        }
    }

    [Fact]
    public void Several_tensors_have_one_norm_and_misaligned_ones_the_same_bits()
    {
        int[] lengths = [1, 0, 300, 16384, 17000, 5];
        float[][] parts = [.. lengths.Select((n, i) => Numbers.LogUniform(n, seed: i))];
        float[] all = [.. parts.SelectMany(x => x)];
        Bounded expected = GradientNormReference.ScaledNorm(all);
        Accelerator accelerator = ReductionDevice.Chosen;
        GradientNorm norm = Loaded(accelerator);
        using var result = new GuardedTensor(accelerator, [-1]);
        var seen = new HashSet<float>();
        for (int shift = 0; shift < 3; shift++)
        {
            GuardedTensor[] buffers = [.. parts.Select(x => new GuardedTensor(accelerator, x, shift))];
            TensorView[] views = [.. buffers.Select(x => x.View)];
            norm.Norm(accelerator.DefaultStream, views, result.Floats);
            accelerator.Synchronize();
            float got = result.Values()[0];
            Assert.True(expected.Admits(got), $"{got:R}, expected {expected}");
            seen.Add(got);
            for (int i = 0; i < parts.Length; i++)
            {
                Assert.Equal(parts[i], buffers[i].Values());
                buffers[i].Dispose();
            }
        }

        Assert.Single(seen);
        norm.Norm(accelerator.DefaultStream, [], result.Floats);
        accelerator.Synchronize();
        Assert.Equal(0, result.Values()[0]);
    }

    [Theory]
    [InlineData(1, 0.5)]
    [InlineData(1024, 1)]
    [InlineData(3, 1e-3)]
    [InlineData(1, double.PositiveInfinity)]
    [InlineData(1, 0)]
    [InlineData(1, 1e-7, 1e-9)] // what keeps the denominator from 0 is as large as the norm
    [InlineData(1024, 1e-7, 1e-6)]
    public void Control_clips_and_unscales(double scale, double maxNorm, double largest = 1e3)
    {
        float[] g = Numbers.LogUniform(5000, seed: 4, least: largest / 1e6, largest);
        foreach ((Accelerator accelerator, DeviceFacts facts) in ReductionDevice.Walks(tiny: true))
        {
            GradientNorm norm = Loaded(accelerator, facts);
            using var gradient = new GuardedTensor(accelerator, g);
            using var result = new GuardedTensor(accelerator, [-1]);
            using var control = new GuardedTensor(accelerator, [-1, -1]);
            norm.Control(
                accelerator.DefaultStream, [gradient.Floats], result.Floats, control.Floats, maxNorm, 1 / scale);
            accelerator.Synchronize();
            Bounded inverse = Bounded.Rounded(1 / scale);
            Bounded expected = GradientNormReference.ScaledNorm(g, ReductionPlan.Depth(g.Length)) * inverse;
            Assert.True(expected.Admits(result.Values()[0]));
            Bounded factor = double.IsInfinity(maxNorm)
                ? inverse
                : GradientNormReference.ClipCoefficient(expected, maxNorm) * inverse;
            Assert.True(factor.Admits(control.Values()[0]), $"{control.Values()[0]:R}, expected {factor}");
            Assert.Equal(0, control.Values()[1]);

            using var scaler = new LossScaler(accelerator, new LossScalerOptions { InitialScale = scale });
            norm.Control(accelerator.DefaultStream, [gradient.Floats], result.Floats, control.Floats, maxNorm, scaler);
            accelerator.Synchronize();
            Assert.True(factor.Admits(control.Values()[0]), $"{control.Values()[0]:R}, expected {factor}");
        }
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void Control_skips_what_is_not_finite_and_only_that(float bad)
    {
        Accelerator accelerator = ReductionDevice.Chosen;
        float[] g = Numbers.LogUniform(5000, seed: 4);
        g[4321] = bad;
        Assert.Equal(1, Control(accelerator, g, 1)[1]);
        // The norm is beyond the largest number, the gradients are not; unscaled it is within.
        Array.Fill(g, float.MaxValue);
        float[] control = Control(accelerator, g, 1.0 / 65536);
        Assert.Equal(0, control[1]);
        Bounded norm = GradientNormReference.ScaledNorm(Array.ConvertAll(g, v => v / 65536));
        Bounded factor = GradientNormReference.ClipCoefficient(norm, 1) * (1.0 / 65536);
        Assert.True(factor.IsInDomain && factor.Admits(control[0]), $"{control[0]:R}, expected {factor}");
    }

    [Fact]
    public void Rejects_what_it_cannot_do_and_names_it()
    {
        Accelerator accelerator = ReductionDevice.Chosen;
        AcceleratorStream stream = accelerator.DefaultStream;
        using Context context = Context.Create(b => b.CPU(new CPUDevice(2, 1, 1)));
        using Accelerator other = context.GetCPUDevice(0).CreateCPUAccelerator(context);
        using var norm = new GradientNorm(accelerator, 10);
        using var g = accelerator.Allocate1D<float>(10);
        using var foreign = other.Allocate1D<float>(10);
        using var result = accelerator.Allocate1D<float>(3);
        ArrayView<float> r = result.View.BaseView.SubView(0, 1);
        ArrayView<float> c = result.View.BaseView.SubView(1, 2);
        Assert.Throws<ArgumentNullException>("accelerator", () => new GradientNorm(null!, 1));
        Assert.Throws<ArgumentOutOfRangeException>("maxLength", () => new GradientNorm(accelerator, -1));
        Assert.Throws<ArgumentOutOfRangeException>("maxTensors", () => new GradientNorm(accelerator, 1, 0));
        Assert.Throws<ArgumentNullException>("stream", () => norm.Norm(null!, g.View, r));
        Assert.Throws<ArgumentException>("stream", () => norm.Norm(other.DefaultStream, g.View, r));
        Assert.Throws<ArgumentException>("gradients", () => norm.Norm(stream, foreign.View, r));
        Assert.Throws<ArgumentException>("gradients", () => norm.Norm(stream, [g.View, g.View], r));
        Assert.Throws<ArgumentException>("result", () => norm.Norm(stream, g.View, result.View));
        Assert.Throws<ArgumentException>("result", () => norm.Norm(stream, g.View, g.View.BaseView.SubView(3, 1)));
        Assert.Throws<ArgumentException>("control", () => norm.Control(stream, [g.View], r, r, 1, 1));
        Assert.Throws<ArgumentException>(
            "control", () => norm.Control(stream, [g.View], r, result.View.BaseView.SubView(0, 2), 1, 1));
        Assert.Throws<ArgumentException>(
            "control", () => norm.Control(stream, [g.View], r, g.View.BaseView.SubView(0, 2), 1, 1));
        Assert.Throws<ArgumentOutOfRangeException>("maxNorm", () => norm.Control(stream, [g.View], r, c, -1, 1));
        Assert.Throws<ArgumentOutOfRangeException>("maxNorm", () => norm.Control(stream, [g.View], r, c, double.NaN, 1));
        Assert.Throws<ArgumentOutOfRangeException>("inverseScale", () => norm.Control(stream, [g.View], r, c, 1, 0));
        Assert.Throws<ArgumentOutOfRangeException>(
            "inverseScale", () => norm.Control(stream, [g.View], r, c, 1, double.NaN));
        Assert.Throws<ArgumentNullException>("scaler", () => norm.Control(stream, [g.View], r, c, 1, null!));
        using var shorter = new GradientNorm(accelerator, 9);
        Assert.Throws<ArgumentException>("gradients", () => shorter.Norm(stream, g.View, r));
        shorter.Dispose();
        Assert.Throws<ObjectDisposedException>(() => shorter.Norm(stream, g.View, r));
    }

    [Fact]
    public void Allocates_nothing_per_call()
    {
        Accelerator accelerator = ReductionDevice.Chosen;
        GradientNorm norm = Loaded(accelerator);
        using var g = accelerator.Allocate1D(Numbers.LogUniform(MaxLength, seed: 2));
        using var result = accelerator.Allocate1D<float>(1);
        Allocations.AssertNone(accelerator, () => norm.Norm(accelerator.DefaultStream, g.View, result.View));
    }

    private static float[] Control(Accelerator accelerator, float[] g, double inverseScale)
    {
        GradientNorm norm = Loaded(accelerator);
        using var gradient = new GuardedTensor(accelerator, g);
        using var result = new GuardedTensor(accelerator, [-1]);
        using var control = new GuardedTensor(accelerator, [-1, -1]);
        norm.Control(accelerator.DefaultStream, [gradient.Floats], result.Floats, control.Floats, 1, inverseScale);
        accelerator.Synchronize();
        return control.Values();
    }

    // Loading kernels is what costs most.
    private static GradientNorm Loaded(Accelerator accelerator, DeviceFacts? facts = null) =>
        s_loaded.GetOrAdd((accelerator, facts), static key => new GradientNorm(key.Item1, MaxLength, 6, key.Item2));

    private static float Norm(Accelerator accelerator, DeviceFacts facts, float[] g)
    {
        GradientNorm norm = Loaded(accelerator, facts);
        using var gradient = new GuardedTensor(accelerator, g);
        using var result = new GuardedTensor(accelerator, [-1]);
        norm.Norm(accelerator.DefaultStream, gradient.Floats, result.Floats);
        accelerator.Synchronize();
        Assert.Equal(g, gradient.Values());
        return result.Values()[0];
    }
}
