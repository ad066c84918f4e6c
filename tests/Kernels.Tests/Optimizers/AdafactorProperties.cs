using System.Globalization;
using ILGPU;
using ILGPU.Runtime;
using Kernels.Launching;
using Kernels.Optimizers;
using Kernels.References;
using Kernels.References.Optimizers;
using Kernels.Tests.Reductions;
using Kernels.Tests.Support;

namespace Kernels.Tests.Optimizers;

public sealed class AdafactorProperties
{
    private const int Steps = 3;

    [Theory]
    [InlineData(1, 1, 0, false)]
    [InlineData(2, 3, 0.3, false)]
    [InlineData(33, 31, 0.3, true)]
    [InlineData(65, 257, 0, false)]
    [InlineData(3, 1025, 0.1, false)]
    [InlineData(150, 3, 0.1, false)]
    [InlineData(129, 32, 0, false)]
    [InlineData(300, 1, 0, false)]
    public void A_matrix_matches_the_reference_in_every_walk(int rows, int columns, double decay, bool maximize) =>
        Check([rows, columns], rows * columns, Options(decay, maximize));

    [Theory]
    [InlineData(5, 7, 1, 1)]
    [InlineData(2, 33, 3, 3)]
    [InlineData(1, 3, 7, 32)]
    [InlineData(2, 2, 67, 31)]
    [InlineData(300, 1, 1, 2)]
    [InlineData(1, 3, 65, 33)]
    [InlineData(2, 2, 3, 300)]
    public void Matrices_of_one_tensor_match_the_reference_in_every_walk(int d, int c, int rows, int columns) =>
        Check([d, c, rows, columns], d * c * rows * columns, Options(0.1, maximize: false));

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(257)]
    [InlineData(1024)]
    [InlineData(1025)]
    public void A_vector_matches_the_reference_in_every_walk(int n) => Check([n], n, Options(0.3, maximize: false));

    [Fact]
    public void Sums_over_many_rows_are_folded()
    {
        Check([70_001], 70_001, Options(0.1, maximize: false), tiny: false);
        Check([200, 40], 8000, Options(0.1, maximize: false), tiny: false);
        // More than 256 sums of a fold, of one matrix and of several.
        Check([16_500, 1], 16_500, Options(0.1, maximize: false), tiny: false);
        Check([90, 200, 1], 18_000, Options(0.1, maximize: false), tiny: false);
    }

    [Theory]
    [InlineData(1e-6)]
    [InlineData(1e-3)]
    [InlineData(1e4)]
    public void The_floors_and_the_clip_hold(double size)
    {
        float[] p = Numbers.LogUniform(60, 1, size / 10, size);
        float[][] g = [.. Enumerable.Range(2, Steps).Select(seed => Numbers.LogUniform(60, seed, size / 10, size))];
        foreach (AdafactorOptions options in (AdafactorOptions[])
            [
                new(), new() { Epsilon1 = 1e-2 }, new() { Epsilon2 = 0 }, new() { ClipThreshold = 1.5 },
                new() { Beta2Decay = 0 }, new() { Beta2Decay = -2, LearningRate = 0.9 },
            ])
        {
            Check([6, 10], p, g, options);
            Check([3, 5, 4], p, g, options);
            Check([60], p, g, options);
        }
    }

    [Fact]
    public void The_decay_is_by_the_whole_rate_even_where_the_step_is_capped()
    {
        // From the second step on the step is at most 1 / sqrt(t), and the rate is not.
        var options = new AdafactorOptions { LearningRate = 0.95, WeightDecay = 0.5 };
        Check([33, 31], 33 * 31, options);
        Check([257], 257, options);
    }

    [Theory]
    [InlineData("7, 100")]
    [InlineData("25, 7, 4")]
    [InlineData("700")]
    public void Control_scales_and_skips(string lengths)
    {
        long[] shape = Array.ConvertAll(lengths.Split(','), n => long.Parse(n, CultureInfo.InvariantCulture));
        float[] p = Numbers.LogUniform(700, seed: 1);
        float[] g = Numbers.LogUniform(700, seed: 2);
        foreach ((Accelerator accelerator, DeviceFacts facts) in ReductionDevice.Walks(tiny: true))
        {
            float[][] plain = Run(accelerator, facts, shape, p, [g], new(), null);
            float[] scaled = Array.ConvertAll(g, x => x * 1024);
            Assert.Equal(plain, Run(accelerator, facts, shape, p, [scaled], new(), [1f / 1024, 0]));
            float[][] skipped = Run(accelerator, facts, shape, p, [g], new(), [1, 1]);
            Assert.Equal(p, skipped[0]);
            Assert.All(skipped[1], x => Assert.Equal(0, x));
            Assert.All(skipped[2], x => Assert.Equal(0, x));
        }
    }

    [Fact]
    public void Tensors_step_together_to_the_bits_of_each_alone()
    {
        // Full and short pieces of each kind, groups and tails of columns, matrices within a piece and across pieces.
        long[][] shapes =
        [
            [300], [33, 31], [65, 257], [1], [0, 5], [5, 3, 3, 3], [2, 70, 300], [1024], [], [2, 3, 70, 32], [9, 1, 1],
            [130, 512], [700],
        ];
        float[][] p = [.. shapes.Select((shape, i) => Numbers.LogUniform(Elements(shape), seed: i))];
        float[][][] g =
        [
            .. Enumerable.Range(1, Steps).Select(step => shapes.Select((shape, i) =>
                Numbers.LogUniform(Elements(shape), seed: (100 * step) + i)).ToArray()),
        ];
        AdafactorOptions options = Options(0.1, maximize: false);
        foreach ((Accelerator accelerator, DeviceFacts facts) in ReductionDevice.Walks(tiny: true))
        {
            float[][] together = Run(accelerator, facts, shapes, Padded(p), [.. g.Select(Padded)], options, null);
            long first = 0;
            long row = 0;
            long column = 0;
            for (int i = 0; i < shapes.Length; i++)
            {
                float[][] alone = Run(accelerator, facts, [shapes[i]], p[i], [.. g.Select(step => step[i])], options, null);
                Assert.Equal(alone[0], together[0].AsSpan((int)first, alone[0].Length).ToArray());
                Assert.Equal(alone[1], together[1].AsSpan((int)row, alone[1].Length).ToArray());
                Assert.Equal(alone[2], together[2].AsSpan((int)column, alone[2].Length).ToArray());
                first += (alone[0].Length + 255) / 256 * 256;
                row += alone[1].Length;
                column += alone[2].Length;
            }

            Assert.Equal((together[0].Length, together[1].Length, together[2].Length), (first, row, column));
        }
    }

    [Fact]
    public void Nothing_to_do_is_no_work_and_zeros_take_no_step()
    {
        Accelerator accelerator = ReductionDevice.Chosen;
        DeviceFacts facts = DeviceFacts.Of(accelerator);
        float[] p = Numbers.LogUniform(6, seed: 1);
        Assert.Equal(p, Run(accelerator, facts, [2, 3], p, [new float[6]], new(), null)[0]);
        Assert.Equal(p, Run(accelerator, facts, [3, 1, 2], p, [new float[6]], new(), null)[0]);
        Assert.Equal(p, Run(accelerator, facts, [6], p, [new float[6]], new(), null)[0]);
        using var empty = new Adafactor(accelerator, 0, 5);
        using var columns = new GuardedTensor(accelerator, new float[5]);
        empty.Step(accelerator.DefaultStream, default, default, default, columns.Floats, 1, new());
        Assert.Equal(new float[5], columns.Values());
    }

    [Fact]
    public void Rejects_what_it_cannot_do_and_names_it()
    {
        Accelerator accelerator = ReductionDevice.Chosen;
        AcceleratorStream stream = accelerator.DefaultStream;
        Assert.Throws<ArgumentNullException>("accelerator", () => new Adafactor(null!, 1));
        Assert.Throws<ArgumentNullException>("shapes", () => new Adafactor(accelerator, (IReadOnlyList<long[]>)null!));
        Assert.Throws<ArgumentNullException>("shapes", () => new Adafactor(accelerator, [[2, 3], null!]));
        Assert.Throws<ArgumentOutOfRangeException>("shapes", () => new Adafactor(accelerator, [[2, 3], [4, -1]]));
        Assert.Throws<ArgumentOutOfRangeException>("shapes", () => new Adafactor(accelerator, [[1L << 38], [1L << 38], [1L << 38]]));
        Assert.Throws<ArgumentOutOfRangeException>("shape", () => new Adafactor(accelerator, -1));
        Assert.Throws<ArgumentOutOfRangeException>("shape", () => new Adafactor(accelerator, -1, 1));
        Assert.Throws<ArgumentOutOfRangeException>("shape", () => new Adafactor(accelerator, 1, -1));
        Assert.Throws<ArgumentOutOfRangeException>("shape", () => new Adafactor(accelerator, 0, 1L << 40));
        Assert.Throws<ArgumentOutOfRangeException>("shape", () => new Adafactor(accelerator, 1 << 20, 1 << 20));
        // Each row of 33 elements is a piece of its own, and 2^31 are too many.
        Assert.Throws<ArgumentOutOfRangeException>("shapes", () => new Adafactor(accelerator, 1L << 31, 33));
        using var matrix = new Adafactor(accelerator, 2, 3);
        using var all = accelerator.Allocate1D<float>(32);
        ArrayView<float> p = all.View.BaseView.SubView(0, 6);
        ArrayView<float> g = all.View.BaseView.SubView(6, 6);
        ArrayView<float> r = all.View.BaseView.SubView(12, 2);
        ArrayView<float> c = all.View.BaseView.SubView(14, 3);
        var options = new AdafactorOptions();
        Assert.Throws<ArgumentNullException>("stream", () => matrix.Step(null!, p, g, r, c, 1, options));
        Assert.Throws<ArgumentNullException>("options", () => matrix.Step(stream, p, g, r, c, 1, null!));
        Assert.Throws<ArgumentOutOfRangeException>("step", () => matrix.Step(stream, p, g, r, c, 0, options));
        Assert.Throws<ArgumentException>("p", () => matrix.Step(stream, r, g, r, c, 1, options));
        Assert.Throws<ArgumentException>("g", () => matrix.Step(stream, p, r, r, c, 1, options));
        Assert.Throws<ArgumentException>("rowVariance", () => matrix.Step(stream, p, g, c, c, 1, options));
        Assert.Throws<ArgumentException>("columnVariance", () => matrix.Step(stream, p, g, r, r, 1, options));
        Assert.Throws<ArgumentException>("g", () => matrix.Step(stream, p, p, r, c, 1, options));
        Assert.Throws<ArgumentException>("rowVariance", () => matrix.Step(stream, p, g, p.SubView(0, 2), c, 1, options));
        Assert.Throws<ArgumentException>(
            "columnVariance", () => matrix.Step(stream, p, g, r, g.SubView(0, 3), 1, options));
        Assert.Throws<ArgumentException>("extras.Control", () => matrix.Step(stream, p, g, r, c, 1, options, new UpdateExtras { Control = r }));
        Assert.Throws<ArgumentException>("extras", () => matrix.Step(stream, p, g, r, c, 1, options, new UpdateExtras { Control = c }));
        Assert.Throws<ArgumentException>(
            "options", () => matrix.Step(stream, p, g, r, c, 1, options with { Decoupled = false }));
        foreach (AdafactorOptions bad in (AdafactorOptions[])
            [
                new() { LearningRate = double.NaN }, new() { WeightDecay = -1 }, new() { Beta2Decay = 0.1 },
                new() { Beta2Decay = double.NaN }, new() { Epsilon1 = 0 }, new() { Epsilon2 = -1 },
                new() { ClipThreshold = 0.5 }, new() { ClipThreshold = double.NaN },
            ])
        {
            Assert.Throws<ArgumentOutOfRangeException>("options", () => matrix.Step(stream, p, g, r, c, 1, bad));
        }

        matrix.Dispose();
        Assert.Throws<ObjectDisposedException>(() => matrix.Step(stream, p, g, r, c, 1, options));
    }

    private static AdafactorOptions Options(double decay, bool maximize) => new()
    {
        LearningRate = 0.1,
        WeightDecay = decay,
        Maximize = maximize,
    };

    private static void Check(long[] shape, int n, AdafactorOptions options, bool tiny = true) => Check(
        shape, Numbers.LogUniform(n, seed: 1),
        [.. Enumerable.Range(2, Steps).Select(seed => Numbers.LogUniform(n, seed))], options, tiny);

    private static void Check(
        long[] shape, float[] p0, float[][] gradients, AdafactorOptions options, bool tiny = true)
    {
        int n = p0.Length;
        var reference = new AdafactorReference(
            Array.ConvertAll(shape, d => (int)d), options.LearningRate, options.Beta2Decay, options.Epsilon1, options.Epsilon2, options.ClipThreshold,
            options.WeightDecay, options.Maximize)
        {
            ReductionDepth = Math.Min(n, Depth(shape)),
        };
        Bounded[] p = Array.ConvertAll(p0, x => Bounded.FromDouble(x));
        Bounded[][] state = reference.CreateState(n);
        var expected = new Bounded[Steps][];
        for (int t = 0; t < Steps; t++)
        {
            reference.Step(t + 1, p, Array.ConvertAll(gradients[t], x => Bounded.FromDouble(x)), state);
            expected[t] = [.. p];
        }

        float[][]? bits = null;
        foreach ((Accelerator accelerator, DeviceFacts facts) in ReductionDevice.Walks(tiny))
        {
            var got = new float[Steps][];
            float[][] last = Run(accelerator, facts, shape, p0, gradients, options, null, got);
            for (int t = 0; t < Steps; t++)
            {
                for (int i = 0; i < n; i++)
                {
                    Assert.True(
                        expected[t][i].Admits(got[t][i]),
                        $"{facts.Class} {t + 1} {i}: {got[t][i]:R}, expected {expected[t][i]}");
                }
            }

            Admits(state[0], last[1]);
            if (shape.Length > 1)
            {
                Admits(state[1], last[2]);
            }

            if (accelerator.AcceleratorType == AcceleratorType.CPU)
            {
                bits ??= last;
                Assert.Equal(bits, last);
            }
        }
    }

    /// <summary>The most additions that a square goes through.</summary>
    private static int Depth(long[] shape)
    {
        const int Piece = 7 + 5; // a lane, and the lanes
        (long rows, long columns) = shape.Length > 1 ? (shape[^2], shape[^1]) : (1, shape[0]);
        long ofRow = Math.Max(Piece + columns / 256, 31);
        long ofColumn = 63 + rows / 64; // a group of rows, and the groups
        long ofMatrix = Folds(rows);
        long ofTensor = Piece + Folds(Elements(shape)); // more than there are pieces
        return (int)Math.Max(Math.Max(ofRow, ofColumn), Math.Max(ofMatrix, ofTensor));
    }

    // Of 64 to 1.
    private static int Folds(long values) => values <= 1 ? 0 : 63 + Folds((values + 63) / 64);

    private static int Elements(long[] shape) => (int)shape.Aggregate(1L, (product, d) => product * d);

    /// <summary>Tensors one after the other, each from a multiple of 256 elements on.</summary>
    private static float[] Padded(float[][] tensors) =>
        [.. tensors.SelectMany(t => t.Concat(new float[(t.Length + 255) / 256 * 256 - t.Length]))];

    private static void Admits(Bounded[] expected, float[] got)
    {
        for (int i = 0; i < got.Length; i++)
        {
            Assert.True(expected[i].Admits(got[i]), $"state {i}: {got[i]:R}, expected {expected[i]}");
        }
    }

    private static float[][] Run(
        Accelerator accelerator, DeviceFacts facts, long[] shape, float[] p0, float[][] gradients,
        AdafactorOptions options, float[]? controls, float[][]? parameters = null) =>
        Run(accelerator, facts, [shape], p0, gradients, options, controls, parameters);

    private static float[][] Run(
        Accelerator accelerator, DeviceFacts facts, long[][] shapes, float[] p0, float[][] gradients,
        AdafactorOptions options, float[]? controls, float[][]? parameters = null)
    {
        using var kernel = new Adafactor(accelerator, Adafactor.Placed(shapes), facts);
        using var p = new GuardedTensor(accelerator, p0);
        using var row = new GuardedTensor(accelerator, new float[kernel.RowVarianceLength]);
        using var column = new GuardedTensor(accelerator, new float[kernel.ColumnVarianceLength]);
        using var control = new GuardedTensor(accelerator, controls ?? [1, 0]);
        for (int t = 0; t < gradients.Length; t++)
        {
            using var g = new GuardedTensor(accelerator, gradients[t]);
            kernel.Step(
                accelerator.DefaultStream, p.Floats, g.Floats, row.Floats, column.Floats, t + 1, options,
                new UpdateExtras { Control = controls is null ? default : control.Floats });
            accelerator.Synchronize();
            Assert.Equal(gradients[t], g.Values());
            if (parameters is not null)
            {
                parameters[t] = p.Values();
            }
        }

        return [p.Values(), row.Values(), column.Values()];
    }
}
