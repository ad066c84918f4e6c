using FsCheck;
using FsCheck.Fluent;
using FsCheck.Xunit;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Launching;
using Kernels.Optimizers;
using Kernels.References;
using Kernels.References.Optimizers;
using Kernels.Tests.Support;

namespace Kernels.Tests.Optimizers;

/// <summary>What holds for 8-bit Adam, in every storage and on every device.</summary>
[Properties(Arbitrary = [typeof(EightBitCases)], QuietOnSuccess = true)]
public sealed class EightBitAdamProperties
{
    private static readonly LinearWalk[] s_deviceWalks = [LinearWalk.Elements, LinearWalk.Packets];

    [Property(MaxTest = 100)]
    public void Matches_the_reference(EightBitCase c)
    {
        var data = new EightBitData(c);
        CompareWithReference(c, data, Run(TestDevices.Session.Accelerator, c, data, walk: null));
    }

    [Property(MaxTest = 12)]
    public void Matches_the_reference_on_every_warp_size_and_walk(EightBitCase c)
    {
        var data = new EightBitData(c);
        foreach (int warp in TestDevices.WarpSizes)
        {
            EightBitResult elements = Run(TestDevices.Warp(warp), c, data, LinearWalk.Elements);
            CompareWithReference(c, data, elements);
            Run(TestDevices.Warp(warp), c, data, LinearWalk.Host).ShouldEqual(elements);
            Run(TestDevices.Warp(warp), c, data, LinearWalk.Serial).ShouldEqual(elements);
            if (c.Shift == 0)
            {
                Run(TestDevices.Warp(warp), c, data, LinearWalk.Packets).ShouldEqual(elements);
            }
        }
    }

    [Property(MaxTest = 30)]
    public void Every_walk_gives_the_same_bits(EightBitCase c)
    {
        EightBitCase aligned = c with { Shift = 0 };
        var data = new EightBitData(aligned);
        Accelerator accelerator = TestDevices.Session.Accelerator;
        EightBitResult natural = Run(accelerator, aligned, data, walk: null);
        if (!TestDevices.IsHost)
        {
            Run(accelerator, aligned, data, LinearWalk.Elements).ShouldEqual(natural);
            Run(accelerator, aligned, data, LinearWalk.Packets).ShouldEqual(natural);
        }

        Run(accelerator, aligned with { Shift = 1 }, data, walk: null).ShouldEqual(natural);
        Run(accelerator, aligned, data, walk: null).ShouldEqual(natural);
    }

    [Property(MaxTest = 20)]
    public void Blocks_do_not_know_of_each_other(EightBitCase c)
    {
        c = c with { Length = 1027 };
        var data = new EightBitData(c);
        Accelerator accelerator = TestDevices.Session.Accelerator;
        Run(accelerator, c, data, walk: null, cut: 512).ShouldEqual(Run(accelerator, c, data, walk: null));
    }

    [Property(MaxTest = 30)]
    public void A_skipped_step_leaves_every_bit_and_a_factor_is_obeyed(EightBitCase c)
    {
        c = c with { G = Storage.F32 };
        var data = new EightBitData(c);
        Accelerator accelerator = TestDevices.Session.Accelerator;
        EightBitResult before = new(data.P, data.CodesM, data.CodesV, Bits(data.ScalesM), Bits(data.ScalesV));
        Run(accelerator, c, data, walk: null, control: [float.NaN, 1f]).ShouldEqual(before);
        EightBitResult half = Run(accelerator, c, data, walk: null, control: [0.5f, 0f]);
        uint[] whole = [.. data.G];
        for (int i = 0; i < data.G.Length; i++)
        {
            data.G[i] = BitConverter.SingleToUInt32Bits(BitConverter.UInt32BitsToSingle(data.G[i]) * 0.5f);
        }

        Run(accelerator, c, data, walk: null).ShouldEqual(half);

        // The walks of devices, where a group is long to simulate.
        if (c.Length is 0 or > 257)
        {
            return;
        }

        foreach (LinearWalk walk in c.Shift == 0 ? s_deviceWalks : s_deviceWalks[..1])
        {
            half = Run(TestDevices.Warp(32), c, data, walk);
            uint[] halved = [.. data.G];
            whole.CopyTo(data.G, 0);
            Run(TestDevices.Warp(32), c, data, walk, control: [float.NaN, 1f]).ShouldEqual(before);
            Run(TestDevices.Warp(32), c, data, walk, control: [0.5f, 0f]).ShouldEqual(half);
            halved.CopyTo(data.G, 0);
        }
    }

    [Property(MaxTest = 25)]
    public void Average_and_copy_follow_the_parameter_and_change_nothing_else(EightBitCase c)
    {
        c = c with { P = Storage.F32 };
        var data = new EightBitData(c);
        Accelerator accelerator = TestDevices.Session.Accelerator;
        EightBitResult plain = Run(accelerator, c, data, walk: null);
        float[] old = new Draw(c.Seed ^ 1).Floats(c.Length);
        foreach ((Storage storage, bool stochastic) in new[]
            {
                (Storage.F16, false), (Storage.BF16, false), (Storage.BF16, true),
            })
        {
            using var average = new GuardedTensor(accelerator, old, c.Shift);
            using var copy = new GuardedTensor(accelerator, storage, new uint[c.Length], c.Shift);
            var extras = new UpdateExtras
            {
                Average = average.Floats,
                AverageRate = 0.25,
                Copy = copy.View,
                StochasticRounding = stochastic,
                Seed = 77,
                FirstElement = 12,
            };
            Run(accelerator, c, data, walk: null, extras: extras).ShouldEqual(plain);
            float[] averages = average.Values();
            uint[] copies = copy.Bits();
            for (int i = 0; i < c.Length; i++)
            {
                float p = BitConverter.UInt32BitsToSingle(plain.P[i]);
                Bounded wanted = AveragingReference.Exponential(old[i], p, 0.75);
                Assert.True(wanted.Admits(averages[i]), $"{c}: average[{i}] must be {wanted}, and is {averages[i]:R}.");
                Assert.Equal(
                    stochastic
                        ? NarrowingReference.ToBFloat16(p, PhiloxReference.RoundingBits((ulong)i + 12, (uint)c.Step, 77))
                        : StepData.Encode([p], storage)[0],
                    copies[i]);
            }
        }
    }

    [Property(MaxTest = 25)]
    public void Stochastic_rounding_rounds_what_the_step_in_F32_gives(EightBitCase c)
    {
        c = c with { P = Storage.BF16 };
        var data = new EightBitData(c);
        Accelerator accelerator = TestDevices.Session.Accelerator;
        var extras = new UpdateExtras { StochasticRounding = true, Seed = 3 };
        EightBitResult rounded = Run(accelerator, c, data, walk: null, extras: extras);
        for (int i = 0; i < c.Length; i++)
        {
            data.P[i] <<= 16;
        }

        EightBitResult exact = Run(accelerator, c with { P = Storage.F32 }, data, walk: null);
        uint[] wanted =
        [
            .. exact.P.Select((bits, i) => (uint)NarrowingReference.ToBFloat16(
                BitConverter.UInt32BitsToSingle(bits), PhiloxReference.RoundingBits((ulong)i, (uint)c.Step, 3))),
        ];
        rounded.ShouldEqual(exact with { P = wanted });
    }

    [Theory]
    [InlineData(Storage.F32)]
    [InlineData(Storage.F16)]
    [InlineData(Storage.BF16)]
    public void A_gradient_that_is_not_finite_costs_its_element_and_nothing_else(Storage storage)
    {
        var c = new EightBitCase(1027, 0, 3, storage, storage, 17);
        int[] poisoned = [0, 5, 300, 1026];
        float[] poison = [float.NaN, float.PositiveInfinity, float.NegativeInfinity, float.NaN];
        Accelerator accelerator = TestDevices.Session.Accelerator;
        var data = new EightBitData(c);
        AdamOptions options = data.Options with { WeightDecay = 0, LearningRate = 1e-3, Beta1 = 0.9, Beta2 = 0.999 };
        foreach (int i in poisoned)
        {
            // Without the poison these elements are to be zeros.
            data.G[i] = 0;
            data.CodesM[i] = 127;
            data.CodesV[i] = 0;
        }

        EightBitResult clean = Run(accelerator, c, data, walk: null, options: options);
        for (int k = 0; k < poisoned.Length; k++)
        {
            data.G[poisoned[k]] = StepData.Encode([poison[k]], storage)[0];
        }

        EightBitResult result = Run(accelerator, c, data, walk: null, options: options);
        Assert.Equal(clean.CodesM, result.CodesM);
        Assert.Equal(clean.CodesV, result.CodesV);
        Assert.Equal(clean.ScalesM, result.ScalesM);
        Assert.Equal(clean.ScalesV, result.ScalesV);
        for (int i = 0; i < c.Length; i++)
        {
            if (poisoned.Contains(i))
            {
                Assert.True(float.IsNaN(StepData.Decode(result.P[i], storage)), $"p[{i}]");
                Assert.Equal(127, result.CodesM[i]);
                Assert.Equal(0, result.CodesV[i]);
            }
            else
            {
                Assert.Equal(clean.P[i], result.P[i]);
            }
        }
    }

    /// <summary>A state that is not finite, as of a caller's own making, is taken back to zeros.</summary>
    [Theory]
    [InlineData(float.PositiveInfinity, 1f)]
    [InlineData(float.NaN, 1f)]
    [InlineData(1f, float.PositiveInfinity)]
    [InlineData(1f, float.NaN)]
    public void A_scale_that_is_not_finite_costs_its_block_and_no_other(float scaleM, float scaleV)
    {
        var c = new EightBitCase(512, 0, 3, Storage.F32, Storage.F32, 31);
        var data = new EightBitData(c);
        AdamOptions options = new() { LearningRate = 1e-3, Beta1 = 0.9, Beta2 = 0.99 };
        for (int i = 0; i < c.Length; i++)
        {
            // No zeros, which an infinite scale would make NaN: infinite moments are to be met too.
            data.CodesM[i] = (byte)(200 + i % 50);
            data.CodesV[i] = (byte)(100 + i % 150);
        }

        Array.Fill(data.ScalesM, 1f);
        Array.Fill(data.ScalesV, 1f);
        foreach (LinearWalk? walk in new LinearWalk?[] { null, LinearWalk.Elements, LinearWalk.Packets })
        {
            Accelerator accelerator = walk is null ? TestDevices.Session.Accelerator : TestDevices.Warp(32);
            (data.ScalesM[1], data.ScalesV[1]) = (1f, 1f);
            EightBitResult clean = Run(accelerator, c, data, walk, options: options);
            (data.ScalesM[1], data.ScalesV[1]) = (scaleM, scaleV);
            EightBitResult result = Run(accelerator, c, data, walk, options: options);
            Assert.Equal(clean.P[..256], result.P[..256]);
            Assert.Equal(clean.CodesM[..256], result.CodesM[..256]);
            Assert.Equal(clean.CodesV[..256], result.CodesV[..256]);
            Assert.All(result.CodesM[256..], code => Assert.Equal(127, code));
            Assert.All(result.CodesV[256..], code => Assert.Equal(0, code));
            Assert.Equal([clean.ScalesM[0], 0u], result.ScalesM);
            Assert.Equal([clean.ScalesV[0], 0u], result.ScalesV);
        }
    }

    [Fact]
    public void A_gradient_whose_square_overflows_loses_its_state_only()
    {
        var c = new EightBitCase(256, 0, 3, Storage.F32, Storage.F32, 19);
        var data = new EightBitData(c);
        AdamOptions options = data.Options with { WeightDecay = 0, Beta2 = 0.5 };
        data.G[7] = BitConverter.SingleToUInt32Bits(1e30f);
        EightBitResult result = Run(TestDevices.Session.Accelerator, c, data, walk: null, options: options);
        Assert.Equal(data.P[7], result.P[7]);
        Assert.Equal(127, result.CodesM[7]);
        Assert.Equal(0, result.CodesV[7]);
        Assert.True(BitConverter.UInt32BitsToSingle(result.ScalesV[0]) < 1e30f);
    }

    [Fact]
    public void Zeros_stay_zeros_and_fresh_buffers_are_a_fresh_state()
    {
        var c = new EightBitCase(257, 0, 1, Storage.F32, Storage.F32, 23);
        var data = new EightBitData(c);
        AdamOptions options = data.Options with { WeightDecay = 0, LearningRate = 0.1 };
        Array.Clear(data.G);
        Array.Clear(data.CodesM);
        Array.Clear(data.CodesV);
        Array.Clear(data.ScalesM);
        Array.Clear(data.ScalesV);
        EightBitResult result = Run(TestDevices.Session.Accelerator, c, data, walk: null, options: options);
        Assert.Equal(
            data.P.Select(BitConverter.UInt32BitsToSingle), result.P.Select(BitConverter.UInt32BitsToSingle));
        Assert.All(result.CodesM, code => Assert.Equal(127, code));
        Assert.All(result.CodesV, code => Assert.Equal(0, code));
        Assert.All(result.ScalesM.Concat(result.ScalesV), scale => Assert.Equal(0u, scale));
    }

    /// <summary>Even where it is too small beside its block for its quotient to be a number.</summary>
    [Fact]
    public void A_mean_square_whose_share_of_its_block_underflows_never_becomes_zero()
    {
        var c = new EightBitCase(256, 0, 2, Storage.F32, Storage.F32, 37);
        var data = new EightBitData(c);
        Array.Clear(data.ScalesM);
        Array.Clear(data.ScalesV);
        for (int i = 0; i < c.Length; i++)
        {
            // 1e36 and 1e-12 in squares: 48 powers of ten apart, and binary32 has 45 below 1.
            data.G[i] = BitConverter.SingleToUInt32Bits(i == 0 ? 1e18f : i % 2 == 0 ? 1e-6f : 0f);
        }

        foreach (LinearWalk? walk in new LinearWalk?[] { null, LinearWalk.Elements, LinearWalk.Packets })
        {
            Accelerator accelerator = walk is null ? TestDevices.Session.Accelerator : TestDevices.Warp(32);
            EightBitResult result = Run(accelerator, c, data, walk, options: new AdamOptions { Beta2 = 0.5 });
            Assert.Equal(255, result.CodesV[0]);
            for (int i = 1; i < c.Length; i++)
            {
                Assert.Equal(i % 2 == 0 ? 1 : 0, result.CodesV[i]);
            }
        }
    }

    [Fact]
    public void A_mean_square_far_below_its_block_never_becomes_zero()
    {
        var c = new EightBitCase(256, 0, 1000, Storage.F32, Storage.F32, 29);
        var data = new EightBitData(c);
        AdamOptions options = new() { LearningRate = 1e-3 };
        Array.Clear(data.ScalesM);
        Array.Clear(data.ScalesV);
        for (int i = 0; i < c.Length; i++)
        {
            data.G[i] = BitConverter.SingleToUInt32Bits(i == 0 ? 1e3f : 1e-3f);
        }

        Accelerator accelerator = TestDevices.Session.Accelerator;
        EightBitResult first = Run(accelerator, c, data, walk: null, options: options);
        Assert.Equal(255, first.CodesV[0]);
        Assert.All(first.CodesV[1..], code => Assert.Equal(1, code));
        // The next gradient is 0: over epsilon alone, the mean would move the parameter by 1e-3 * 9e-5 / 1e-8 = 9.
        Array.Clear(data.G);
        first.P.CopyTo(data.P, 0);
        first.CodesM.CopyTo(data.CodesM, 0);
        first.CodesV.CopyTo(data.CodesV, 0);
        Array.ConvertAll(first.ScalesM, BitConverter.UInt32BitsToSingle).CopyTo(data.ScalesM, 0);
        Array.ConvertAll(first.ScalesV, BitConverter.UInt32BitsToSingle).CopyTo(data.ScalesV, 0);
        EightBitResult second = Run(accelerator, c, data, walk: null, options: options);
        for (int i = 1; i < c.Length; i++)
        {
            float p = BitConverter.UInt32BitsToSingle(first.P[i]);
            Assert.InRange(BitConverter.UInt32BitsToSingle(second.P[i]), p - 0.01f, p + 0.01f);
        }
    }

    [Fact]
    public void What_does_not_fit_is_named()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        AcceleratorStream stream = accelerator.DefaultStream;
        using MemoryBuffer1D<float, Stride1D.Dense> floats = accelerator.Allocate1D(new float[2048]);
        using MemoryBuffer1D<byte, Stride1D.Dense> bytes = accelerator.Allocate1D(new byte[2048]);
        ArrayView<float> p = floats.View.SubView(0, 300);
        ArrayView<float> g = floats.View.SubView(300, 300);
        ArrayView<float> sm = floats.View.SubView(600, 2);
        ArrayView<float> sv = floats.View.SubView(602, 2);
        ArrayView<byte> cm = bytes.View.SubView(0, 300);
        ArrayView<byte> cv = bytes.View.SubView(300, 300);
        var launcher = new EightBitAdamLauncher(accelerator, new AdamOptions());
        launcher.Step(stream, p, g, cm, cv, sm, sv, 1);
        Fails("g", () => launcher.Step(stream, p, floats.View.SubView(300, 299), cm, cv, sm, sv, 1));
        Fails("codesM", () => launcher.Step(stream, p, g, bytes.View.SubView(0, 299), cv, sm, sv, 1));
        Fails("codesV", () => launcher.Step(stream, p, g, cm, bytes.View.SubView(299, 300), sm, sv, 1));
        Fails("absmaxM", () => launcher.Step(stream, p, g, cm, cv, floats.View.SubView(600, 1), sv, 1));
        Fails("absmaxV", () => launcher.Step(stream, p, g, cm, cv, sm, floats.View.SubView(601, 2), 1));
        Fails("step", () => launcher.Step(stream, p, g, cm, cv, sm, sv, 0));
        Fails("options", () => launcher.Step(stream, p, g, cm, cv, sm, sv, 1, new AdamOptions { AmsGrad = true }));
        Fails("options", () => launcher.Step(stream, p, g, cm, cv, sm, sv, 1, new AdamOptions { Beta1 = 1 }));
        Fails("options", () => _ = new EightBitAdamLauncher(accelerator, new AdamOptions { AmsGrad = true }));
        Fails("n", () => EightBitAdamLauncher.ScaleCount(-1));
        Fails("map", () => launcher.Quantize(stream, p, cm, sm, (EightBitMap)7));
        Fails("codes", () => launcher.Quantize(stream, p, bytes.View.SubView(0, 7), sm, EightBitMap.WithSign));
        Fails("stream", () => launcher.Step(TestDevices.Warp(2).DefaultStream, p, g, cm, cv, sm, sv, 1));
        accelerator.Synchronize();

        static void Fails(string name, Action call)
        {
            ArgumentException exception = Assert.ThrowsAny<ArgumentException>(call);
            Assert.Equal(name, exception.ParamName);
        }
    }

    internal static EightBitResult Run(
        Accelerator accelerator, EightBitCase c, EightBitData data, LinearWalk? walk, int cut = 0,
        AdamOptions? options = null, float[]? control = null, UpdateExtras extras = default)
    {
        using var p = new GuardedTensor(accelerator, c.P, data.P, c.Shift);
        using var g = new GuardedTensor(accelerator, c.G, data.G, c.Shift);
        using var codesM = new GuardedBytes(accelerator, data.CodesM, c.Shift);
        using var codesV = new GuardedBytes(accelerator, data.CodesV, c.Shift);
        using var scalesM = new GuardedTensor(accelerator, data.ScalesM, c.Shift);
        using var scalesV = new GuardedTensor(accelerator, data.ScalesV, c.Shift);
        using var flags = new GuardedTensor(accelerator, control ?? [1f, 0f]);
        extras = control is null ? extras : extras with { Control = flags.Floats };
        var launcher = new EightBitAdamLauncher(accelerator, options ?? data.Options);
        foreach ((int first, int length) in cut == 0 ? [(0, c.Length)] : new[] { (0, cut), (cut, c.Length - cut) })
        {
            int block = first / 256;
            int blocks = (int)EightBitAdamLauncher.ScaleCount(length);
            launcher.Step(
                accelerator.DefaultStream, p.View.Slice(first, length), g.View.Slice(first, length),
                codesM.View.SubView(first, length), codesV.View.SubView(first, length),
                scalesM.Floats.SubView(block, blocks), scalesV.Floats.SubView(block, blocks), c.Step, null, extras, walk);
        }

        accelerator.Synchronize();
        Assert.Equal(data.G, g.Bits());
        return new EightBitResult(p.Bits(), codesM.Bytes(), codesV.Bytes(), scalesM.Bits(), scalesV.Bits());
    }

    private static void CompareWithReference(EightBitCase c, EightBitData data, EightBitResult result)
    {
        for (int block = 0; block < data.ScalesM.Length; block++)
        {
            int first = block * 256;
            int count = Math.Min(256, c.Length - first);
            var m = new Bounded[count];
            var v = new Bounded[count];
            for (int k = 0; k < count; k++)
            {
                int i = first + k;
                m[k] = EightBitAdamReference.Decode(data.CodesM[i], data.ScalesM[block], isSigned: true);
                v[k] = EightBitAdamReference.Decode(data.CodesV[i], data.ScalesV[block], isSigned: false);
                Bounded p = data.Reference.Step(
                    c.Step, StepData.Decode(data.P[i], c.P), StepData.Decode(data.G[i], c.G), ref m[k], ref v[k]);
                p = c.P switch
                {
                    Storage.F32 => p,
                    Storage.F16 => NarrowingReference.StoredAsFloat16(p),
                    _ => NarrowingReference.StoredAsBFloat16(p),
                };
                float got = StepData.Decode(result.P[i], c.P);
                Assert.True(p.Admits(got), $"{c}: p[{i}] must be {p}, and is {got:R}.");
            }

            Check(m, result.ScalesM[block], result.CodesM, first, isSigned: true);
            Check(v, result.ScalesV[block], result.CodesV, first, isSigned: false);
        }

        void Check(Bounded[] values, uint bits, byte[] codes, int first, bool isSigned)
        {
            float scale = BitConverter.UInt32BitsToSingle(bits);
            Assert.True(EightBitAdamReference.AdmitsScale(values, scale), $"{c}: scale {scale:R} at {first}.");
            for (int k = 0; k < values.Length; k++)
            {
                Assert.True(
                    EightBitAdamReference.AdmitsCode(values[k], scale, codes[first + k], isSigned),
                    $"{c}: {values[k]} of {scale:R} became {codes[first + k]} at {first + k}.");
            }
        }
    }

    private static uint[] Bits(float[] values) => Array.ConvertAll(values, BitConverter.SingleToUInt32Bits);
}
