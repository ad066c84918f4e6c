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

/// <summary>One step of 8-bit Adam: everything follows from these few numbers.</summary>
public sealed record EightBitCase(int Length, int Shift, int Step, Storage P, Storage G, int Seed);

/// <summary>Generates and shrinks steps.</summary>
public static class EightBitCases
{
    private static readonly int[] s_lengths = [0, 1, 3, 255, 256, 257, 512, 1027];

    public static Arbitrary<EightBitCase> EightBitCase() => Arb.From(
        from length in Gen.Elements(s_lengths)
        from shift in Gen.Frequency((2, Gen.Constant(0)), (1, Gen.Choose(1, 3)))
        from step in Gen.Elements(1, 2, 100, 10_000)
        from storage in Gen.Frequency(
            (3, Gen.Constant((P: Storage.F32, G: Storage.F32))),
            (1, Gen.Elements(
                (P: Storage.F16, G: Storage.F16), (P: Storage.BF16, G: Storage.BF16), (P: Storage.F32, G: Storage.BF16))))
        from seed in Gen.Choose(0, int.MaxValue - 1)
        select new EightBitCase(length, shift, step, storage.P, storage.G, seed),
        c => s_lengths.Where(n => n < c.Length).Select(n => c with { Length = n }));
}

/// <summary>The tensors of a step on the host.</summary>
public sealed class EightBitData
{
    public EightBitData(EightBitCase c)
    {
        var draw = new Draw(c.Seed);
        double rate = draw.OneOf(0, draw.LogUniform(1e-6, 1));
        double beta1 = draw.OneOf(0, 0.5, 0.9, 0.95);
        double beta2 = draw.OneOf(0, 0.9, 0.99, 0.999);
        double epsilon = draw.LogUniform(1e-10, 1e-2);
        double decay = draw.OneOf(0, draw.LogUniform(1e-4, 0.5));
        bool decoupled = draw.OneOf(true, false);
        bool maximize = draw.OneOf(false, false, true);
        Options = new AdamOptions
        {
            LearningRate = rate,
            Beta1 = beta1,
            Beta2 = beta2,
            Epsilon = epsilon,
            WeightDecay = decay,
            Decoupled = decoupled,
            Maximize = maximize,
        };
        Reference = new EightBitAdamReference(
            new AdamReference(rate, beta1, beta2, epsilon, decay, decoupled, maximize: maximize));
        P = StepData.Encode(draw.Floats(c.Length), c.P);
        G = StepData.Encode(draw.Floats(c.Length), c.G);
        CodesM = Codes(draw, c.Length);
        CodesV = Codes(draw, c.Length);
        ScalesM = Scales(draw, c.Length, 1);
        ScalesV = Scales(draw, c.Length, 2);
    }

    public AdamOptions Options { get; }

    public EightBitAdamReference Reference { get; }

    public uint[] P { get; }

    public uint[] G { get; }

    public byte[] CodesM { get; }

    public byte[] CodesV { get; }

    public float[] ScalesM { get; }

    public float[] ScalesV { get; }

    private static byte[] Codes(Draw draw, int n)
    {
        var codes = new byte[n];
        for (int i = 0; i < n; i++)
        {
            codes[i] = (byte)draw.Below(256);
        }

        return codes;
    }

    private static float[] Scales(Draw draw, int n, int power)
    {
        var scales = new float[EightBitAdamLauncher.ScaleCount(n)];
        for (int i = 0; i < scales.Length; i++)
        {
            scales[i] = draw.OneOf(0f, 1f, (float)Math.Pow(draw.LogUniform(1e-6, 1e3), power));
        }

        return scales;
    }
}

/// <summary>What a step leaves: raw bits.</summary>
public sealed record EightBitResult(uint[] P, byte[] CodesM, byte[] CodesV, uint[] ScalesM, uint[] ScalesV)
{
    public void ShouldEqual(EightBitResult other)
    {
        Assert.Equal(other.P, P);
        Assert.Equal(other.ScalesM, ScalesM);
        Assert.Equal(other.ScalesV, ScalesV);
        Assert.Equal(other.CodesM, CodesM);
        Assert.Equal(other.CodesV, CodesV);
    }
}

/// <summary>Bytes on the device with canaries before and behind them.</summary>
public sealed class GuardedBytes : IDisposable
{
    private const int Guard = 8;
    private const byte Canary = 0xA5;

    private readonly MemoryBuffer1D<byte, Stride1D.Dense> _bytes;
    private readonly int _first;
    private readonly int _length;

    public GuardedBytes(Accelerator accelerator, byte[] bytes, int shift)
    {
        _first = Guard + shift;
        _length = bytes.Length;
        byte[] raw = [.. Enumerable.Repeat(Canary, _first + _length + Guard)];
        bytes.CopyTo(raw, _first);
        _bytes = accelerator.Allocate1D(raw);
    }

    public ArrayView<byte> View => _bytes.View.SubView(_first, _length);

    public byte[] Bytes()
    {
        byte[] raw = _bytes.GetAsArray1D();
        Assert.All(raw[.._first], b => Assert.Equal(Canary, b));
        Assert.All(raw[(_first + _length)..], b => Assert.Equal(Canary, b));
        return raw[_first..(_first + _length)];
    }

    public void Dispose() => _bytes.Dispose();
}

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

    [Theory]
    [InlineData(EightBitMap.WithSign)]
    [InlineData(EightBitMap.WithoutSign)]
    public void States_go_to_F32_and_back(EightBitMap map)
    {
        bool isSigned = map == EightBitMap.WithSign;
        Accelerator accelerator = TestDevices.Session.Accelerator;
        var launcher = new EightBitAdamLauncher(accelerator, new AdamOptions());
        foreach (int n in new[] { 0, 1, 255, 256, 257, 1027 })
        {
            foreach (int shift in new[] { 0, 1 })
            {
                float[] values = new Draw(n + shift).Floats(n, 1e-20, 1e3);
                if (n > 0)
                {
                    values[n / 2] = float.NaN;
                    values[n - 1] = float.PositiveInfinity;
                }

                float[] kept = Array.ConvertAll(
                    values, v => float.IsFinite(v) && (isSigned || v > 0) ? v : 0f);
                using var x = new GuardedTensor(accelerator, values, shift);
                using var codes = new GuardedBytes(accelerator, new byte[n], shift);
                using var scales = new GuardedTensor(
                    accelerator, new float[EightBitAdamLauncher.ScaleCount(n)], shift);
                using var back = new GuardedTensor(accelerator, new float[n], shift);
                using var again = new GuardedBytes(accelerator, new byte[n], shift);
                launcher.Quantize(accelerator.DefaultStream, x.Floats, codes.View, scales.Floats, map);
                launcher.Dequantize(accelerator.DefaultStream, codes.View, scales.Floats, back.Floats, map);
                accelerator.Synchronize();
                float[] scale = scales.Values();
                byte[] code = codes.Bytes();
                float[] decoded = back.Values();
                Check(kept, code, scale);
                for (int i = 0; i < n; i++)
                {
                    Assert.True(EightBitAdamReference.Decode(code[i], scale[i / 256], isSigned).Admits(decoded[i]));
                }

                // The largest magnitude stays what it is unless it is negative: then it loses 0.7 %, and so may others.
                if (!isSigned)
                {
                    launcher.Quantize(accelerator.DefaultStream, back.Floats, again.View, scales.Floats, map);
                    accelerator.Synchronize();
                    Assert.Equal(code, again.Bytes());
                }
            }
        }

        void Check(float[] values, byte[] code, float[] scale)
        {
            for (int block = 0; block < scale.Length; block++)
            {
                Bounded[] part = [.. values.Skip(block * 256).Take(256).Select(v => Bounded.FromDouble(v))];
                Assert.True(EightBitAdamReference.AdmitsScale(part, scale[block]));
                for (int i = 0; i < part.Length; i++)
                {
                    Assert.True(
                        EightBitAdamReference.AdmitsCode(part[i], scale[block], code[(block * 256) + i], isSigned),
                        $"{part[i]} of {scale[block]:R} became {code[(block * 256) + i]}");
                }
            }
        }
    }

    [Fact]
    public void Scales_below_the_normal_numbers_are_raised_to_them()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        var launcher = new EightBitAdamLauncher(accelerator, new AdamOptions());
        using var x = new GuardedTensor(accelerator, [5e-39f, 1e-40f, 0f]);
        using var codes = new GuardedBytes(accelerator, new byte[3], 0);
        using var scales = new GuardedTensor(accelerator, new float[1]);
        launcher.Quantize(accelerator.DefaultStream, x.Floats, codes.View, scales.Floats, EightBitMap.WithoutSign);
        accelerator.Synchronize();
        Assert.Equal(1.17549435e-38f, scales.Values()[0]);
        Assert.True(EightBitAdamReference.AdmitsCode(5e-39f, 1.17549435e-38f, codes.Bytes()[0], isSigned: false));
        Assert.Equal(0, codes.Bytes()[2]);
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
