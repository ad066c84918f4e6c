using ILGPU;
using ILGPU.Runtime;
using Kernels.Quantization;
using Kernels.References;
using Kernels.References.Quantization;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;
using Kernels.Tests.VectorQuantization;

namespace Kernels.Tests.Quantization;

public sealed class CodebookFitProperties
{
    /// <summary>Edges of sixteens, chunks and runs of chunks; groups that end anywhere, and empty ones.</summary>
    private static readonly CodebookLayout[] s_layouts =
    [
        new(1, 1, new CodeFormat(2)),
        new(5, 37, new CodeFormat(3), codebooks: WeightScope.Rows),
        new(7, 50, new CodeFormat(16), codebooks: WeightScope.Groups([0, 2, 2, 3, 7])),
        new(3, 100, new CodeFormat(17), codebooks: WeightScope.Blocks(70)),
        new(9, 1000, new CodeFormat(5)),
        new(3, 1500, new CodeFormat(256)),
    ];

    public static TheoryData<int, bool, Storage> Cases()
    {
        var cases = new TheoryData<int, bool, Storage>();
        for (int layout = 0; layout < s_layouts.Length; layout++)
        {
            cases.Add(layout, false, Storage.F32);
            cases.Add(layout, true, Storage.F32);
        }

        cases.Add(2, true, Storage.F16);
        cases.Add(3, false, Storage.BF16);
        return cases;
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 4)]
    [InlineData(40, 3)]
    [InlineData(200, 16)]
    [InlineData(3000, 8)]
    public void The_exact_fit_has_the_least_error_that_there_is(int n, int k)
    {
        foreach (bool hasWeights in new[] { false, true })
        {
            float[] w = new Draw(n).Floats(n, 1e-2, 10);
            float[] h = hasWeights ? Array.ConvertAll(new Draw(k).Floats(n, 1e-2, 10), MathF.Abs) : [];
            h = h.Any(weight => weight > 0) ? h : [];
            (double[] _, int[] _, double least) = CodebookFitReference.Exact(w, k, h);
            (float[] codebook, double error) = CodebookFit.Exact(w, k, h);
            Assert.Equal(codebook.Order(), codebook);
            (double stated, double ofCodebook) = CodebookFitReference.ExactSlack(w, k, h);
            Assert.InRange(error, least - stated, least + stated);
            double lost = Lost(n) * least;
            Assert.InRange(Error(w, codebook, h), least - lost, least + (2 * lost) + ofCodebook);
        }
    }

    [Fact]
    public void Codes_of_numbers_of_all_sizes_ascend_in_the_exact_fit()
    {
        float[] w =
        [
            -5.4e23f, -1.3e38f, 1, -7.1e36f, -2.2e27f, 2.4e15f, -2.5e21f, 5e31f, -7.4e16f, 5.5e20f, 2.8e16f, 4.6e21f,
            -1.9e34f, -1.3e19f, 3.4e21f, -4.1e34f, 0, 0,
        ];
        for (int k = 2; k < w.Length; k++)
        {
            float[] codebook = CodebookFit.Exact(w, k).Codebook;
            Assert.Equal(codebook.Order(), codebook);
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_step_is_that_of_the_oracle_and_never_raises_the_error(int number, bool hasWeights, Storage storage)
    {
        CodebookLayout layout = s_layouts[number];
        var draw = new Draw(number);
        (uint[] bits, float[] w) = Numbers(draw, layout, storage);
        float[] h = hasWeights ? Array.ConvertAll(draw.Floats(w.Length, 1e-2, 10), MathF.Abs) : [];
        foreach ((Accelerator accelerator, AssignWalk? walk) in AssignProperties.Places())
        {
            Fit before = Run(accelerator, walk, layout, storage, bits, h, iterations: 0, null);
            for (int step = 0; step < 3; step++)
            {
                Fit after = Run(accelerator, walk, layout, storage, bits, h, iterations: 1, before.Codebook);
                for (int group = 0; group < layout.CodebookCount; group++)
                {
                    (int begin, int end) = FitPieces.Weights(layout, group);
                    int first = group * layout.Codes;
                    float[] own = h.Length > 0 ? h[begin..end] : [];
                    CheckStep(
                        w[begin..end], own, before.Codebook[first..(first + layout.Codes)],
                        after.Codebook[first..(first + layout.Codes)]);
                }

                before = after;
            }
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Codes_and_error_are_those_of_the_codebook(int number, bool hasWeights, Storage storage)
    {
        CodebookLayout layout = s_layouts[number];
        var draw = new Draw(number);
        (uint[] bits, float[] w) = Numbers(draw, layout, storage);
        float[] h = hasWeights ? Array.ConvertAll(draw.Floats(w.Length, 1e-2, 10), MathF.Abs) : [];
        foreach ((Accelerator accelerator, AssignWalk? walk) in AssignProperties.Places())
        {
            Fit fit = Run(accelerator, walk, layout, storage, bits, h, iterations: 30, null);
            CodebookShape shape = AssignProperties.Shape(layout);
            int[] index = Array.ConvertAll(fit.Index, code => (int)code);
            Assert.All(fit.Codebook.Chunk(layout.Codes), codes => Assert.Equal(codes.Order(), codes));
            Assert.Equal(-1, AssignReference.FirstWrong(shape, w, fit.Codebook, [], index));
            Bounded[] terms = new Bounded[w.Length];
            for (int i = 0; i < w.Length; i++)
            {
                Bounded distance = (Bounded)w[i] - fit.Codebook[(shape.Codebooks.Of(i) * layout.Codes) + index[i]];
                terms[i] = (h.Length > 0 ? h[i] : 1) * (distance * distance);
            }

            LinearDevice.AssertWithin([Bounded.Sum(terms)], [fit.Error], "error");
            Fit longer = Run(accelerator, walk, layout, storage, bits, h, iterations: 33, null);
            Fit again = Run(accelerator, walk, layout, storage, bits, h, iterations: 3, fit.Codebook);
            Assert.Equal(longer.Codebook, again.Codebook);
        }
    }

    [Fact]
    public void The_start_is_quantiles_of_each_group()
    {
        CodebookLayout layout = s_layouts[2];
        float[] w = new Draw(5).Floats(layout.WeightCount);
        foreach ((Accelerator accelerator, AssignWalk? walk) in AssignProperties.Places())
        {
            Fit fit = Run(accelerator, walk, layout, Storage.F32, LearnCase.Bits(Storage.F32, w), [], iterations: 0, null);
            for (int group = 0; group < layout.CodebookCount; group++)
            {
                (int begin, int end) = FitPieces.Weights(layout, group);
                float[] codes = fit.Codebook[(group * 16)..((group + 1) * 16)];
                Bounded[] wanted = begin == end
                    ? [.. Enumerable.Repeat((Bounded)0, 16)]
                    : CodebooksReference.Quantiles(w.AsSpan(begin..end), 16);
                LinearDevice.AssertWithin(wanted, codes, "quantiles");
            }
        }
    }

    [Fact]
    public void A_group_is_fitted_as_if_it_were_alone()
    {
        CodebookLayout layout = s_layouts[2];
        float[] w = new Draw(6).Floats(layout.WeightCount);
        foreach ((Accelerator accelerator, AssignWalk? walk) in AssignProperties.Places())
        {
            Fit all = Run(accelerator, walk, layout, Storage.F32, LearnCase.Bits(Storage.F32, w), [], iterations: 9, null);
            var alone = new CodebookLayout(4, 50, layout.Format);
            uint[] bits = LearnCase.Bits(Storage.F32, w[150..]);
            Fit one = Run(accelerator, walk, alone, Storage.F32, bits, [], iterations: 9, null);
            Assert.Equal(one.Codebook, all.Codebook[48..]);
            Assert.Equal(one.Index, all.Index[150..]);
        }
    }

    [Fact]
    public void What_is_not_finite_or_has_no_weight_does_not_count()
    {
        CodebookLayout layout = s_layouts[4];
        var draw = new Draw(7);
        float[] w = draw.Floats(layout.WeightCount);
        float[] h = [.. Enumerable.Repeat(1f, w.Length)];
        float[] spoilt = [.. w];
        float[] without = [.. h];
        float[] start = [-3, -1, 0, 1, 3];
        for (int i = 0; i < w.Length; i += 7)
        {
            without[i] = draw.OneOf(0f, -1f, float.NaN);
            spoilt[i] = draw.OneOf(float.NaN, float.PositiveInfinity, float.NegativeInfinity);
        }

        foreach ((Accelerator accelerator, AssignWalk? walk) in AssignProperties.Places())
        {
            Fit wanted = Run(accelerator, walk, layout, Storage.F32, LearnCase.Bits(Storage.F32, w), without, iterations: 5, start);
            Fit got = Run(accelerator, walk, layout, Storage.F32, LearnCase.Bits(Storage.F32, spoilt), h, iterations: 5, start);
            Assert.Equal(wanted.Codebook, got.Codebook);
            Assert.Equal(wanted.Error, got.Error);
            Assert.All(got.Codebook, code => Assert.True(float.IsFinite(code)));
        }
    }

    [Fact]
    public void A_code_without_weights_stays_and_a_start_is_put_in_order()
    {
        var layout = new CodebookLayout(1, 4, new CodeFormat(4));
        float[] w = [1, 2, 11, 12];
        foreach ((Accelerator accelerator, AssignWalk? walk) in AssignProperties.Places())
        {
            Fit fit = Run(
                accelerator, walk, layout, Storage.F32, LearnCase.Bits(Storage.F32, w), [], iterations: 4, [100, 10, 0, 10]);
            Assert.Equal([1.5f, 10, 11.5f, 100], fit.Codebook);
            Assert.Equal([0, 0, 2, 2], fit.Index);
            Assert.Equal(1f, fit.Error);
        }
    }

    [Fact]
    public void A_fit_allocates_no_managed_memory()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        CodebookLayout layout = s_layouts[1];
        using var w = new GuardedTensor(accelerator, new Draw(1).Floats(layout.WeightCount));
        using var codebook = new GuardedTensor(accelerator, new float[layout.CodebookLength]);
        using var error = new GuardedTensor(accelerator, new float[1]);
        using var index = new GuardedBytes(accelerator, new byte[layout.CodeCount], 0);
        using var fit = new CodebookFit(accelerator, layout, new CodebookFitOptions { Iterations = 2 });
        Allocations.AssertNone(
            accelerator,
            () => fit.Run(accelerator.DefaultStream, w.View, default, codebook.Floats, index.View, error.Floats));
    }

    [Fact]
    public void What_does_not_fit_is_refused()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        var format = new CodeFormat(4);
        Assert.Throws<ArgumentOutOfRangeException>(
            "options", () => new CodebookFit(accelerator, new CodebookLayout(2, 4, format), new() { Iterations = -1 }));
        Assert.Throws<ArgumentException>("w", () => CodebookFit.Exact([1, float.NaN], 2));
        Assert.Throws<ArgumentException>("w", () => CodebookFit.Exact([], 2));
        Assert.Throws<ArgumentException>("w", () => CodebookFit.Exact([1, 2], 2, [0, 0]));
        Assert.Throws<ArgumentException>("h", () => CodebookFit.Exact([1, 2], 2, [1]));
        Assert.Throws<ArgumentException>("h", () => CodebookFit.Exact([1, 2], 2, [1, -1]));
        Assert.Throws<ArgumentOutOfRangeException>("codes", () => CodebookFit.Exact([1, 2], 0));
    }

    private static (uint[] Bits, float[] Values) Numbers(Draw draw, CodebookLayout layout, Storage storage)
    {
        uint[] bits = LearnCase.Bits(storage, draw.Floats(layout.WeightCount, 1e-2, 10));
        return (bits, LearnCase.Floats(storage, bits));
    }

    private static double Error(float[] w, float[] codebook, float[] h)
    {
        double sum = 0;
        for (int i = 0; i < w.Length; i++)
        {
            double distance = codebook.Min(code => Math.Abs((double)w[i] - code));
            sum += (h.Length > 0 ? h[i] : 1) * distance * distance;
        }

        return sum;
    }

    /// <summary>What <see cref="Error"/> of n numbers may lose, relative to it: no term is negative, each has four roundings
    /// in binary64 and those of the sum; with one more for terms of second order.</summary>
    private static double Lost(int n) => Math.ScaleB(n + 4, -53);

    /// <summary>Each code moved as by a sum of distances in any order, and the error rose by no more than that allows.</summary>
    private static void CheckStep(float[] w, float[] h, float[] before, float[] after)
    {
        int k = before.Length;
        // Limits as in the search: the middles in binary32, those of equal codes beyond the last of them.
        var terms = new List<Bounded>[k];
        var masses = new List<Bounded>[k];
        for (int code = 0; code < k; code++)
        {
            (terms[code], masses[code]) = ([], []);
        }

        double slack = 0;
        for (int i = 0; i < w.Length; i++)
        {
            int code = 0;
            while (true)
            {
                int above = code + 1;
                while (above < k && before[above] == before[code])
                {
                    above++;
                }

                float middle = above < k ? (before[code] + before[above]) / 2 : float.PositiveInfinity;
                if (above < k && Math.Abs(w[i] - middle) <= 2 * Bounded.UnitRoundoff * Math.Abs(middle))
                {
                    // It may have been on the wrong side of the exact middle.
                    slack += (h.Length > 0 ? h[i] : 1) * 4 * Bounded.UnitRoundoff * Math.Abs(middle)
                        * ((double)before[above] - before[code]);
                }

                if (!(w[i] > middle))
                {
                    break;
                }

                code = above;
            }

            Bounded weight = h.Length > 0 ? h[i] : 1;
            terms[code].Add(weight * ((Bounded)w[i] - before[code]));
            masses[code].Add(weight);
        }

        var wanted = new Bounded[k];
        for (int code = 0; code < k; code++)
        {
            Bounded mass = Bounded.Sum([.. masses[code]]);
            wanted[code] = mass.Value == 0 ? before[code] : before[code] + (Bounded.Sum([.. terms[code]]) / mass);
            slack += mass.Value == 0 ? 0 : mass.Value * wanted[code].Bound * wanted[code].Bound;
        }

        // Equal codes may have been passed.
        LinearDevice.AssertWithin([.. wanted.OrderBy(code => code.Value)], after, "codes");
        double error = Error(w, before, h);
        Assert.InRange(Error(w, after, h), 0, (error * (1 + (2 * Lost(w.Length)))) + slack);
    }

    private static Fit Run(
        Accelerator accelerator, AssignWalk? walk, CodebookLayout layout, Storage storage, uint[] bits, float[] h,
        int iterations, float[]? start)
    {
        using var w = new GuardedTensor(accelerator, storage, bits, 1);
        using var weights = new GuardedTensor(accelerator, h, 3);
        using var codebook = new GuardedTensor(accelerator, start ?? [.. Enumerable.Repeat(float.NaN, layout.CodebookLength)]);
        using var error = new GuardedTensor(accelerator, new float[1]);
        using var index = new GuardedBytes(accelerator, [.. Enumerable.Repeat((byte)0xEE, layout.CodeCount)], 0);
        var options = new CodebookFitOptions
        {
            Iterations = iterations,
            Start = start is null ? CodebookStart.Quantiles : CodebookStart.Given,
        };
        using var fit = new CodebookFit(accelerator, layout, options, walk);
        ArrayView<float> given = h.Length > 0 ? weights.Floats : default;
        fit.Run(accelerator.DefaultStream, w.View, given, codebook.Floats, index.View, error.Floats);
        accelerator.Synchronize();
        Assert.Equal(bits, w.Bits());
        return new Fit(codebook.Values(), index.Bytes(), error.Values()[0]);
    }

    private sealed record Fit(float[] Codebook, byte[] Index, float Error);
}
