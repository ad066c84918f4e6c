using Kernels.References;
using Kernels.References.Dct;
using Kernels.References.Optimizers;
using static Kernels.Tests.References.Dct.Matrices;

namespace Kernels.Tests.References.Dct;

public sealed class DctAdamWReferenceTests
{
    /// <summary>
    /// Four steps by dense products, the rotation too, computed apart; every step takes other columns.
    /// </summary>
    [Fact]
    public void Known_steps_from_the_right()
    {
        var optimizer = new DctAdamWReference(
            4, 3, 2, learningRate: 0.1, weightDecay: 0.1, rotate: true, errorFeedback: true);
        (double[] p, DctAdamWState state) = Run(optimizer, 4, 3, steps: 4);
        AssertNear(
            [-0.4344777810824175, -0.07811417636720626, 0.3250478245369538, -0.7542370681390075,
            -0.3098702677835947, -0.1590793731388808, 0.5212186910412585, -0.734707007628577,
            -0.1932789641823857, -0.0034215381512365806, 0.8367887643036721, -0.759836510813115], p);
        AssertNear(
            [0.016572815184059706, 0.06320257635539063, -0.09501747372194232, -0.011661229684327923,
            -0.09501747372194233, 0.07544364618976801, 0.016572815184059703, 0.15713668066340242],
            Values(state.Mean));
        AssertNear(
            [2.7465820312500072e-05, 0.0012427504392008078, 0.0009028320312500011, 0.0016578301918049754,
            0.0009028320312500013, 0.001243580183626263, 2.746582031250007e-05, 0.0012427504392008074],
            Values(state.MeanSquare));
        double[] rowErrors = [3.0 / 64, -10.0 / 384, -38.0 / 384, -11.0 / 64];
        AssertNear([.. rowErrors.SelectMany(e => new[] { e, e, e })], Values(state.Error));
        Assert.Equal([1, 2], state.Index);
    }

    [Fact]
    public void Known_steps_from_the_left()
    {
        var optimizer = new DctAdamWReference(
            3, 5, 2, learningRate: 0.05, beta1: 0.8, beta2: 0.95, epsilon: 1e-3, updateInterval: 2, squares: true);
        (double[] p, DctAdamWState state) = Run(optimizer, 3, 5, steps: 4);
        AssertNear(
            [-0.453305997439884, 0.02684406952971458, 0.34900064086700944, -0.7849868725866662,
            -0.26146240912105484, -0.048047563842591984, 0.514727610860343, -0.7263979746252013,
            -0.2013240924789915, 0.1250000000000091, 0.7357285612824759, -0.6665716803900577,
            -0.10697766624180811, 0.14256096506565769, 0.5114624091210459], p);
        AssertNear(
            [0.23988597551753627, -0.08149405653174958, 0.016705397705532227, -0.12613017209415037,
            -0.05292694257181309, -0.16905561708108563, -0.016493230934740068, 0.1659631362808219,
            -0.08349698160712152, 0], Values(state.Mean));
        AssertNear(
            [0.030300746917724643, 0.062246990203857475, 0.04571212387084965, 0.061846294403076235,
            0.062497348022461, 0.037510238393147814, 0.03652442398071293, 0.05826422602335619,
            0.07699469985961921, 0], Values(state.MeanSquare));
        Assert.Empty(state.Error);
    }

    [Fact]
    public void With_all_columns_it_is_AdamW_of_the_rotated_gradient_rotated_back()
    {
        const int Rows = 6;
        const int Columns = 5;
        var optimizer = new DctAdamWReference(
            Rows, Columns, Columns, learningRate: 0.01, weightDecay: 0.2, rotate: true, errorFeedback: true);
        var basis = new TransformReference(TransformKind.Dct2, Columns);
        var back = new TransformReference(TransformKind.Dct3, Columns);
        double[] p = Sixtyfourths(Rows, Columns, 9);
        double[][] rotated = [.. Enumerable.Range(1, 3).Select(t => basis.Apply(Sixtyfourths(Rows, Columns, t)))];
        var adam = new AdamReference(learningRate: 0.01, weightDecay: 0.2, decoupled: true);
        double[][] wanted = adam.Run(basis.Apply(p), rotated);
        (double[] got, DctAdamWState state) = Run(optimizer, Rows, Columns, steps: 3);
        AssertNear(back.Apply(wanted[2]), got);
        AssertNear(new double[Rows * Columns], Values(state.Error));
    }

    [Theory]
    [InlineData(6, 4)]
    [InlineData(4, 6)]
    public void The_left_of_a_matrix_is_the_right_of_its_transpose(int rows, int columns)
    {
        DctAdamWReference Make(int r, int c, ProjectionSide side) => new(
            r, c, 2, weightDecay: 0.1, rotate: true, errorFeedback: true, side: side);
        DctAdamWReference left = Make(rows, columns, ProjectionSide.Left);
        DctAdamWReference right = Make(columns, rows, ProjectionSide.Right);
        DctAdamWState leftState = left.CreateState();
        DctAdamWState rightState = right.CreateState();
        Bounded[] p = Exact(Sixtyfourths(rows, columns, 9));
        Bounded[] q = Transpose(p, rows, columns);
        for (int t = 1; t <= 3; t++)
        {
            Bounded[] g = Exact(Sixtyfourths(rows, columns, t));
            int[] index = left.Choose(t, g, leftState);
            left.Step(t, p, g, leftState, index);
            right.Step(t, q, Transpose(g, rows, columns), rightState, index);
        }

        Assert.Equal(Transpose(p, rows, columns), q);
        Assert.Equal(Transpose(leftState.Mean, 2, columns), rightState.Mean);
        Assert.Equal(Transpose(leftState.MeanSquare, 2, columns), rightState.MeanSquare);
        Assert.Equal(Transpose(leftState.Error, rows, columns), rightState.Error);
        Assert.NotEqual(Transpose(Exact(Sixtyfourths(rows, columns, 9)), rows, columns), q);
    }

    /// <summary>
    /// A = a Q_r + E at each step, and the sums of what was taken and of the gradients differ by the last E.
    /// </summary>
    [Fact]
    public void Error_feedback_loses_nothing()
    {
        const int Rows = 7;
        const int Columns = 5;
        const int Rank = 2;
        // Without memory the mean is a itself.
        var optimizer = new DctAdamWReference(Rows, Columns, Rank, beta1: 0, errorFeedback: true);
        var basis = new TransformReference(TransformKind.Dct2, Columns);
        DctAdamWState state = optimizer.CreateState();
        Bounded[] p = Exact(Sixtyfourths(Rows, Columns, 9));
        var taken = new double[Rows * Columns];
        var given = new double[Rows * Columns];
        for (int t = 1; t <= 5; t++)
        {
            double[] g = Sixtyfourths(Rows, Columns, t);
            double[] before = Values(state.Error);
            optimizer.Step(t, p, Exact(g), state, optimizer.Choose(t, Exact(g), state));
            double[] kept = [.. Enumerable.Range(0, g.Length).Select(i => Enumerable.Range(0, Rank).Sum(c =>
                state.Mean[(i / Columns * Rank) + c].Value * basis.Entry(state.Index[c], i % Columns)))];
            AssertNear([.. g.Zip(before, (x, e) => x + e)], [.. kept.Zip(state.Error, (x, e) => x + e.Value)]);
            taken = [.. taken.Zip(kept, (x, y) => x + y)];
            given = [.. given.Zip(g, (x, y) => x + y)];
        }

        AssertNear(given, [.. taken.Zip(state.Error, (x, e) => x + e.Value)]);
        Assert.True(state.Error.Max(e => Math.Abs(e.Value)) > 0.01);
    }

    [Fact]
    public void The_shorter_side_is_projected_and_a_square_from_the_right()
    {
        foreach ((int rows, int columns, ProjectionSide side) in new[]
        {
            (4, 4, ProjectionSide.Right), (5, 4, ProjectionSide.Right), (4, 5, ProjectionSide.Left),
        })
        {
            (double[] chosen, _) = Run(new DctAdamWReference(rows, columns, 2), rows, columns, steps: 2);
            (double[] given, _) = Run(new DctAdamWReference(rows, columns, 2, side: side), rows, columns, steps: 2);
            ProjectionSide opposite = side == ProjectionSide.Right ? ProjectionSide.Left : ProjectionSide.Right;
            (double[] other, _) = Run(
                new DctAdamWReference(rows, columns, 2, side: opposite), rows, columns, steps: 2);
            Assert.Equal(given, chosen);
            Assert.NotEqual(other, chosen);
        }
    }

    [Fact]
    public void States_move_with_their_columns_only_if_asked()
    {
        var basis = new TransformReference(TransformKind.Dct3, 4);
        Bounded[] first = Exact(basis.Apply([9.0, 8, 0, 0]));
        Bounded[] second = Exact(basis.Apply([0.0, 8, 9, 0]));
        foreach (bool rotate in new[] { false, true })
        {
            var optimizer = new DctAdamWReference(
                1, 4, 2, beta1: 0.5, beta2: 0.5, rotate: rotate, side: ProjectionSide.Right);
            DctAdamWState state = optimizer.CreateState();
            Bounded[] p = new Bounded[4];
            optimizer.Step(1, p, first, state, [0, 1]);
            optimizer.Step(2, p, second, state, [1, 2]);
            AssertNear(rotate ? [2 + 4, 4.5] : [2.25 + 4, 2 + 4.5], Values(state.Mean));
            AssertNear(rotate ? [16 + 32, 40.5] : [20.25 + 32, 16 + 40.5], Values(state.MeanSquare));
        }
    }

    [Fact]
    public void Columns_change_at_the_first_step_and_at_multiples_of_the_interval()
    {
        var optimizer = new DctAdamWReference(1, 4, 2, updateInterval: 3, side: ProjectionSide.Right);
        Assert.Equal([true, false, true, false, false, true], Enumerable.Range(1, 6).Select(optimizer.Refreshes));
        var basis = new TransformReference(TransformKind.Dct3, 4);
        Bounded[] first = Exact(basis.Apply([9.0, 8, 0.1, 0.2]));
        Bounded[] second = Exact(basis.Apply([0.3, 0.4, 9, 8]));
        DctAdamWState state = optimizer.CreateState();
        Bounded[] p = new Bounded[4];
        optimizer.Step(1, p, first, state, [0, 1]);
        Assert.Equal([0, 1], optimizer.Choose(2, second, state));
        Assert.Throws<ArgumentException>(() => optimizer.Step(2, p, second, state, [2, 3]));
        optimizer.Step(2, p, second, state, [0, 1]);
        Assert.Equal((0.09 * 9) + 0.03, state.Mean[0].Value, 1e-12);
        Assert.Equal([2, 3], optimizer.Choose(3, second, state));
        optimizer.Step(3, p, second, state, [2, 3]);
        Assert.Equal([2, 3], state.Index);
    }

    [Fact]
    public void Only_choices_that_roundings_allow_are_taken_and_followed()
    {
        var basis = new TransformReference(TransformKind.Dct3, 3);
        float[] g = [.. basis.Apply([3, 2 + 1e-7, 2]).Select(v => (float)v)];
        var optimizer = new DctAdamWReference(1, 3, 2, side: ProjectionSide.Right);
        DctAdamWState state = optimizer.CreateState();
        Bounded[] p = new Bounded[3];
        Assert.Throws<ArgumentException>(() => optimizer.Step(1, p, Exact(g), state, [1, 2]));
        Assert.Throws<ArgumentException>(() => optimizer.Step(1, p, Exact(g), state, [2, 0]));
        Assert.Throws<ArgumentException>(() => optimizer.Step(1, p, Exact(g), state, [0]));
        Assert.All(state.Mean, m => Assert.Equal(0, m.Value));
        Assert.All(p, v => Assert.Equal(0, v.Value));
        foreach (int[] index in new[] { new[] { 0, 1 }, [0, 2] })
        {
            p = new Bounded[3];
            optimizer.Step(1, p, Exact(g), optimizer.CreateState(), index);
            double[] rotated = new TransformReference(TransformKind.Dct2, 3).Apply(Values(p));
            AssertNear([-1e-3, index[1] == 1 ? -1e-3 : 0, index[1] == 2 ? -1e-3 : 0], rotated, 1e-10);
        }
    }

    [Fact]
    public void Steps_in_binary32_keep_the_bounds_and_an_epsilon_elsewhere_does_not()
    {
        const int Rows = 9;
        const int Columns = 6;
        const int Rank = 3;
        var optimizer = new DctAdamWReference(
            Rows, Columns, Rank, 0.01, epsilon: 0.01, weightDecay: 0.1, errorFeedback: true, rotate: true);
        foreach (bool isCorrected in new[] { true, false })
        {
            float[] p = Gaussian(Rows * Columns, seed: 1);
            float[] m = new float[Rows * Rank];
            float[] v = new float[Rows * Rank];
            float[] e = new float[Rows * Columns];
            Bounded[] wanted = Exact(p);
            DctAdamWState state = optimizer.CreateState();
            int refused = 0;
            for (int t = 1; t <= 3; t++)
            {
                float[] g = Gaussian(Rows * Columns, seed: 1 + t);
                int[] index = optimizer.Choose(t, Exact(g), state);
                int[] previous = [.. state.Index];
                optimizer.Step(t, wanted, Exact(g), state, index);
                double root = Math.Sqrt(1 - Math.Pow(0.999, t));
                if (t > 1)
                {
                    m = RemapReference.Apply(m, previous, index);
                    v = RemapReference.Apply(v, previous, index);
                }

                StepInSingle(
                    p, g, m, v, e, Columns, index, (float)(0.01 * root / (1 - Math.Pow(0.9, t))),
                    (float)(isCorrected ? 0.01 * root : 0.01));
                refused += Enumerable.Range(0, p.Length).Count(i => !wanted[i].Admits(p[i]));
                AssertAdmits(state.Mean, m);
                AssertAdmits(state.MeanSquare, v);
                AssertAdmits(state.Error, e);
                Assert.All(wanted, w => Assert.InRange(w.Bound, 0, 1e-4));
            }

            Assert.Equal(!isCorrected, refused > 0);
        }
    }

    /// <summary>
    /// The codes of a step's error are checked against it, and the next step begins from what they mean.
    /// </summary>
    [Fact]
    public void An_error_in_codes_is_taken_up_as_what_they_mean()
    {
        var optimizer = new DctAdamWReference(4, 3, 1, errorFeedback: true);
        var block = new ErrorBlockReference(bits: 4, bucket: 3);
        DctAdamWState state = optimizer.CreateState();
        Bounded[] p = Exact(Sixtyfourths(4, 3, 9));
        Bounded[] g = Exact(Sixtyfourths(4, 3, 1));
        optimizer.Step(1, p, g, state, optimizer.Choose(1, g, state));
        (byte[] codes, float[] minimum, float[] unit) = block.Encode([.. state.Error.Select(x => (float)x.Value)]);
        Assert.True(block.Admits(state.Error, codes, minimum, unit));
        Bounded[] decoded = block.Decode(codes, minimum, unit, 12);
        decoded.CopyTo(state.Error, 0);
        var zeros = new Bounded[12];
        int[] index = optimizer.Choose(2, zeros, state);
        optimizer.Step(2, p, zeros, state, index);
        var select = new SelectReference(new TransformReference(TransformKind.Dct2, 3), decoded, squares: false);
        Assert.Equal(select.Choose(1), index);
    }

    [Fact]
    public void Arguments_out_of_range_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new DctAdamWReference(0, 3, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new DctAdamWReference(4, 0, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new DctAdamWReference(4, 3, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => new DctAdamWReference(4, 3, 4));
        Assert.NotNull(new DctAdamWReference(4, 3, 4, side: ProjectionSide.Left));
        Assert.Throws<ArgumentOutOfRangeException>(() => new DctAdamWReference(4, 3, 2, side: (ProjectionSide)3));
        Assert.Throws<ArgumentOutOfRangeException>(() => new DctAdamWReference(4, 3, 2, kind: TransformKind.Hadamard));
        Assert.Throws<ArgumentOutOfRangeException>(() => new DctAdamWReference(4, 3, 2, learningRate: -1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new DctAdamWReference(4, 3, 2, beta1: 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new DctAdamWReference(4, 3, 2, beta2: -0.1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new DctAdamWReference(4, 3, 2, weightDecay: -1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new DctAdamWReference(4, 3, 2, updateInterval: 0));
        var optimizer = new DctAdamWReference(4, 3, 2);
        DctAdamWState state = optimizer.CreateState();
        Bounded[] p = new Bounded[12];
        Assert.Throws<ArgumentOutOfRangeException>(() => optimizer.Step(0, p, p, state, [0, 1]));
        var fed = new DctAdamWReference(4, 3, 1, errorFeedback: true);
        DctAdamWState untouched = fed.CreateState();
        Bounded[] g = Exact(Sixtyfourths(4, 3, 1));
        int[] chosen = fed.Choose(1, g, untouched);
        Assert.Throws<ArgumentOutOfRangeException>(() => fed.Step(0, p, g, untouched, chosen));
        Assert.All(untouched.Error, e => Assert.Equal(0, e.Value));
        Assert.Throws<ArgumentException>(() => optimizer.Step(1, p.AsSpan(1), p, state, [0, 1]));
        Assert.Throws<ArgumentException>(() => optimizer.Step(1, p, p.AsSpan(1), state, [0, 1]));
        Assert.Throws<ArgumentException>(() =>
            optimizer.Step(1, p, p, new DctAdamWReference(4, 3, 1).CreateState(), [0, 1]));
        Assert.Throws<ArgumentException>(() =>
            optimizer.Step(1, p, p, new DctAdamWReference(4, 3, 2, errorFeedback: true).CreateState(), [0, 1]));
    }

    private static (double[] P, DctAdamWState State) Run(DctAdamWReference optimizer, int rows, int columns, int steps)
    {
        Bounded[] p = Exact(Sixtyfourths(rows, columns, 9));
        DctAdamWState state = optimizer.CreateState();
        for (int t = 1; t <= steps; t++)
        {
            Bounded[] g = Exact(Sixtyfourths(rows, columns, t));
            optimizer.Step(t, p, g, state, optimizer.Choose(t, g, state));
        }

        return (Values(p), state);
    }

    /// <summary>One step by direct sums, as a kernel would; the decay is 0.001 and the betas are the usual.</summary>
    private static void StepInSingle(
        float[] p, float[] g, float[] m, float[] v, float[] e, int columns, int[] index, float rate, float epsilon)
    {
        var basis = new TransformReference(TransformKind.Dct2, columns);
        float[] update = new float[index.Length];
        for (int row = 0; row < p.Length / columns; row++)
        {
            float[] a = [.. Enumerable.Range(row * columns, columns).Select(i => g[i] + e[i])];
            float[] low = new float[index.Length];
            for (int c = 0; c < index.Length; c++)
            {
                int i = (row * index.Length) + c;
                for (int j = 0; j < columns; j++)
                {
                    low[c] += a[j] * (float)basis.Entry(index[c], j);
                }

                m[i] = (0.9f * m[i]) + ((float)(1 - 0.9) * low[c]);
                v[i] = (0.999f * v[i]) + ((float)(1 - 0.999) * low[c] * low[c]);
                update[c] = m[i] / (MathF.Sqrt(v[i]) + epsilon);
            }

            for (int j = 0; j < columns; j++)
            {
                float back = 0;
                float kept = 0;
                for (int c = 0; c < index.Length; c++)
                {
                    back += update[c] * (float)basis.Entry(index[c], j);
                    kept += low[c] * (float)basis.Entry(index[c], j);
                }

                int i = (row * columns) + j;
                p[i] = (p[i] * (float)(1 - 0.001)) - (rate * back);
                e[i] = a[j] - kept;
            }
        }
    }
}
