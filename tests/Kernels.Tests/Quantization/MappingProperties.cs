using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using Kernels.DeviceCode.Quantization;
using Kernels.DeviceCode.Reductions;
using Kernels.Quantization;
using Kernels.References;
using Kernels.References.Quantization;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;
using Decay = Kernels.References.Quantization.MappingDecay;
using MappingDecay = Kernels.Quantization.MappingDecay;
using OneAndTwo = Kernels.DeviceCode.Quantization.MappingPair<
    Kernels.DeviceCode.Quantization.MappingOne,
    Kernels.DeviceCode.Quantization.MappingPair<
        Kernels.DeviceCode.Quantization.MappingOne, Kernels.DeviceCode.Quantization.MappingOne>>;
using TwoAndOne = Kernels.DeviceCode.Quantization.MappingPair<
    Kernels.DeviceCode.Quantization.MappingPair<
        Kernels.DeviceCode.Quantization.MappingOne, Kernels.DeviceCode.Quantization.MappingOne>,
    Kernels.DeviceCode.Quantization.MappingOne>;

namespace Kernels.Tests.Quantization;

public sealed class MappingProperties
{
    public static TheoryData<int, Decay, bool> Rules()
    {
        var data = new TheoryData<int, Decay, bool>();
        int[] sizes = [2, 3, 4, 5, 7, 8, 11, 16, 17, 256];
        for (int i = 0; i < sizes.Length; i++)
        {
            // Each number of codes with one rule in turn, and 4, 16 and 17 with all.
            foreach (Decay decay in Enum.GetValues<Decay>())
            {
                if (sizes[i] is 4 or 17 || (int)decay == i % 4)
                {
                    data.Add(sizes[i], decay, i % 2 == 0);
                    data.Add(sizes[i], decay, i % 2 != 0);
                }
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Rules))]
    public void Is_within_the_bounds_of_the_oracle(int k, Decay decay, bool isCentred)
    {
        foreach ((ScopeChoice codebooks, ScopeChoice scales, double temperature) in new[]
        {
            (ScopeChoice.All, ScopeChoice.All, 1.0), (ScopeChoice.Rows, ScopeChoice.Blocks, 0.3),
            (ScopeChoice.Blocks, ScopeChoice.Groups, 7.0), (ScopeChoice.Groups, ScopeChoice.Rows, 1.0),
        })
        {
            var matrix = new LearnedMatrix(5, k > 100 ? 3 : 9, k, codebooks, scales, k + (int)scales);
            float[] logits = Logits(matrix, k);
            Check(matrix, logits, decay, isCentred, temperature, 0, shift: (int)scales);
        }
    }

    /// <summary>In one context both must compile, whichever comes first: see <see cref="MappingPair{TLow, THigh}"/>.</summary>
    [Fact]
    public void Rows_that_differ_in_nothing_but_their_nesting_are_two_types()
    {
        using CPUAccelerator accelerator = TestDevices.CreateWarp(2, 2);
        accelerator.LoadKernel<MappingWork<OneAndTwo, DistanceDecay>, long>(Walks.Items);
        accelerator.LoadKernel<MappingWork<TwoAndOne, DistanceDecay>, long>(Walks.Items);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(5)]
    [InlineData(16)]
    [InlineData(40)]
    public void Hardening_is_that_of_the_oracle(int k)
    {
        var matrix = new LearnedMatrix(3, 11, k, ScopeChoice.Groups, ScopeChoice.Rows, k);
        Check(matrix, Logits(matrix, k), Decay.Ratio, false, 0.7, 0.3, shift: 1);
        Check(matrix, Logits(matrix, k), Decay.Distance, true, 1, 1, shift: 0);
    }

    [Fact]
    public void Ties_take_the_lowest_code_and_NaN_stays_in_its_weight()
    {
        foreach (int k in new[] { 3, 16, 20 })
        {
            var matrix = new LearnedMatrix(1, 9, k, ScopeChoice.All, ScopeChoice.All, 1);
            float[] logits = new float[9 * k];
            var random = new Random(k);
            for (int i = 0; i < logits.Length; i++)
            {
                logits[i] = (i / k) switch
                {
                    0 => 3f,
                    1 => i % k >= k - 2 ? 1f : 0f,
                    2 => float.NaN,
                    3 => i % k == 0 ? float.NaN : -(i % k),
                    4 => float.NegativeInfinity,
                    5 => i % k == 1 ? float.PositiveInfinity : 0f,
                    6 => i % k == 0 ? -0f : 0f,
                    7 => i % k == 1 ? float.NegativeInfinity : float.NaN,
                    _ => random.NextSingle(),
                };
            }

            Check(matrix, logits, Decay.Adjacent, true, 1, 0, shift: 0);
        }
    }

    [Fact]
    public void The_default_gradient_sums_to_0_and_the_proximal_one_has_its_sign_and_fades()
    {
        float[] codebook = [-3f, -1f, 0f, 0.5f, 4f];
        var layout = new CodebookLayout(1, 5, new CodeFormat(5));
        Accelerator accelerator = TestDevices.Session.Accelerator;
        // Equal probabilities but for the code in use.
        float[] logits = [.. Enumerable.Range(0, 25).Select(i => i % 5 == i / 5 ? 0.01f : 0f)];
        float[] grad = [1f, 1f, 1f, 1f, 1f];
        float[] usual = Slopes(new MappingOptions { Rule = MappingRule.Default, IsCentred = false });
        // Exactly the sum is 0, so what there is comes from what each term may be off by.
        Bounded[] wanted = new MappingReference(Decay.Distance, isCentred: true, temperature: 1)
            .Gradient(logits, codebook, grad);
        float[] slopes = Slopes(new MappingOptions { Rule = MappingRule.Default });
        for (int i = 0; i < 25; i += 5)
        {
            Assert.Equal(0, slopes[i..(i + 5)].Sum(v => (double)v), wanted[i..(i + 5)].Sum(v => v.Bound));
        }

        foreach (MappingDecay decay in Enum.GetValues<MappingDecay>())
        {
            float[] proximal = Slopes(new MappingOptions { Decay = decay });
            for (int i = 0; i < 25; i++)
            {
                int own = i / 5;
                Assert.True(proximal[i] == 0 ? own == i % 5 || decay == MappingDecay.Adjacent
                    : Math.Sign(proximal[i]) == Math.Sign(usual[i]));
                int farther = i % 5 < own ? i - 1 : i + 1;
                if (own != i % 5 && farther / 5 == own && farther >= 0)
                {
                    Assert.True(Math.Abs(proximal[farther]) <= Math.Abs(proximal[i]));
                }
            }
        }

        float[] Slopes(MappingOptions options)
        {
            using var mapping = new Mapping(accelerator, layout, options);
            using var l = new GuardedTensor(accelerator, logits);
            using var c = new GuardedTensor(accelerator, codebook);
            using var g = new GuardedTensor(accelerator, grad);
            using var to = new GuardedTensor(accelerator, new float[25]);
            mapping.Backward(accelerator.DefaultStream, l.Floats, c.Floats, default, g.Floats, to.Floats);
            accelerator.Synchronize();
            return to.Values();
        }
    }

    /// <summary>The kernel's exponential is 0 below -87.3, where it would still be a normal number.</summary>
    [Fact]
    public void Codes_so_far_that_their_slope_vanishes_are_within_the_bounds()
    {
        // The mean gap is 1, and most codes are 87.25 to 87.4 of it away from the one in use.
        float[] codebook = [0, .. Enumerable.Range(0, 98).Select(i => 87.25f + (i * 0.0015f)), 99];
        float[] logits = new float[100];
        logits[0] = 0.01f;
        Accelerator accelerator = TestDevices.Session.Accelerator;
        using var mapping = new Mapping(
            accelerator, new CodebookLayout(1, 1, new CodeFormat(100)),
            new MappingOptions { Rule = MappingRule.Proximal, Decay = MappingDecay.Exponential, IsCentred = false });
        using var l = new GuardedTensor(accelerator, logits);
        using var c = new GuardedTensor(accelerator, codebook);
        using var g = new GuardedTensor(accelerator, [1e4f]);
        using var to = new GuardedTensor(accelerator, new float[100]);
        mapping.Backward(accelerator.DefaultStream, l.Floats, c.Floats, default, g.Floats, to.Floats);
        accelerator.Synchronize();
        float[] slopes = to.Values();
        LinearDevice.AssertWithin(
            new MappingReference(Decay.Exponential, isCentred: false, temperature: 1).Gradient(logits, codebook, [1e4f]),
            slopes, "gradient");
        Assert.NotEqual(0, slopes[1]);
        Assert.Equal(0, slopes[98]);
    }

    [Fact]
    public void Neither_the_launch_nor_other_weights_matter()
    {
        // A weight has the same bits alone, and among many.
        Accelerator accelerator = TestDevices.Session.Accelerator;
        foreach (int k in new[] { 5, 16, 33 })
        {
            const int Many = 1500;
            var draw = new Draw(k);
            float[] codebook = [.. draw.Floats(k).Order()];
            float[] one = draw.Floats(k, 1e-2, 10);
            float[] all = [.. Enumerable.Repeat(one, Many).SelectMany(row => row)];
            Assert.All(Slopes(Many, all).Chunk(k), row => Assert.Equal(Slopes(1, one), row));

            uint[] Slopes(int weights, float[] logits)
            {
                using var mapping = new Mapping(
                    accelerator, new CodebookLayout(1, weights, new CodeFormat(k)), new MappingOptions { IsCentred = true });
                using var l = new GuardedTensor(accelerator, logits);
                using var c = new GuardedTensor(accelerator, codebook);
                using var g = new GuardedTensor(accelerator, [.. Enumerable.Repeat(0.3f, weights)]);
                using var to = new GuardedTensor(accelerator, new float[logits.Length]);
                mapping.Backward(
                    accelerator.DefaultStream, l.Floats, c.Floats, default, g.Floats, to.Floats, temperature: 0.9,
                    hardening: 0.1);
                accelerator.Synchronize();
                return to.Bits();
            }
        }
    }

    [Fact]
    public void Allocates_no_managed_memory()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        using var mapping = new Mapping(
            accelerator, new CodebookLayout(2, 10, new CodeFormat(4), 1, WeightScope.Rows, WeightScope.Blocks(4)));
        using var logits = new GuardedTensor(accelerator, new float[80]);
        using var codebook = new GuardedTensor(accelerator, new float[8]);
        using var scale = new GuardedTensor(accelerator, new float[5]);
        using var grad = new GuardedTensor(accelerator, new float[20]);
        using var to = new GuardedTensor(accelerator, new float[80]);
        Allocations.AssertNone(accelerator, () => mapping.Backward(
            accelerator.DefaultStream, logits.Floats, codebook.Floats, scale.Floats, grad.Floats, to.Floats));
    }

    [Fact]
    public void Rejects_what_does_not_fit_by_its_name()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        Assert.Throws<ArgumentException>("layout", () => new Mapping(accelerator, new CodebookLayout(2, 4, new CodeFormat(4), 2)));
        Assert.Throws<ArgumentOutOfRangeException>("options", () => new Mapping(
            accelerator, new CodebookLayout(2, 4, new CodeFormat(4)), new MappingOptions { Rule = (MappingRule)2 }));
        using var mapping = new Mapping(accelerator, new CodebookLayout(2, 4, new CodeFormat(4), 1, null, WeightScope.Rows));
        using var room = new GuardedTensor(accelerator, new float[200]);
        using var codes = new GuardedBytes(accelerator, new byte[9], 0);
        ArrayView<float> all = room.Floats;
        ArrayView<float> logits = all.SubView(0, 32), codebook = all.SubView(32, 4), scale = all.SubView(36, 2);
        ArrayView<float> grad = all.SubView(40, 8), to = all.SubView(64, 32), value = all.SubView(100, 8);
        AcceleratorStream stream = accelerator.DefaultStream;
        Throws<ArgumentNullException>("stream", () => mapping.Forward(null!, logits, codebook, scale, value));
        Throws<ArgumentException>("logits", () => mapping.Forward(stream, all, codebook, scale, value));
        Throws<ArgumentException>("codebook", () => mapping.Forward(stream, logits, grad, scale, value));
        Throws<ArgumentException>("scale", () => mapping.Forward(stream, logits, codebook, default, value));
        Throws<ArgumentException>("value", () => mapping.Forward(stream, logits, codebook, scale, codebook));
        Throws<ArgumentException>("value", () => mapping.Forward(stream, logits, codebook, scale, all.SubView(30, 8)));
        Throws<ArgumentException>("index", () => mapping.Forward(stream, logits, codebook, scale, value, codes.View));
        Throws<ArgumentException>("grad", () => mapping.Backward(stream, logits, codebook, scale, scale, to));
        Throws<ArgumentException>("gradLogits", () => mapping.Backward(stream, logits, codebook, scale, grad, logits));
        Throws<ArgumentException>("impurity", () => mapping.Backward(
            stream, logits, codebook, scale, grad, to, impurity: all.SubView(66, 8)));
        foreach (double temperature in new[] { 0, -1, double.NaN, double.PositiveInfinity, 1e60 })
        {
            Throws<ArgumentOutOfRangeException>("temperature", () => mapping.Backward(
                stream, logits, codebook, scale, grad, to, temperature: temperature));
        }

        Throws<ArgumentOutOfRangeException>("hardening", () => mapping.Backward(
            stream, logits, codebook, scale, grad, to, hardening: -1));
        Assert.All(room.Values(), v => Assert.Equal(0, v));
        mapping.Dispose();
        Assert.Throws<ObjectDisposedException>(() => mapping.Forward(stream, logits, codebook, scale, value));
    }

    internal static void Throws<T>(string name, Action call)
        where T : ArgumentException => Assert.Throws<T>(name, call);

    private static float[] Logits(LearnedMatrix matrix, int k)
    {
        float[] logits = new Draw(k).Floats(matrix.Weights * k, 1e-2, 20);
        // Repeats are ties; one certain code.
        logits.AsSpan(0, k).Fill(-200);
        logits[1] = 200;
        return logits;
    }

    private static void Check(
        LearnedMatrix matrix, float[] logits, Decay decay, bool isCentred, double temperature, double hardening, int shift)
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        int k = matrix.Layout.Codes;
        float[] grad = new Draw(7).Floats(matrix.Weights, 1e-2, 10);
        using var mapping = new Mapping(accelerator, matrix.Layout, new MappingOptions
        {
            Rule = decay == Decay.Distance ? MappingRule.Default : MappingRule.Proximal,
            Decay = decay == Decay.Distance ? MappingDecay.Ratio : (MappingDecay)((int)decay - 1),
            IsCentred = isCentred,
        });
        using var l = new GuardedTensor(accelerator, logits, shift);
        using var c = new GuardedTensor(accelerator, matrix.Codebook, shift);
        using var s = new GuardedTensor(accelerator, matrix.Scale, shift);
        using var g = new GuardedTensor(accelerator, grad, shift);
        using var to = new GuardedTensor(accelerator, new float[logits.Length], shift);
        using var value = new GuardedTensor(accelerator, new float[grad.Length], shift);
        using var impurity = new GuardedTensor(accelerator, new float[grad.Length], shift);
        using var index = new GuardedBytes(accelerator, new byte[grad.Length], shift);
        ArrayView<float> scale = matrix.Scale.Length > 0 ? s.Floats : default;
        mapping.Backward(
            accelerator.DefaultStream, l.Floats, c.Floats, scale, g.Floats, to.Floats, value.Floats, index.View, temperature,
            hardening, impurity.Floats);
        accelerator.Synchronize();
        int[] codes = MappingReference.Hard(logits, k);
        Assert.Equal(codes, index.Bytes().Select(b => (int)b));
        Assert.Equal(codes.Select((code, i) => matrix.Value(i, code)), value.Values());
        var rule = new MappingReference(decay, isCentred, temperature);
        (Bounded[] penalty, Bounded[] harder) = rule.Harden(logits, k, hardening);
        var wanted = new List<Bounded>();
        for (int i = 0; i < matrix.Weights; i++)
        {
            wanted.AddRange(rule.Gradient(
                logits.AsSpan(i * k, k), matrix.BookOf(i), [grad[i] * matrix.ScaleOf(i)]));
        }

        if (hardening > 0)
        {
            wanted = [.. wanted.Zip(harder, (a, b) => a + b)];
            LinearDevice.AssertWithin(penalty, impurity.Values(), "impurity");
        }

        LinearDevice.AssertWithin([.. wanted], to.Values(), "gradient");

        // The gradient has the same bits alone.
        using var alone = new GuardedTensor(accelerator, new float[logits.Length], shift);
        mapping.Backward(
            accelerator.DefaultStream, l.Floats, c.Floats, scale, g.Floats, alone.Floats, temperature: temperature,
            hardening: hardening);
        accelerator.Synchronize();
        Assert.Equal(to.Bits(), alone.Bits());
        byte[] old = index.Bytes();
        index.View.MemSet(accelerator.DefaultStream, 0xFF);
        mapping.Forward(accelerator.DefaultStream, l.Floats, c.Floats, scale, value.Floats, index.View);
        accelerator.Synchronize();
        Assert.Equal(old, index.Bytes());
        Assert.Equal(codes.Select((code, i) => matrix.Value(i, code)), value.Values());
        Assert.Equal(logits, l.Values());
    }
}
