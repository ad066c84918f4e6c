using Kernels.References.Dct;

namespace Kernels.Tests.References.Dct;

public sealed class SelectReferenceTests
{
    [Fact]
    public void The_largest_squares_lose_the_least_of_all_choices()
    {
        for (int seed = 0; seed < 20; seed++)
        {
            int n = 2 + (seed % 7);
            float[] g = Gradient(5, n, seed);
            var select = new SelectReference(new TransformReference(TransformKind.Dct2, n), g, squares: true);
            for (int rank = 1; rank <= n; rank++)
            {
                double best = select.Energy(select.Choose(rank)).Value;
                for (int choice = 0; choice < 1 << n; choice++)
                {
                    int[] index = [.. Enumerable.Range(0, n).Where(j => (choice >> j & 1) != 0)];
                    if (index.Length == rank)
                    {
                        Assert.InRange(select.Energy(index).Value, 0, best + 1e-12);
                    }
                }
            }

            Assert.Equal(1, select.Energy(select.Choose(n)).Value, 1e-12);
        }
    }

    /// <summary>|G - S_r Q_r|^2 = (1 - energy) |G|^2, by products.</summary>
    [Fact]
    public void The_energy_is_what_the_projection_keeps()
    {
        const int Rows = 6;
        const int N = 9;
        float[] g = Gradient(Rows, N, seed: 3);
        var basis = new TransformReference(TransformKind.Dct2, N);
        var select = new SelectReference(basis, g, squares: false);
        int[] index = select.Choose(4);
        double[] kept = [.. select.Project(index).Select(s => s.Value)];
        double lost = 0;
        double all = 0;
        for (int i = 0; i < g.Length; i++)
        {
            double back = Enumerable.Range(0, 4).Sum(c => kept[(i / N * 4) + c] * basis.Entry(index[c], i % N));
            lost += (g[i] - back) * (g[i] - back);
            all += (double)g[i] * g[i];
        }

        Assert.Equal(1 - (lost / all), select.Energy(index).Value, 1e-12);
    }

    [Fact]
    public void Magnitudes_may_choose_less_than_half_where_squares_cannot()
    {
        // In the frame of the basis: one large number in one column, two of more than half of it in the other.
        var basis = new TransformReference(TransformKind.Dct2, 2);
        double[] rotated = [10, 0, 0, 6, 0, 6];
        float[] g = [.. new TransformReference(TransformKind.Dct3, 2).Apply(rotated).Select(v => (float)v)];
        var squares = new SelectReference(basis, g, squares: true);
        var magnitudes = new SelectReference(basis, g, squares: false);
        Assert.Equal([0], squares.Choose(1));
        Assert.Equal([1], magnitudes.Choose(1));
        Assert.Equal(100.0 / 172, squares.Energy([0]).Value, 1e-6);
        Assert.Equal(72.0 / 172, magnitudes.Energy([1]).Value, 1e-6);
    }

    [Fact]
    public void Only_ascending_choices_that_roundings_allow_are_admitted()
    {
        float[] g = Gradient(7, 12, seed: 4);
        var select = new SelectReference(new TransformReference(TransformKind.Dct2, 12), g, squares: true);
        int[] chosen = select.Choose(5);
        Assert.True(select.Admits(chosen));
        Assert.False(select.Admits([.. chosen.Reverse()]));
        Assert.False(select.Admits([.. chosen[..4], 12]));
        int worst = Enumerable.Range(0, 12).MinBy(j => select.Scores[j].Value);
        Assert.False(select.Admits([.. chosen[1..].Append(worst).Order()]));
    }

    [Fact]
    public void Equal_scores_go_to_the_lowest_index_and_a_gradient_of_zeros_is_kept_whole()
    {
        var select = new SelectReference(new TransformReference(TransformKind.Dct2, 6), new float[12], squares: true);
        Assert.Equal([0, 1, 2], select.Choose(3));
        Assert.True(select.Admits([0, 1, 2]));
        Assert.False(select.Admits([0, 1, 3]));
        Assert.Equal(1, select.Energy([0]).Value);
        Assert.Throws<ArgumentOutOfRangeException>(() => select.Choose(7));
        Assert.Throws<ArgumentOutOfRangeException>(() => select.Choose(0));
    }

    [Fact]
    public void Remapping_is_the_dense_rotation()
    {
        const int N = 11;
        const int R = 5;
        const int Rows = 4;
        var basis = new TransformReference(TransformKind.Dct2, N);
        var random = new Random(5);
        for (int trial = 0; trial < 50; trial++)
        {
            int[] previous = Subset(random, N, R);
            int[] current = Subset(random, N, R);
            float[] state = Gradient(Rows, R, trial);
            float[] got = RemapReference.Apply(state, previous, current);
            for (int row = 0; row < Rows; row++)
            {
                for (int c = 0; c < R; c++)
                {
                    double wanted = 0;
                    for (int p = 0; p < R; p++)
                    {
                        double overlap = Enumerable.Range(0, N)
                            .Sum(j => basis.Entry(previous[p], j) * basis.Entry(current[c], j));
                        wanted += state[(row * R) + p] * overlap;
                    }

                    Assert.Equal(wanted, got[(row * R) + c], 1e-13);
                }
            }
        }

        Assert.Throws<ArgumentException>(() => RemapReference.Apply(new float[2], [1, 0], [0, 1]));
        Assert.Throws<ArgumentException>(() => RemapReference.Apply(new float[2], [0, 1], [0]));
    }

    private static int[] Subset(Random random, int n, int r) =>
        [.. Enumerable.Range(0, n).OrderBy(_ => random.Next()).Take(r).Order()];

    private static float[] Gradient(int rows, int n, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, rows * n).Select(_ => (float)(random.NextDouble() - 0.5))];
    }
}
