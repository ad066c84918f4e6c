using ILGPU.Runtime;
using Kernels.Quantization;
using Kernels.References;
using Kernels.References.Quantization;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;
using Kernels.Tests.VectorQuantization;

namespace Kernels.Tests.Quantization;

/// <summary><see cref="CodebookFit"/> with scales, and of codes of several weights.</summary>
public sealed class ScaledFitProperties
{
    /// <summary>Every length, scope and storage of scales; shares that end anywhere, and empty ones.</summary>
    private static readonly CodebookLayout[] s_layouts =
    [
        new(1, 1, new CodeFormat(2), scales: WeightScope.Tensor),
        new(5, 37, new CodeFormat(3), codebooks: WeightScope.Rows, scales: WeightScope.Blocks(16)),
        new(7, 50, new CodeFormat(16), 1, WeightScope.Groups([0, 2, 2, 7]), WeightScope.Rows, Storage.F16),
        new(9, 1000, new CodeFormat(5), scales: WeightScope.Blocks(64), scaleStorage: Storage.BF16),
        new(1, 2, new CodeFormat(2), length: 2),
        new(9, 1000, new CodeFormat(16), length: 2, scales: WeightScope.Rows),
        new(7, 64, new CodeFormat(5), 4, WeightScope.Groups([0, 2, 2, 7]), WeightScope.Tensor, Storage.BF16),
        new(3, 120, new CodeFormat(4), 8, WeightScope.Blocks(80), WeightScope.Blocks(24), Storage.F16),
        new(4, 1536, new CodeFormat(256), length: 2, codebooks: WeightScope.Rows),
    ];

    public static TheoryData<int, bool, Storage> Cases()
    {
        var cases = new TheoryData<int, bool, Storage>();
        for (int layout = 0; layout < s_layouts.Length; layout++)
        {
            cases.Add(layout, layout % 2 == 0, Storage.F32);
        }

        cases.Add(2, false, Storage.F16);
        cases.Add(6, true, Storage.BF16);
        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_step_has_the_best_codes_of_the_oracle_and_never_raises_the_error(
        int number, bool hasWeights, Storage storage)
    {
        CodebookLayout layout = s_layouts[number];
        Matrix m = Matrix.Draw(layout, number, hasWeights, storage);
        foreach ((Accelerator accelerator, AssignWalk? walk) in AssignProperties.Places())
        {
            Fit before = m.Fit(accelerator, walk, iterations: 0, null);
            for (int step = 0; step < 3; step++)
            {
                Fit after = m.Fit(accelerator, walk, iterations: 1, before.Codebook);
                int[] index = Array.ConvertAll(before.Index, code => (int)code);
                Bounded[] wanted = CodebookFitReference.Best(
                    m.Shape, index, m.W, m.Scale, m.H, before.Codebook, isMoved: layout.Length == 1);
                if (layout.Length == 1)
                {
                    // Equal codes may have been passed.
                    wanted = [.. wanted.Chunk(layout.Codes).SelectMany(codes => codes.OrderBy(code => code.Value))];
                }

                LinearDevice.AssertWithin(wanted, after.Codebook, "codes");
                // The means of the same weights have the least error; a code that is off adds what it is off by, squared.
                double slack = m.Slack(index, before.Codebook);
                double least = m.Error(before.Codebook, index) + slack;
                Assert.InRange(m.Error(after.Codebook, null), 0, least * (1 + Math.ScaleB(layout.WeightCount + 8, -52)));
                before = after;
            }
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Codes_and_error_are_those_of_the_codebook(int number, bool hasWeights, Storage storage)
    {
        CodebookLayout layout = s_layouts[number];
        Matrix m = Matrix.Draw(layout, number + 20, hasWeights, storage);
        foreach ((Accelerator accelerator, AssignWalk? walk) in AssignProperties.Places())
        {
            Fit fit = m.Fit(accelerator, walk, iterations: 12, null);
            int[] index = Array.ConvertAll(fit.Index, code => (int)code);
            Assert.All(fit.Codebook, code => Assert.True(float.IsFinite(code)));
            Assert.Equal(-1, AssignReference.FirstWrong(m.Shape, m.W, fit.Codebook, m.Scale, index));
            LinearDevice.AssertWithin(
                [CodebookFitReference.ScaledError(m.Shape, index, m.W, m.Scale, m.H, fit.Codebook)], [fit.Error], "error");
            Fit longer = m.Fit(accelerator, walk, iterations: 15, null);
            Fit again = m.Fit(accelerator, walk, iterations: 3, fit.Codebook);
            Assert.Equal(longer.Codebook, again.Codebook);
        }
    }

    /// <summary>Powers of two change no bit: s w with scales s, and w that count s^2.</summary>
    [Theory]
    [InlineData(3)]
    [InlineData(5)]
    public void A_fit_with_scales_is_one_of_what_is_over_them(int number)
    {
        CodebookLayout layout = s_layouts[number];
        var random = new Random(number);
        float[] scale =
        [
            .. Enumerable.Range(0, layout.ScaleCount).Select(
                _ => MathF.ScaleB((random.Next(2) * 2) - 1, random.Next(-5, 6))),
        ];
        Matrix plain = Matrix.Draw(Without(layout), number, true, Storage.F32);
        CodebookShape shape = AssignProperties.Shape(layout);
        float[] own = [.. Enumerable.Range(0, layout.WeightCount).Select(i => scale[shape.Scales!.Of(i)])];
        var scaled = new Matrix(
            layout, Storage.F32, LearnCase.Bits(Storage.F32, [.. plain.W.Zip(own, (w, s) => w * s)]), plain.H, scale);
        Matrix counted = plain with
        {
            H = [.. plain.H.Select((h, i) => h * own[i * layout.Length] * own[i * layout.Length])],
        };
        foreach ((Accelerator accelerator, AssignWalk? walk) in AssignProperties.Places())
        {
            Fit wanted = counted.Fit(accelerator, walk, iterations: 5, null);
            Fit got = scaled.Fit(accelerator, walk, iterations: 5, null);
            Assert.Equal(wanted.Codebook, got.Codebook);
            Assert.Equal(wanted.Index, got.Index);
            Assert.Equal(wanted.Error, got.Error);
        }
    }

    /// <summary>No more different vectors than codes: k-means++ picks each.</summary>
    [Theory]
    [InlineData(2, 16)]
    [InlineData(4, 5)]
    [InlineData(8, 40)]
    public void As_many_vectors_as_there_are_codes_are_kept_exactly(int length, int k)
    {
        var layout = new CodebookLayout(6, 40 * length, new CodeFormat(k), length, WeightScope.Groups([0, 3, 6]));
        var random = new Random(k);
        float[][] vectors = [.. Enumerable.Range(0, k).Select(
            i => Enumerable.Range(0, length).Select(j => j == 0 ? i : (float)random.Next(-9, 9)).ToArray())];
        float[] w = [.. Enumerable.Range(0, layout.CodeCount).SelectMany(i => vectors[(i * 7) % k])];
        var m = new Matrix(layout, Storage.F32, LearnCase.Bits(Storage.F32, w), [], []);
        foreach ((Accelerator accelerator, AssignWalk? walk) in AssignProperties.Places())
        {
            Fit fit = m.Fit(accelerator, walk, iterations: 2, null);
            Assert.Equal(0f, fit.Error);
            Assert.Equal(w, fit.Index.SelectMany((code, i) => fit.Codebook.AsSpan(
                (((i / (layout.CodeCount / 2)) * k) + code) * length, length).ToArray()));
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void What_is_not_finite_or_has_no_weight_or_scale_does_not_count(int length)
    {
        var layout = new CodebookLayout(9, 300, new CodeFormat(5), length, scales: WeightScope.Blocks(6));
        var draw = new Draw(length);
        float[] w = draw.Floats(layout.WeightCount);
        float[] h = [.. Enumerable.Repeat(1f, layout.CodeCount)];
        float[] scale = [.. Enumerable.Range(0, layout.ScaleCount).Select(i => i % 2 == 0 ? 0.5f : -2f)];
        float[] start = draw.Floats(layout.CodebookLength);
        float[] spoilt = [.. w];
        float[] without = [.. h];
        float[] broken = [.. scale];
        for (int i = 0; i < layout.CodeCount; i += 7)
        {
            without[i] = draw.OneOf(0f, -1f, float.NaN);
            spoilt[(i * length) + (i % length)] = draw.OneOf(float.NaN, float.PositiveInfinity, float.NegativeInfinity);
        }

        for (int share = 0; share < scale.Length; share += 9)
        {
            broken[share] = draw.OneOf(0f, float.NaN, float.PositiveInfinity);
            without.AsSpan(share * 6 / length, 6 / length).Clear();
        }

        uint[] bits = LearnCase.Bits(Storage.F32, w);
        foreach ((Accelerator accelerator, AssignWalk? walk) in AssignProperties.Places())
        {
            Fit wanted = new Matrix(layout, Storage.F32, bits, without, scale).Fit(accelerator, walk, 5, start);
            Fit got = new Matrix(layout, Storage.F32, LearnCase.Bits(Storage.F32, spoilt), h, broken)
                .Fit(accelerator, walk, 5, start);
            Assert.Equal(wanted.Codebook, got.Codebook);
            Assert.Equal(wanted.Error, got.Error);
        }
    }

    [Fact]
    public void A_fit_allocates_no_managed_memory_and_refuses_what_does_not_fit()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        AcceleratorStream stream = accelerator.DefaultStream;
        CodebookLayout layout = s_layouts[5];
        using var w = new GuardedTensor(accelerator, new Draw(1).Floats(layout.WeightCount));
        using var scale = new GuardedTensor(accelerator, [.. Enumerable.Repeat(1f, layout.ScaleCount)]);
        using var codebook = new GuardedTensor(accelerator, new float[layout.CodebookLength]);
        using var error = new GuardedTensor(accelerator, new float[1]);
        using var index = new GuardedBytes(accelerator, new byte[layout.CodeCount], 0);
        using var fit = new CodebookFit(accelerator, layout, new CodebookFitOptions { Iterations = 2 });
        Allocations.AssertNone(
            accelerator, () => fit.Run(stream, w.View, default, codebook.Floats, index.View, error.Floats, scale.View));
        Assert.Throws<ArgumentException>("scale", () => fit.Run(stream, w.View, default, codebook.Floats, index.View));
        Assert.Throws<ArgumentException>(
            "scale", () => fit.Run(stream, w.View, default, codebook.Floats, index.View, default, scale.Floats.SubView(1)));
        Assert.Throws<ArgumentException>(
            "codebook",
            () => fit.Run(
                stream, w.View, default, w.Floats.SubView(0, codebook.Floats.IntLength), index.View, default, scale.View));
        Assert.Throws<ArgumentException>(
            "h", () => fit.Run(stream, w.View, w.Floats, codebook.Floats, index.View, default, scale.View));
        Assert.Throws<ArgumentException>("layout", () => new CodebookFit(
            accelerator, new CodebookLayout(65_537, 2, new CodeFormat(2), 2, WeightScope.Rows)));
    }

    private static CodebookLayout Without(CodebookLayout layout) =>
        new(layout.Rows, layout.Columns, layout.Format, layout.Length, layout.Codebooks);

    private sealed record Matrix(CodebookLayout Layout, Storage Storage, uint[] Bits, float[] H, float[] Scale)
    {
        internal CodebookShape Shape { get; } = AssignProperties.Shape(Layout);

        internal float[] W { get; } = LearnCase.Floats(Storage, Bits);

        internal static Matrix Draw(CodebookLayout layout, int seed, bool hasWeights, Storage storage)
        {
            var draw = new Draw(seed);
            float[] scale = LearnCase.Floats(
                layout.ScaleStorage, LearnCase.Bits(layout.ScaleStorage, draw.Floats(layout.ScaleCount, 0.1, 10)));
            uint[] bits = LearnCase.Bits(storage, draw.Floats(layout.WeightCount, 1e-2, 10));
            float[] h = hasWeights ? Array.ConvertAll(draw.Floats(layout.CodeCount, 1e-2, 10), MathF.Abs) : [];
            return new Matrix(layout, storage, bits, h, scale);
        }

        internal Fit Fit(Accelerator accelerator, AssignWalk? walk, int iterations, float[]? start)
        {
            using var w = new GuardedTensor(accelerator, Storage, Bits, 1);
            using var weights = new GuardedTensor(accelerator, H, 3);
            using var scale = new GuardedTensor(
                accelerator, Layout.ScaleStorage, LearnCase.Bits(Layout.ScaleStorage, Scale), 1);
            using var codebook = new GuardedTensor(
                accelerator, start ?? [.. Enumerable.Repeat(float.NaN, Layout.CodebookLength)]);
            using var error = new GuardedTensor(accelerator, new float[1]);
            using var index = new GuardedBytes(accelerator, [.. Enumerable.Repeat((byte)0xEE, Layout.CodeCount)], 0);
            var options = new CodebookFitOptions
            {
                Iterations = iterations,
                Start = start is null ? CodebookStart.Quantiles : CodebookStart.Given,
            };
            using var fit = new CodebookFit(accelerator, Layout, options, walk);
            fit.Run(
                accelerator.DefaultStream, w.View, H.Length > 0 ? weights.Floats : default, codebook.Floats, index.View,
                error.Floats, Layout.Scales is null ? default : scale.View);
            accelerator.Synchronize();
            Assert.Equal(Bits, w.Bits());
            return new Fit(codebook.Values(), index.Bytes(), error.Values()[0]);
        }

        /// <summary>The error in binary64, of the nearest codes where none are given.</summary>
        internal double Error(float[] codebook, int[]? index)
        {
            double sum = 0;
            for (int i = 0; i < Layout.CodeCount; i++)
            {
                (double mass, double[] x) = Normal(i);
                int book = Shape.Codebooks.Of(i * Layout.Length) * Layout.Codes;
                IEnumerable<int> codes = index is null ? Enumerable.Range(0, Layout.Codes) : [index[i]];
                sum += mass * codes.Min(code => x.Select(
                    (v, j) => Math.Pow(v - codebook[((book + code) * Layout.Length) + j], 2)).Sum());
            }

            return sum;
        }

        /// <summary>What codes within their bounds add to the error of the best ones.</summary>
        internal double Slack(int[] index, float[] before)
        {
            Bounded[] exact = CodebookFitReference.Best(Shape, index, W, Scale, H, before, isMoved: Layout.Length == 1);
            double sum = 0;
            for (int i = 0; i < Layout.CodeCount; i++)
            {
                int book = Shape.Codebooks.Of(i * Layout.Length) * Layout.Codes;
                for (int j = 0; j < Layout.Length; j++)
                {
                    sum += Normal(i).Mass * Math.Pow(exact[((book + index[i]) * Layout.Length) + j].Bound, 2);
                }
            }

            return sum;
        }

        private (double Mass, double[] X) Normal(int code)
        {
            int first = code * Layout.Length;
            double scale = Shape.Scales is null ? 1 : Scale[Shape.Scales.Of(first)];
            double mass = scale * scale * (H.Length > 0 ? H[code] : 1);
            return (mass, [.. W.AsSpan(first, Layout.Length).ToArray().Select(w => mass > 0 ? w / scale : 0)]);
        }
    }

    private sealed record Fit(float[] Codebook, byte[] Index, float Error);
}
