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
    public void A_matrix_matches_the_reference_in_every_walk(int rows, int columns, double decay, bool maximize) =>
        Check((rows, columns), rows * columns, Options(decay, maximize));

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(257)]
    [InlineData(1024)]
    [InlineData(1025)]
    public void A_vector_matches_the_reference_in_every_walk(int n) => Check(null, n, Options(0.3, maximize: false));

    [Fact]
    public void Sums_over_many_rows_are_folded()
    {
        Check(null, 70_001, Options(0.1, maximize: false), tiny: false);
        Check((200, 40), 8000, Options(0.1, maximize: false), tiny: false);
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
            Check((6, 10), p, g, options);
            Check(null, p, g, options);
        }
    }

    [Fact]
    public void The_decay_is_by_the_whole_rate_even_where_the_step_is_capped()
    {
        // From the second step on the step is at most 1 / sqrt(t), and the rate is not.
        var options = new AdafactorOptions { LearningRate = 0.95, WeightDecay = 0.5 };
        Check((33, 31), 33 * 31, options);
        Check(null, 257, options);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Control_scales_and_skips(bool matrix)
    {
        (int, int)? shape = matrix ? (7, 100) : null;
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
    public void Nothing_to_do_is_no_work_and_zeros_take_no_step()
    {
        Accelerator accelerator = ReductionDevice.Chosen;
        DeviceFacts facts = DeviceFacts.Of(accelerator);
        float[] p = Numbers.LogUniform(6, seed: 1);
        Assert.Equal(p, Run(accelerator, facts, (2, 3), p, [new float[6]], new(), null)[0]);
        Assert.Equal(p, Run(accelerator, facts, null, p, [new float[6]], new(), null)[0]);
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
        Assert.Throws<ArgumentOutOfRangeException>("length", () => new Adafactor(accelerator, -1));
        Assert.Throws<ArgumentOutOfRangeException>("rows", () => new Adafactor(accelerator, -1, 1));
        Assert.Throws<ArgumentOutOfRangeException>("columns", () => new Adafactor(accelerator, 1, -1));
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

    private static void Check((int, int)? shape, int n, AdafactorOptions options, bool tiny = true) => Check(
        shape, Numbers.LogUniform(n, seed: 1),
        [.. Enumerable.Range(2, Steps).Select(seed => Numbers.LogUniform(n, seed))], options, tiny);

    private static void Check(
        (int Rows, int Columns)? shape, float[] p0, float[][] gradients, AdafactorOptions options, bool tiny = true)
    {
        int n = p0.Length;
        var reference = new AdafactorReference(
            shape, options.LearningRate, options.Beta2Decay, options.Epsilon1, options.Epsilon2, options.ClipThreshold,
            options.WeightDecay, options.Maximize)
        {
            // A lane, its piece, the pieces of a row, and at most two folds; rows in a group, and groups.
            ReductionDepth = Math.Min(n, 7 + 5 + 8 + 126),
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
            if (shape is not null)
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

    private static void Admits(Bounded[] expected, float[] got)
    {
        for (int i = 0; i < got.Length; i++)
        {
            Assert.True(expected[i].Admits(got[i]), $"state {i}: {got[i]:R}, expected {expected[i]}");
        }
    }

    private static float[][] Run(
        Accelerator accelerator, DeviceFacts facts, (int Rows, int Columns)? shape, float[] p0, float[][] gradients,
        AdafactorOptions options, float[]? controls, float[][]? parameters = null)
    {
        PieceLayout layout = shape is { } s
            ? Adafactor.MatrixLayout(s.Rows, s.Columns)
            : Adafactor.VectorLayout(p0.Length);
        using var kernel = new Adafactor(accelerator, layout, isFactored: shape is not null, facts);
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
