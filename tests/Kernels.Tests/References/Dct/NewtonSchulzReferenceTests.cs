using Kernels.References;
using Kernels.References.Dct;
using Kernels.References.Optimizers;
using static Kernels.Tests.References.Dct.Matrices;

namespace Kernels.Tests.References.Dct;

public sealed class NewtonSchulzReferenceTests
{
    public static TheoryData<int, int> Shapes => new()
    {
        { 1, 1 }, { 1, 7 }, { 5, 5 }, { 8, 24 }, { 24, 8 }, { 24, 24 },
    };

    /// <summary>U diag(p(p(p(p(p(s / |s|)))))) V^T.</summary>
    [Theory]
    [MemberData(nameof(Shapes))]
    public void It_maps_singular_values_and_keeps_their_vectors(int rows, int columns)
    {
        float[] g = Gaussian(rows * columns, seed: 1);
        (double[] u, double[] singular, double[] v) = SvdProjectionReference.Decompose(Wide(g), rows, columns);
        double norm = Math.Sqrt(singular.Sum(s => s * s)) + 1e-7;
        int k = singular.Length;
        double[] scaled = [.. Enumerable.Range(0, u.Length).Select(i => u[i] * Five(singular[i % k] / norm))];
        AssertNear(Product(scaled, Transpose(v, columns, k), rows, k, columns),
            Values(NewtonSchulzReference.Apply(Exact(g), rows, columns)), 1e-9);
    }

    /// <summary>Between the polynomial's least value past its largest, and that.</summary>
    [Fact]
    public void Singular_values_of_a_well_conditioned_matrix_come_near_to_1()
    {
        for (int seed = 0; seed < 3; seed++)
        {
            double[] x = Values(NewtonSchulzReference.Apply(Exact(Gaussian(32 * 64, seed)), 32, 64));
            double[] singular = SvdProjectionReference.Decompose(x, 32, 64).Singular;
            Assert.All(singular, s => Assert.InRange(s, 0.68, 1.2));
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Steps_in_binary32_keep_the_bound_and_a_wrong_coefficient_does_not(int rows, int columns)
    {
        for (int seed = 2; seed < 5; seed++)
        {
            float[] g = Gaussian(rows * columns, seed);
            Bounded[] wanted = NewtonSchulzReference.Apply(Exact(g), rows, columns);
            AssertAdmits(wanted, InSingle(g, rows, columns, 3.4445f));
            // A relative change of 1 %, where one element is 1.
            float[] wrong = InSingle(g, rows, columns, 3.48f);
            Assert.Contains(Enumerable.Range(0, g.Length), i => !wanted[i].Admits(wrong[i]));
        }
    }

    /// <summary>Orthogonal matrices of these sizes have elements of about 1, 0.4, 0.2 and 0.2.</summary>
    [Theory]
    [InlineData(1, 1, 4e-5)]
    [InlineData(5, 5, 1e-3)]
    [InlineData(8, 24, 2e-3)]
    [InlineData(24, 24, 0.02)]
    public void Bounds_stay_small(int rows, int columns, double most)
    {
        double worst = 0;
        for (int seed = 0; seed < 10; seed++)
        {
            Bounded[] x = NewtonSchulzReference.Apply(Exact(Gaussian(rows * columns, seed)), rows, columns);
            worst = Math.Max(worst, x[0].Bound);
        }

        Assert.InRange(worst, most / 4, most);
    }

    /// <summary>Worked out once in binary64: another count of roundings is another number.</summary>
    [Theory]
    [InlineData(1, 1, 2.40739561043e-5, 16.0346937324)]
    [InlineData(2, 3, 0.000107911994159, 0.105175474325)]
    [InlineData(3, 2, 0.000166972201556, 0.735321555048)]
    [InlineData(4, 4, 0.00132421102759, 29.0216672449)]
    [InlineData(24, 24, 0.0054529708452, 37.9142193676)]
    public void The_bound_is_that_of_its_derivation(int rows, int columns, double exact, double off)
    {
        double[] g = Sixtyfourths(rows, columns, 1);
        double bound = NewtonSchulzReference.Apply(Exact(g), rows, columns)[0].Bound;
        Assert.InRange(bound, exact * (1 - 1e-9), exact * (1 + 1e-9));
        Bounded[] vague = Array.ConvertAll(g, v => new Bounded(v, 1e-3));
        bound = NewtonSchulzReference.Apply(vague, rows, columns, reductionDepth: 3)[0].Bound;
        Assert.InRange(bound, off * (1 - 1e-9), off * (1 + 1e-9));
    }

    /// <summary>What inputs may be off by, in the direction of the least singular value, where it grows most.</summary>
    [Fact]
    public void Inputs_that_are_off_stay_within_the_bound_and_use_much_of_it()
    {
        const int N = 6;
        double[] g = Wide(Gaussian(N * N, seed: 3));
        (double[] u, double[] singular, double[] v) = SvdProjectionReference.Decompose(g, N, N);
        for (int i = 0; i < g.Length; i++)
        {
            g[i] -= u[(i / N * N) + N - 1] * v[(i % N * N) + N - 1] * (singular[N - 1] - 1e-4);
        }

        Bounded[] off = [.. g.Select((x, i) => new Bounded(
            x, 1e-4 * Math.Abs(u[(i / N * N) + N - 1] * v[(i % N * N) + N - 1])))];
        Bounded[] wanted = NewtonSchulzReference.Apply(off, N, N);
        double[] moved = Values(NewtonSchulzReference.Apply(
            [.. g.Select((x, i) => Bounded.FromDouble(x + (1e-4 * u[(i / N * N) + N - 1] * v[(i % N * N) + N - 1])))],
            N, N));
        double[] distances = [.. wanted.Zip(moved, (w, x) => Math.Abs(w.Value - x))];
        Assert.All(distances.Zip(wanted), d => Assert.InRange(d.First, 0, d.Second.Bound));
        double norm = Math.Sqrt(distances.Sum(d => d * d));
        Assert.InRange(norm / wanted[0].Bound, 0.5, 1);
    }

    [Fact]
    public void A_smaller_depth_of_the_norm_makes_a_smaller_bound()
    {
        Bounded[] g = Exact(Gaussian(24 * 24, seed: 4));
        double any = NewtonSchulzReference.Apply(g, 24, 24)[0].Bound;
        double tree = NewtonSchulzReference.Apply(g, 24, 24, reductionDepth: 12)[0].Bound;
        Assert.InRange(tree, 0, 0.999 * any);
    }

    [Fact]
    public void Zeros_stay_NaN_stays_and_nothing_is_said_of_what_may_overflow()
    {
        Assert.All(NewtonSchulzReference.Apply(new Bounded[6], 2, 3), x => Assert.Equal(new Bounded(0, 0), x));
        Bounded[] x = NewtonSchulzReference.Apply([1, double.NaN, 2, 3], 2, 2);
        Assert.All(x, v => Assert.True(v.Admits(float.NaN) && !v.Admits(0)));
        Assert.All(NewtonSchulzReference.Apply([1e20, 1, 2, 3], 2, 2), v => Assert.False(v.IsInDomain));
        Assert.All(
            NewtonSchulzReference.Apply([new Bounded(1e-9, 1), 1e-9], 1, 2), v => Assert.False(v.IsInDomain));
        Assert.Throws<ArgumentException>(() => NewtonSchulzReference.Apply(new Bounded[5], 2, 3));
        Assert.Throws<ArgumentOutOfRangeException>("rows", () => NewtonSchulzReference.Apply([], 0, 3));
        Assert.Throws<ArgumentOutOfRangeException>("columns", () => NewtonSchulzReference.Apply([], 3, 0));
    }

    /// <summary>Two singular values that are alike, one that is 0, and rows that are alike.</summary>
    [Fact]
    public void Matrices_without_full_rank_keep_the_bound()
    {
        float[] twice = Gaussian(4 * 6, seed: 5);
        twice.AsSpan(0, 6).CopyTo(twice.AsSpan(6));
        float[] unit = new float[16];
        unit[0] = unit[5] = unit[10] = 1;
        AssertAdmits(NewtonSchulzReference.Apply(Exact(twice), 4, 6), InSingle(twice, 4, 6, 3.4445f));
        AssertAdmits(NewtonSchulzReference.Apply(Exact(unit), 4, 4), InSingle(unit, 4, 4, 3.4445f));
    }

    [Fact]
    public void Known_steps_of_Muon()
    {
        var muon = new MuonReference(4, 3, weightDecay: 0.1);
        double[][] gradients = [.. Enumerable.Range(1, 3).Select(t => Sixtyfourths(4, 3, t))];
        AssertNear(
            [-0.3851307180833165, 0.01670664694178383, 0.4183043357760144, -0.7540318646081583,
            -0.34938683111282215, 0.05342499869111129, 0.4514571018924944, -0.6909104321208537,
            -0.2436113197202957, 0.10843642945780115, 0.5682364540521087, -0.6475558896085485],
            muon.Run(Sixtyfourths(4, 3, 9), gradients)[2]);
        var plain = new MuonReference(3, 4, momentum: 0.9, nesterov: false, scale: UpdateScale.Kimi);
        AssertNear(
            [-0.37375670101795494, 0.030472621446184806, 0.43074598760813276, -0.7431496899277275,
            -0.3301503048904654, 0.07059508029136956, 0.4837173345603598, -0.6936622802578052,
            -0.2727258532043323, 0.1237473776219028, 0.5396894264193758, -0.6419623427543891],
            plain.Run(Sixtyfourths(3, 4, 9), [Sixtyfourths(3, 4, 1), Sixtyfourths(3, 4, 2)])[1]);
    }

    [Fact]
    public void The_first_step_of_Muon_does_not_see_the_size_of_the_gradient()
    {
        double[] p = new double[12];
        double[] g = Sixtyfourths(3, 4, 1);
        double[] once = new MuonReference(3, 4).Run(p, [g])[0];
        AssertNear(once, new MuonReference(3, 4).Run(p, [[.. g.Select(x => 1024 * x)]])[0], 1e-6);
        Assert.True(once.Max(Math.Abs) > 0.005);
    }

    [Fact]
    public void Scales_are_those_of_their_papers()
    {
        Assert.Equal(2, MuonReference.Scale(UpdateScale.Jordan, 8, 2));
        Assert.Equal(1, MuonReference.Scale(UpdateScale.Jordan, 2, 8));
        Assert.Equal(0.8, MuonReference.Scale(UpdateScale.Kimi, 16, 4), 1e-15);
        Assert.Equal(0.8, MuonReference.Scale(UpdateScale.Kimi, 4, 16), 1e-15);
        Assert.Equal(0.5, MuonReference.Scale(UpdateScale.Dion, 2, 8));
        Assert.Equal(1, MuonReference.Scale(UpdateScale.None, 8, 2));
        Assert.Throws<ArgumentOutOfRangeException>(() => MuonReference.Scale((UpdateScale)9, 1, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => MuonReference.Scale(UpdateScale.None, 0, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new MuonReference(3, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => new MuonReference(3, 3, momentum: 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new MuonReference(3, 3, learningRate: -1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new MuonReference(3, 3, weightDecay: -1));
        Assert.Throws<ArgumentException>(() => new MuonReference(3, 3).Run(new double[8], [new double[8]]));
        Assert.Equal("Muon", new MuonReference(1, 1).Name);
        Assert.IsAssignableFrom<OptimizerReference>(new MuonReference(1, 1));
    }

    private static double Five(double s)
    {
        for (int step = 0; step < 5; step++)
        {
            s = (3.4445 * s) - (4.7750 * s * s * s) + (2.0315 * s * s * s * s * s);
        }

        return s;
    }

    internal static float[] InSingle(float[] g, int rows, int columns, float a)
    {
        if (rows > columns)
        {
            return Transpose(InSingle(Transpose(g, rows, columns), columns, rows, a), columns, rows);
        }

        float squares = 0;
        foreach (float value in g)
        {
            squares += value * value;
        }

        float norm = MathF.Sqrt(squares) + 1e-7f;
        float[] x = [.. g.Select(v => v / norm)];
        for (int step = 0; step < 5; step++)
        {
            float[] gram = Multiply(x, Transpose(x, rows, columns), rows, columns, rows);
            float[] squared = Multiply(gram, gram, rows, rows, rows);
            float[] polynomial = [.. gram.Zip(squared, (p, q) => (-4.7750f * p) + (2.0315f * q))];
            x = [.. x.Zip(Multiply(polynomial, x, rows, rows, columns), (p, q) => (a * p) + q)];
        }

        return x;
    }

    private static float[] Multiply(float[] a, float[] b, int m, int k, int n)
    {
        float[] c = new float[m * n];
        for (int i = 0; i < c.Length; i++)
        {
            for (int p = 0; p < k; p++)
            {
                c[i] += a[(i / n * k) + p] * b[(p * n) + (i % n)];
            }
        }

        return c;
    }
}
