using Kernels.References.Dct;
using static Kernels.Tests.References.Dct.Matrices;

namespace Kernels.Tests.References.Dct;

public sealed class SvdProjectionReferenceTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(7, 7)]
    [InlineData(9, 4)]
    [InlineData(4, 9)]
    [InlineData(60, 40)]
    public void The_factors_are_orthogonal_and_give_the_matrix_back(int rows, int columns)
    {
        double[] a = Wide(Gaussian(rows * columns, seed: 1));
        int k = Math.Min(rows, columns);
        (double[] u, double[] singular, double[] v) = SvdProjectionReference.Decompose(a, rows, columns);
        double[] unit = [.. Enumerable.Range(0, k * k).Select(i => i / k == i % k ? 1.0 : 0)];
        AssertNear(unit, Product(Transpose(u, rows, k), u, k, rows, k));
        AssertNear(unit, Product(Transpose(v, columns, k), v, k, columns, k));
        double[] scaled = [.. u.Select((x, i) => x * singular[i % k])];
        AssertNear(a, Product(scaled, Transpose(v, columns, k), rows, k, columns), 1e-11);
        Assert.Equal(singular.OrderDescending(), singular);
        Assert.Equal(k, singular.Length);
    }

    /// <summary>By the eigenvalues of G^T G, computed apart; and of a matrix whose rank is 1.</summary>
    [Fact]
    public void Known_singular_values()
    {
        AssertNear(
            [1.3028569902843168, 1.0505871541758285, 0.585970600242048],
            SvdProjectionReference.Decompose(Sixtyfourths(5, 3, 1), 5, 3).Singular);
        (double[] u, double[] singular, double[] v) = SvdProjectionReference.Decompose(
            [3, 6, 4, 8, 0, 0], 3, 2);
        AssertNear([Math.Sqrt(125), 0], singular);
        AssertNear([1, 0, 0, 1], Product(Transpose(v, 2, 2), v, 2, 2, 2));
        Assert.Equal(0.6, Math.Abs(u[0]), 1e-12);
        Assert.Equal([0, 0], SvdProjectionReference.Decompose([0, 0, 0, 0], 2, 2).Singular);
        Assert.Throws<ArgumentException>(() => SvdProjectionReference.Decompose([1, 2, 3], 2, 2));
        Assert.Throws<ArgumentOutOfRangeException>(() => SvdProjectionReference.Decompose([], 0, 2));
    }

    /// <summary>Rows that should be 0 are about 2^-53 of the others after a sweep, and again after the next.</summary>
    [Fact]
    public void A_matrix_without_full_rank_comes_to_an_end()
    {
        var random = new Random(5);
        for (int i = 0; i < 300; i++)
        {
            (int rows, int columns) = (1 + random.Next(8), 1 + random.Next(8));
            double[] left = [.. Enumerable.Range(0, rows).Select(_ => (double)random.Next(-4, 5))];
            double[] right = [.. Enumerable.Range(0, columns).Select(_ => Math.Pow(10, random.Next(-9, 3)))];
            double[] a = [.. left.SelectMany(x => right.Select(y => x * y))];
            double[] singular = SvdProjectionReference.Decompose(a, rows, columns).Singular;
            double norm = Math.Sqrt(a.Sum(x => x * x));
            Assert.Equal(norm, singular[0], norm * 1e-14);
            Assert.All(singular[1..], s => Assert.InRange(s, 0, norm * 1e-14));
        }
    }

    [Fact]
    public void No_choice_of_columns_carries_more_than_the_singular_vectors()
    {
        for (int seed = 0; seed < 10; seed++)
        {
            const int Rows = 10;
            const int Columns = 7;
            float[] g = Gaussian(Rows * Columns, seed);
            double[] best = SvdProjectionReference.Energy(Wide(g), Rows, Columns);
            var select = new SelectReference(new TransformReference(TransformKind.Dct2, Columns), g, squares: true);
            for (int rank = 1; rank < Columns; rank++)
            {
                double[] basis = SvdProjectionReference.Subspace(Wide(g), Rows, Columns, rank);
                double[] low = Product(Wide(g), basis, Rows, Columns, rank);
                double share = low.Sum(x => x * x) / g.Sum(x => (double)x * x);
                Assert.Equal(best[rank - 1], share, 1e-12);
                Assert.InRange(select.Energy(select.Choose(rank)).Value, (double)rank / Columns, share);
            }

            Assert.Equal(1, best[^1], 1e-12);
        }

        Assert.Equal([1, 1], SvdProjectionReference.Energy(new double[4], 2, 2));
    }

    [Fact]
    public void The_subspace_is_that_of_the_shorter_side()
    {
        double[] g = Wide(Gaussian(5 * 3, seed: 2));
        double[] right = SvdProjectionReference.Subspace(g, 5, 3, 2);
        double[] left = SvdProjectionReference.Subspace(Transpose(g, 5, 3), 3, 5, 2);
        AssertNear(right, left);
        Assert.Equal(6, right.Length);
        Assert.Throws<ArgumentOutOfRangeException>(() => SvdProjectionReference.Subspace(g, 5, 3, 4));
        Assert.Throws<ArgumentOutOfRangeException>(() => SvdProjectionReference.Subspace(g, 5, 3, 0));
    }

    /// <summary>With the eigenvectors of G^T G, computed apart.</summary>
    [Fact]
    public void Known_steps_of_GaLore()
    {
        double[] p = Sixtyfourths(4, 3, 9);
        var optimizer = new GaLoreReference(4, 3, 2, learningRate: 0.1, weightDecay: 0.1, updateInterval: 3);
        optimizer.Step(p, Sixtyfourths(4, 3, 1));
        optimizer.Step(p, Sixtyfourths(4, 3, 2));
        AssertNear(
            [-0.3731786066810485, -0.006798003459709854, 0.42640324421198594, -0.7568343454232719,
            -0.33561435724547595, 0.044468879279116816, 0.5099577977908047, -0.6839800476816703,
            -0.2434956414999277, 0.12035400432132223, 0.584097463307933, -0.6342849378320797], p);
        p = Sixtyfourths(3, 4, 9);
        optimizer = new GaLoreReference(3, 4, 2, learningRate: 0.1, updateInterval: 3);
        optimizer.Step(p, Sixtyfourths(3, 4, 1));
        optimizer.Step(p, Sixtyfourths(3, 4, 2));
        AssertNear(
            [-0.3821757848372087, 0.00036166632309693426, 0.42333507034977513, -0.7707207366133247,
            -0.3024847742541522, 0.05952557354013199, 0.5037290770087547, -0.7110339950854594,
            -0.22279376367109566, 0.11868948075716704, 0.5841230836677342, -0.651347253557594], p);
    }

    [Fact]
    public void GaLore_takes_a_new_subspace_after_the_interval()
    {
        // Two gradients of rank 1, each without a share in the other's subspace.
        double[] first = [1, 0, 2, 0, 3, 0];
        double[] second = [0, 1, 0, 2, 0, 3];
        foreach (int interval in new[] { 1, 2 })
        {
            var optimizer = new GaLoreReference(3, 2, 1, updateInterval: interval);
            double[] p = new double[6];
            optimizer.Step(p, first);
            optimizer.Step(p, second);
            Assert.Equal(interval == 1, p[1] != 0);
        }
    }

    [Fact]
    public void Known_steps_of_LDAdamW()
    {
        double[] p = Sixtyfourths(4, 3, 9);
        var optimizer = new LdAdamWReference(4, 3, 2, learningRate: 0.1, weightDecay: 0.1);
        for (int t = 1; t <= 3; t++)
        {
            optimizer.Step(p, Sixtyfourths(4, 3, t));
        }

        AssertNear(
            [-0.4244377003321575, -0.12817410759268055, 0.3498522098027234, -0.9055783684241188,
            -0.40987427840968504, -0.13684800501016361, 0.6208461074857586, -0.6963213113346108,
            -0.13341388746341193, 0.06424169514602199, 0.8223690312389073, -0.7218726486403308], p, 1e-10);
        AssertNear(
            [-0.19263290956621595, -0.00862321113149291, 0.11958072780888315, -0.17049229750784142,
            -0.007632086755135064, 0.10583650045937892, 0.6113761647064259, 0.02736825063224028,
            -0.37952397077544886, -0.13199932270783, -0.005908948951074436, 0.08194121718467912],
            optimizer.Error(), 1e-10);
    }

    /// <summary>(1 - b1) (G + E) + b1 M = M' + (1 - b1) E': nothing is lost, of the gradient or of the mean.</summary>
    [Theory]
    [InlineData(6, 4)]
    [InlineData(4, 6)]
    public void Error_feedback_of_LDAdamW_keeps_the_mean_of_the_whole_space(int rows, int columns)
    {
        var optimizer = new LdAdamWReference(rows, columns, 2, beta1: 0.75);
        double[] p = new double[rows * columns];
        for (int t = 1; t <= 4; t++)
        {
            double[] g = Sixtyfourths(rows, columns, t);
            double[] mean = optimizer.Mean();
            double[] error = optimizer.Error();
            optimizer.Step(p, g);
            AssertNear(
                [.. g.Select((x, i) => (0.25 * (x + error[i])) + (0.75 * mean[i]))],
                [.. optimizer.Mean().Zip(optimizer.Error(), (m, e) => m + (0.25 * e))]);
            Assert.True(optimizer.Error().Max(Math.Abs) > 1e-3);
        }
    }

    /// <summary>Of a partial permutation the rule is to move columns with their states.</summary>
    [Fact]
    public void The_rotation_of_a_permutation_is_remapping()
    {
        float[] mean = Gaussian(4 * 3, seed: 3);
        float[] square = [.. Gaussian(4 * 3, seed: 4).Select((x, i) => (x * x) + (mean[i] * mean[i]))];
        int[] previous = [0, 2, 5];
        int[] current = [2, 3, 5];
        double[] rotation =
            [.. previous.SelectMany(i => current.Select(j => i == j ? 1.0 : 0))];
        (double[] m, double[] v) = LdAdamWReference.Rotate(Wide(mean), Wide(square), rotation, 3, 0.19, 0.02);
        AssertNear(Wide(RemapReference.Apply(mean, previous, current)), m);
        AssertNear(Wide(RemapReference.Apply(square, previous, current)), v);
    }

    /// <summary>
    /// A turn by 45 degrees of moments 9 and 4 with means 2 and 1: variances 5 and 3, mixed 4, and means 3 and -1 by
    /// sqrt(1/2).
    /// </summary>
    [Fact]
    public void The_rotation_mixes_variances_by_squares()
    {
        double h = Math.Sqrt(0.5);
        (double[] m, double[] v) = LdAdamWReference.Rotate([2, 1], [9, 4], [h, -h, h, h], 2, 1, 1);
        AssertNear([3 * h, -h], m);
        AssertNear([8.5, 4.5], v);
        Assert.Throws<ArgumentException>(() => LdAdamWReference.Rotate([1, 2], [1, 2], [1, 0, 0], 2, 1, 1));
    }

    [Fact]
    public void Arguments_out_of_range_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new GaLoreReference(4, 3, 4));
        Assert.Throws<ArgumentOutOfRangeException>(() => new GaLoreReference(4, 3, 2, updateInterval: 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => new GaLoreReference(4, 3, 2, scale: -1));
        Assert.Throws<ArgumentException>(() => new GaLoreReference(4, 3, 2).Step(new double[12], new double[11]));
        Assert.Throws<ArgumentException>(() => new GaLoreReference(4, 3, 2).Step(new double[11], new double[12]));
        Assert.Throws<ArgumentOutOfRangeException>(() => new LdAdamWReference(4, 3, 4));
        Assert.Throws<ArgumentOutOfRangeException>(() => new LdAdamWReference(4, 3, 2, rho: 1));
        Assert.Throws<ArgumentException>(() => new LdAdamWReference(4, 3, 2).Step(new double[12], new double[11]));
        Assert.Throws<ArgumentException>(() => new LdAdamWReference(4, 3, 2).Step(new double[11], new double[12]));
    }
}
