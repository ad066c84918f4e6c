using ILGPU;
using Kernels.Optimizers;
using Kernels.Quantization;
using Kernels.References;
using Kernels.References.Quantization;
using Kernels.Tests.Linear;
using Kernels.Tests.References.Quantization;
using Kernels.Tests.Support;

namespace Kernels.Tests.Quantization;

public sealed class JointQuantizerProperties
{
    private static readonly JointQuantizerOptions s_short = new() { Steps = 6, Rounds = 2 };

    /// <summary>At 2 bits, with neighbouring inputs correlated by 0.9: measured 0.16 to 0.2 of the error of k-means, and
    /// 0.44 to 0.57 without rounds.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void With_correlated_activations_it_is_far_better_than_the_nearest_codes(bool hasScales)
    {
        var problem = new Problem(48, 96, 4, hasScales ? ScopeChoice.All : ScopeChoice.Rows, hasScales, samples: 192, seed: 1);
        (JointQuantizerResult result, Bounded start, Bounded end) = problem.Learn(new JointQuantizerOptions());
        (double before, double after) = (start.Value, end.Value);
        Assert.InRange(result.AfterSteps / result.Before, 0, 0.8f);
        Assert.InRange(after / before, 0, 0.25);
        Assert.InRange(after / before, 0, result.AfterSteps / result.Before);
        // Gradient descent first leads to a better place than rounds from the start.
        var again = new Problem(48, 96, 4, hasScales ? ScopeChoice.All : ScopeChoice.Rows, hasScales, samples: 192, seed: 1);
        (_, _, Bounded rounds) = again.Learn(new JointQuantizerOptions { Steps = 0 });
        Assert.InRange(after / before, 0, rounds.Value / before);
    }

    [Theory]
    [InlineData(ScopeChoice.All, false, 0, MappingForm.Latent, false)]
    [InlineData(ScopeChoice.All, true, 0, MappingForm.Logits, true)]
    [InlineData(ScopeChoice.Rows, true, 0, MappingForm.Latent, true)]
    [InlineData(ScopeChoice.Groups, true, 30, MappingForm.Latent, false)]
    [InlineData(ScopeChoice.Blocks, false, 30, MappingForm.Logits, false)]
    [InlineData(ScopeChoice.Rows, false, 5, MappingForm.Latent, false)]
    [InlineData(ScopeChoice.All, false, 1, MappingForm.Logits, false)]
    public void Is_never_worse_than_the_start_and_says_so_truly(
        ScopeChoice codebooks, bool hasScales, int samples, MappingForm form, bool hasImportance)
    {
        foreach (int k in new[] { 2, 5, 16 })
        {
            var problem = new Problem(9, 40, k, codebooks, hasScales, samples, k, hasImportance);
            JointQuantizerOptions options = s_short with { Form = form, Hardening = 0.01 };
            var told = new Told();
            (JointQuantizerResult result, Bounded before, Bounded after) = problem.Learn(options, told);
            Assert.InRange(after.Value, 0, before.Value + before.Bound + after.Bound);
            LinearDevice.AssertWithin([before, after], [result.Before, result.After], "before, after");
            Assert.True(result.After <= result.AfterSteps && result.AfterSteps <= result.Before);
            Assert.InRange(told.Reports.Count, options.Steps + 1, options.Steps + options.Rounds);
            Assert.Equal(result.After, told.Reports[^1].Best);
            Assert.Equal(told.Reports.Select(r => r.Best).OrderDescending(), told.Reports.Select(r => r.Best));
            Assert.Equal(Enumerable.Range(1, told.Reports.Count), told.Reports.Select(r => r.Step));
        }
    }

    [Fact]
    public void Bad_rates_do_no_harm()
    {
        var problem = new Problem(6, 33, 4, ScopeChoice.Rows, true, 20, 3);
        (_, Bounded before, Bounded after) = problem.Learn(new JointQuantizerOptions
        {
            Steps = 5,
            Rounds = 0,
            MappingOptimizer = new SgdOptions { LearningRate = 1e30 },
            CodebookOptimizer = new SgdOptions { LearningRate = 1e30 },
            ScaleOptimizer = new SgdOptions { LearningRate = 1e30 },
        });
        Assert.InRange(after.Value, 0, before.Value + before.Bound + after.Bound);
    }

    /// <remarks>
    /// A weight of value q stays if no d = q' - q has d (slope + d curvature) below 0 as computed. The slope is within its
    /// bound, the curvature within gamma(n), and d within u (|q'| + |d|) if a product of scale and code is fused with the
    /// difference; two more roundings may turn the sign. Fused, a d of the code in use may be u |q| instead of 0, which
    /// adds 2 u sum |q| |H| to slopes of its row and u |q| |slope| to the cost to be below of.
    /// </remarks>
    [Fact]
    public void After_rounds_no_change_of_a_single_weight_is_better()
    {
        var problem = new Problem(4, 70, 4, ScopeChoice.All, true, 50, 5);
        var round = new JointQuantizerOptions { Steps = 0, Rounds = 1, LearnsCodebook = false, LearnsScale = false };
        byte[] old;
        do
        {
            old = [.. problem.Index];
            problem.Learn(round);
        }
        while (!old.SequenceEqual(problem.Index));

        const double U = Bounded.UnitRoundoff;
        double least = problem.Objective().Value;
        Bounded[] slopes = problem.Slopes();
        for (int i = 0; i < problem.Index.Length; i++)
        {
            byte own = problem.Index[i];
            double q = problem.Value(i);
            (double curvature, double fused) = problem.Curvature(i);
            for (int code = 0; code < 4; code++)
            {
                problem.Index[i] = (byte)code;
                double d = Math.Abs(problem.Value(i) - q);
                double off = d * (slopes[i].Bound + (2 * U * fused)
                        + (curvature * ((U * (Math.Abs(problem.Value(i)) + d)) + (Bounded.Gamma(52) * d))))
                    + (U * Math.Abs(q) * (Math.Abs(slopes[i].Value) + slopes[i].Bound));
                Assert.True(problem.Objective().Value >= least - off, $"weight {i}, code {code}");
            }

            problem.Index[i] = own;
        }
    }

    /// <summary>Rounds alone go on from the best codes of equal weights, and the best codes of the oracle stay.</summary>
    [Fact]
    public void Without_activations_it_comes_to_a_fixed_point_of_Lloyd()
    {
        var problem = new Problem(1, 300, 4, ScopeChoice.All, false, 0, 2, hasImportance: true);
        (_, Bounded start, Bounded found) = problem.Learn(new JointQuantizerOptions { Steps = 0, Rounds = 100 });
        (double[] exact, int[] index, double least) = CodebookFitReference.Exact(problem.W, 4, problem.Importance);
        // Sums of 300 in binary64.
        Assert.InRange(found.Value, least * (1 - Math.ScaleB(304, -53)), start.Value + start.Bound + found.Bound);
        for (int i = 0; i < 4; i++)
        {
            problem.Codebook[i] = (float)exact[i];
        }

        problem.Index = Nearest(problem.W, problem.Codebook);
        Assert.Equal(index, problem.Index.Select(code => (int)code));
        Bounded[] means = problem.Means();
        problem.Learn(new JointQuantizerOptions { Steps = 0, Rounds = 3 });
        LinearDevice.AssertWithin(means, problem.Codebook, "codes");
    }

    [Fact]
    public void What_is_exact_stays()
    {
        var problem = new Problem(5, 20, 4, ScopeChoice.Rows, true, 12, 4);
        for (int i = 0; i < problem.W.Length; i++)
        {
            problem.W[i] = problem.Value(i);
        }

        byte[] index = [.. problem.Index];
        (JointQuantizerResult result, _, _) = problem.Learn(s_short);
        Assert.Equal(0, result.Before);
        Assert.Equal(0, result.After);
        Assert.Equal(index, problem.Index);
    }

    [Fact]
    public void The_same_call_gives_the_same_bits()
    {
        (byte[] Index, float[] Codebook, float[] Scale)[] runs = [.. Enumerable.Range(0, 2).Select(_ =>
        {
            var problem = new Problem(9, 64, 4, ScopeChoice.Groups, true, 40, 6);
            problem.Learn(s_short);
            return (problem.Index, problem.Codebook, problem.Scale);
        })];
        Assert.Equal(runs[0].Index, runs[1].Index);
        Assert.Equal(runs[0].Codebook, runs[1].Codebook);
        Assert.Equal(runs[0].Scale, runs[1].Scale);
    }

    [Fact]
    public void Rejects_what_does_not_fit_by_its_name()
    {
        Session session = TestDevices.Session;
        var layout = new CodebookLayout(2, 4, new CodeFormat(4), 1, null, WeightScope.Rows);
        Assert.Throws<ArgumentException>(
            "layout", () => new JointQuantizer(session, new CodebookLayout(2, 4, new CodeFormat(4), 2)));
        foreach (JointQuantizerOptions bad in new[]
        {
            s_short with { Steps = -1 }, s_short with { Rounds = -1 }, s_short with { StartTemperature = 0 },
            s_short with { EndTemperature = double.NaN }, s_short with { Hardening = -1 },
            s_short with { Form = (MappingForm)2 },
            s_short with { MappingOptimizer = new AdamOptions { LearningRate = -1 } },
        })
        {
            Assert.Throws<ArgumentOutOfRangeException>("options", () => new JointQuantizer(session, layout, bad));
        }

        Assert.Throws<ArgumentOutOfRangeException>("samples", () => new JointQuantizer(session, layout, samples: -1));
        using var quantizer = new JointQuantizer(session, layout, s_short, samples: 3);
        var w = new float[8];
        var index = new byte[8];
        float[] book = [0, 1, 2, 3];
        var scale = new float[2];
        var x = new float[12];
        Throws("weights", () => quantizer.Learn(new float[7], index, book, scale, x));
        Throws("index", () => quantizer.Learn(w, new byte[7], book, scale, x));
        Throws("index", () => quantizer.Learn(w, [0, 0, 0, 4, 0, 0, 0, 0], book, scale, x));
        Throws("codebook", () => quantizer.Learn(w, index, new float[5], scale, x));
        Throws("codebook", () => quantizer.Learn(w, index, [0, 2, 1, 3], scale, x));
        Throws("codebook", () => quantizer.Learn(w, index, [0, 1, 2, float.NaN], scale, x));
        Throws("scale", () => quantizer.Learn(w, index, book, [], x));
        Throws("activations", () => quantizer.Learn(w, index, book, scale));
        Throws("importance", () => quantizer.Learn(w, index, book, scale, x, new float[8]));
        using var room = new GuardedTensor(session.Accelerator, new float[40]);
        using var codes = new GuardedBytes(session.Accelerator, new byte[8], 0);
        ArrayView<float> all = room.Floats;
        Throws("codebook", () => quantizer.LearnOnDevice(
            all.SubView(0, 8), codes.View, all.SubView(4, 4), all.SubView(12, 2), all.SubView(20, 12)));
        Throws("scale", () => quantizer.LearnOnDevice(
            all.SubView(0, 8), codes.View, all.SubView(8, 4), all.SubView(8, 2), all.SubView(20, 12)));
        Throws("index", () => quantizer.LearnOnDevice(
            all.SubView(0, 8), codes.View.SubView(0, 7), all.SubView(8, 4), all.SubView(12, 2), all.SubView(20, 12)));
        quantizer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => quantizer.Learn(w, index, book, scale, x));

        static void Throws(string name, Action call) => Assert.Throws<ArgumentException>(name, call);
    }

    private static byte[] Nearest(float[] w, float[] codebook)
    {
        var nearest = new AssignReference(codebook);
        return Array.ConvertAll(w, v => (byte)nearest.Nearest(v, 1));
    }

    /// <summary>Reports at once, in order.</summary>
    private sealed class Told : IProgress<JointQuantizerProgress>
    {
        internal List<JointQuantizerProgress> Reports { get; } = [];

        public void Report(JointQuantizerProgress value) => Reports.Add(value);
    }

    /// <summary>Gaussian weights with their best or quantile codes, and activations that hang together.</summary>
    private sealed class Problem
    {
        private readonly LearnedMatrix _matrix;
        private readonly float[] _x;
        private readonly int _samples;

        internal Problem(
            int rows, int columns, int k, ScopeChoice codebooks, bool hasScales, int samples, int seed,
            bool hasImportance = false)
        {
            _matrix = new LearnedMatrix(rows, columns, k, codebooks, hasScales ? ScopeChoice.Rows : ScopeChoice.All, seed);
            _samples = samples;
            var random = new Random(seed);
            W = Numbers.Gaussian(random, rows * columns, 0.02);
            Importance = hasImportance ? [.. W.Select(_ => random.NextSingle())] : [];
            _x = new float[samples * columns];
            for (int n = 0; n < samples; n++)
            {
                float state = 0;
                float[] noise = Numbers.Gaussian(random, columns);
                for (int j = 0; j < columns; j++)
                {
                    state = (0.9f * state) + (0.44f * noise[j]);
                    _x[(n * columns) + j] = state * (j % 7 == 0 ? 4 : 1);
                }
            }

            Codebook = new float[_matrix.Codebook.Length];
            Scale = [.. _matrix.Scale.Select((_, row) => hasScales
                ? MathF.Sqrt(W.AsSpan(row * columns, columns).ToArray().Average(v => v * v))
                : 1f)];
            Index = new byte[W.Length];
            for (int book = 0; book < _matrix.Layout.CodebookCount; book++)
            {
                (int start, int length) = _matrix.Shape.Codebooks.Run(book);
                float[] own = [.. Enumerable.Range(start, length).Select(i => W[i] / ScaleOf(i))];
                double[] codes = length > 0
                    ? CodebookFitReference.Exact(own, k).Codebook
                    : [.. Enumerable.Range(0, k).Select(i => (double)i)];
                float[] narrow = Array.ConvertAll(codes, c => (float)c);
                narrow.CopyTo(Codebook, book * k);
                Nearest(own, narrow).CopyTo(Index, start);
            }
        }

        internal float[] W { get; }

        internal float[] Importance { get; }

        internal float[] Codebook { get; }

        internal float[] Scale { get; }

        internal byte[] Index { get; set; }

        internal float Value(int weight) => ScaleOf(weight)
            * Codebook[(_matrix.Shape.Codebooks.Of(weight) * _matrix.Layout.Codes) + Index[weight]];

        /// <summary>The objective.</summary>
        /// <remarks>
        /// Bound of the form with H = X^T X: d = Q - W is rounded once and counts twice, H has n roundings, d H the number
        /// of columns, the sum of its products with d that of weights. All terms are products of x, x, d and d: with a =
        /// sum |x d| the size of a residual, it is gamma of all those of sum a^2.
        /// </remarks>
        internal Bounded Objective()
        {
            if (_samples == 0)
            {
                return Bounded.Sum([.. W.Select((w, i) =>
                {
                    Bounded off = (Bounded)Value(i) - w;
                    return (Bounded)(Importance.Length > 0 ? Importance[i] : 1) * off * off;
                })]);
            }

            (double value, _) = ReconstructionReference.Evaluate(_x, W, Values(), _matrix.Layout.Columns).Value;
            double size = Sizes().Sum(a => a * a);
            return new Bounded(value, Bounded.Gamma(_samples + _matrix.Layout.Columns + W.Length + 2) * size);
        }

        /// <summary>The gradient to the values, in the same form: gamma(n + columns + 1) of 2 sum a |x|.</summary>
        internal Bounded[] Slopes()
        {
            int columns = _matrix.Layout.Columns;
            Bounded[] slopes = ReconstructionReference.Evaluate(_x, W, Values(), columns).GradQ;
            double[] sizes = Sizes();
            int rows = _matrix.Layout.Rows;
            for (int i = 0; i < slopes.Length; i++)
            {
                double size = Enumerable.Range(0, _samples).Sum(
                    n => 2 * sizes[(n * rows) + (i / columns)] * Math.Abs(_x[(n * columns) + (i % columns)]));
                slopes[i] = slopes[i] with { Bound = Bounded.Gamma(_samples + columns + 1) * size };
            }

            return slopes;
        }

        /// <summary>H of the column of a weight with itself, and sum |q| |H| over its row.</summary>
        internal (double Own, double Fused) Curvature(int weight)
        {
            int columns = _matrix.Layout.Columns;
            int own = weight % columns;
            double H(int j) => Enumerable.Range(0, _samples).Sum(n => (double)_x[(n * columns) + own] * _x[(n * columns) + j]);
            return (H(own), Enumerable.Range(0, columns).Sum(j => Math.Abs(H(j) * Value(weight - own + j))));
        }

        /// <summary>The best codes of the indices.</summary>
        internal Bounded[] Means() => CodebookFitReference.Codes(
            _matrix.Shape, W, Array.ConvertAll(Index, code => (int)code), Codebook, [], Importance);

        internal (JointQuantizerResult Result, Bounded Before, Bounded After) Learn(
            JointQuantizerOptions options, IProgress<JointQuantizerProgress>? progress = null)
        {
            Bounded before = Objective();
            using var quantizer = new JointQuantizer(TestDevices.Session, _matrix.Layout, options, _samples);
            JointQuantizerResult result = quantizer.Learn(W, Index, Codebook, Scale, _x, Importance, progress);
            Bounded after = Objective();
            Assert.All(Codebook.Chunk(_matrix.Layout.Codes), book => Assert.Equal(book.Order(), book));
            Assert.All(Index, code => Assert.True(code < _matrix.Layout.Codes));
            return (result, before, after);
        }

        private float[] Values() => [.. Enumerable.Range(0, W.Length).Select(Value)];

        /// <summary>sum |x| |w - q| of each row of X and each of W.</summary>
        private double[] Sizes()
        {
            int columns = _matrix.Layout.Columns;
            int rows = _matrix.Layout.Rows;
            return [.. Enumerable.Range(0, _samples * rows).Select(i => Enumerable.Range(0, columns).Sum(j =>
            {
                int weight = (i % rows * columns) + j;
                return Math.Abs((double)_x[(i / rows * columns) + j]) * Math.Abs((double)Value(weight) - W[weight]);
            }))];
        }

        private float ScaleOf(int weight) => _matrix.Shape.Scales is null ? 1 : Scale[_matrix.Shape.Scales.Of(weight)];
    }
}
