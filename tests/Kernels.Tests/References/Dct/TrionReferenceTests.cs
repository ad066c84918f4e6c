using Kernels.References;
using Kernels.References.Dct;
using static Kernels.Tests.References.Dct.Matrices;

namespace Kernels.Tests.References.Dct;

public sealed class TrionReferenceTests
{
    /// <summary>By dense products, computed apart.</summary>
    [Fact]
    public void Known_steps()
    {
        (double[] p, double[] m) = Run(new TrionReference(5, 3, 2, weightDecay: 0.1), 5, 3, steps: 3);
        AssertNear(
            [-0.3673178723316198, 0.027187738111207706, 0.4333187584704121, -0.7349977136008866,
            -0.30913914661850594, 0.06565630559439267, 0.4711970372573853, -0.7033852725007826,
            -0.2492863233816027, 0.1034522185270715, 0.5769959238655262, -0.6649167050175978,
            -0.1847401262479693, 0.16163094424018534, 0.5356466153827839], p);
        AssertNear(
            [0.3418359375, -0.153685546875, 0.9212246093749998, 0.4430983072916667, 0.01878971354166673,
            1.0224869791666666, 0.540546875, 0.04502539062499991, -0.3043222656249999, 0.6418092447916667,
            -1.2067571614583332, 1.2211979166666667, -0.6099733072916665, 0.3187630208333334,
            1.3224602864583332], m);
        (p, _) = Run(new TrionReference(3, 4, 2, momentum: 0.9, scale: UpdateScale.Dion), 3, 4, steps: 2);
        AssertNear(
            [-0.3855346741912754, 0.015482474615503318, 0.42259821868865205, -0.7545096325045691,
            -0.32464045706703215, 0.06889264756540091, 0.48562735543034324, -0.6989645399372236,
            -0.2637462399427889, 0.12230282051529853, 0.5486564921720344, -0.6434194473698782], p);
    }

    [Fact]
    public void With_all_columns_the_momentum_decays_by_mu_and_the_step_is_that_of_the_whole_matrix()
    {
        const int Rows = 6;
        const int Columns = 4;
        var optimizer = new TrionReference(Rows, Columns, Columns, momentum: 0.9, scale: UpdateScale.None);
        double[] g = Sixtyfourths(Rows, Columns, 1);
        Bounded[] m = Exact(Sixtyfourths(Rows, Columns, 2));
        double[] sum = [.. g.Zip(m, (x, y) => x + y.Value)];
        var p = new Bounded[Rows * Columns];
        optimizer.Step(p, Exact(g), m, [0, 1, 2, 3]);
        AssertNear([.. sum.Select(b => 0.9 * b)], Values(m));
        double[] whole = Values(NewtonSchulzReference.Apply(Exact(sum), Rows, Columns));
        AssertNear([.. whole.Select(o => -0.02 * o)], Values(p));
        for (int t = 0; t < 3; t++)
        {
            optimizer.Step(p, new Bounded[Rows * Columns], m, [0, 1, 2, 3]);
        }

        AssertNear([.. sum.Select(b => Math.Pow(0.9, 4) * b)], Values(m));
    }

    /// <summary>M = mu B in the chosen columns and B in the others.</summary>
    [Fact]
    public void What_is_not_taken_stays_in_the_momentum()
    {
        var optimizer = new TrionReference(3, 5, 2, momentum: 0.75, side: ProjectionSide.Right);
        var basis = new TransformReference(TransformKind.Dct2, 5);
        double[] g = Sixtyfourths(3, 5, 3);
        var m = new Bounded[15];
        int[] index = optimizer.Choose(Exact(g), m);
        optimizer.Step(new Bounded[15], Exact(g), m, index);
        double[] wanted = [.. basis.Apply(g).Select((b, i) => index.Contains(i % 5) ? 0.75 * b : b)];
        AssertNear(wanted, basis.Apply(Values(m)));
    }

    /// <summary>3 and 0 have the greater squares, 2 and 2 the greater magnitudes.</summary>
    [Theory]
    [InlineData(true, 0)]
    [InlineData(false, 1)]
    public void Scores_are_squares_or_magnitudes(bool squares, int chosen)
    {
        var optimizer = new TrionReference(2, 2, 1, squares: squares, side: ProjectionSide.Right);
        Bounded[] g = Exact(new TransformReference(TransformKind.Dct3, 2).Apply([3.0, 2, 0, 2]));
        Assert.Equal([chosen], optimizer.Choose(g, new Bounded[4]));
        Assert.Equal([chosen], Assert.Single(optimizer.Choices(g, new Bounded[4], 2)!));
    }

    [Theory]
    [InlineData(5, 4)]
    [InlineData(4, 5)]
    public void The_left_of_a_matrix_is_the_right_of_its_transpose(int rows, int columns)
    {
        var left = new TrionReference(
            rows, columns, 3, side: ProjectionSide.Left, scale: UpdateScale.Kimi, squares: true);
        var right = new TrionReference(
            columns, rows, 3, side: ProjectionSide.Right, scale: UpdateScale.Kimi, squares: true);
        Bounded[] p = Exact(Sixtyfourths(rows, columns, 9));
        Bounded[] q = Transpose(p, rows, columns);
        var m = new Bounded[p.Length];
        var n = new Bounded[p.Length];
        for (int t = 1; t <= 2; t++)
        {
            Bounded[] g = Exact(Sixtyfourths(rows, columns, t));
            int[] index = left.Choose(g, m);
            left.Step(p, g, m, index);
            right.Step(q, Transpose(g, rows, columns), n, index);
        }

        Assert.Equal(Transpose(p, rows, columns), q);
        Assert.Equal(Transpose(m, rows, columns), n);
        Assert.Contains(m, x => x.Value != 0);
    }

    [Fact]
    public void Steps_in_binary32_keep_the_bounds_and_a_wrong_scale_does_not()
    {
        const int Rows = 12;
        const int Columns = 8;
        const int Rank = 3;
        var basis = new TransformReference(TransformKind.Dct2, Columns);
        var optimizer = new TrionReference(Rows, Columns, Rank, weightDecay: 0.5);
        float[] p = Gaussian(Rows * Columns, seed: 1);
        float[] m = Gaussian(Rows * Columns, seed: 2);
        float[] g = Gaussian(Rows * Columns, seed: 3);
        Bounded[] wantedP = Exact(p);
        Bounded[] wantedM = Exact(m);
        int[] index = optimizer.Choose(Exact(g), wantedM);
        optimizer.Step(wantedP, Exact(g), wantedM, index);

        float[] entries = [.. index.SelectMany(k =>
            Enumerable.Range(0, Columns).Select(j => (float)basis.Entry(k, j)))];
        float[] b = [.. m.Zip(g, (x, y) => x + y)];
        float[] low = InSingle(b, Transpose(entries, Rank, Columns), Rows, Columns, Rank);
        float[] kept = InSingle(low, entries, Rows, Rank, Columns);
        float[] orthogonal = NewtonSchulzReferenceTests.InSingle(low, Rows, Rank, 3.4445f);
        float[] update = InSingle(orthogonal, entries, Rows, Rank, Columns);
        float rate = (float)(0.02 * Math.Sqrt(1.5));
        AssertAdmits(wantedM, [.. b.Zip(kept, (x, y) => x - ((float)(1 - 0.95) * y))]);
        AssertAdmits(wantedP, [.. p.Zip(update, (x, y) => (x * (float)(1 - 0.01)) - (rate * y))]);
        Assert.All(wantedP, x => Assert.InRange(x.Bound, 0, 1e-4));
        float[] wrong = [.. p.Zip(update, (x, y) => (x * (float)(1 - 0.01)) - (0.02f * y))];
        Assert.Contains(Enumerable.Range(0, p.Length), i => !wantedP[i].Admits(wrong[i]));
    }

    [Fact]
    public void Arguments_out_of_range_and_choices_that_cannot_be_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>("rows", () => new TrionReference(0, 3, 1));
        Assert.Throws<ArgumentOutOfRangeException>("columns", () => new TrionReference(3, 0, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new TrionReference(4, 3, 4));
        Assert.Throws<ArgumentOutOfRangeException>(() => new TrionReference(4, 3, 2, learningRate: -1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new TrionReference(4, 3, 2, momentum: 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new TrionReference(4, 3, 2, weightDecay: -1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new TrionReference(4, 3, 2, scale: (UpdateScale)4));
        var optimizer = new TrionReference(4, 3, 1);
        Bounded[] g = Exact(Sixtyfourths(4, 3, 1));
        var m = new Bounded[12];
        int other = (optimizer.Choose(g, m)[0] + 1) % 3;
        Assert.Throws<ArgumentException>(() => optimizer.Step(new Bounded[12], g, m, [other]));
        Assert.All(m, x => Assert.Equal(0, x.Value));
        Assert.Throws<ArgumentException>(() => optimizer.Step(new Bounded[11], g, m, [0]));
        Assert.Throws<ArgumentException>(() => optimizer.Step(new Bounded[12], g, new Bounded[11], [0]));
        Assert.Throws<ArgumentException>(() => optimizer.Step(new Bounded[12], g, m, [0, 1]));
    }

    private static (double[] P, double[] M) Run(TrionReference optimizer, int rows, int columns, int steps)
    {
        Bounded[] p = Exact(Sixtyfourths(rows, columns, 9));
        var m = new Bounded[p.Length];
        for (int t = 1; t <= steps; t++)
        {
            Bounded[] g = Exact(Sixtyfourths(rows, columns, t));
            optimizer.Step(p, g, m, optimizer.Choose(g, m));
        }

        return (Values(p), Values(m));
    }

    private static float[] InSingle(float[] a, float[] b, int m, int k, int n)
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
