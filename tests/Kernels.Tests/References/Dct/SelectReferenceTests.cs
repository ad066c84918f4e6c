using Kernels.References;
using Kernels.References.Dct;
using static Kernels.Tests.References.Dct.Matrices;

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
    public void Scores_are_sums_over_rows_and_a_row_of_NaN_leaves_the_first_columns()
    {
        // Hadamard of two: (a + b) / sqrt(2) and (a - b) / sqrt(2).
        var basis = new TransformReference(TransformKind.Hadamard, 2);
        float[] g = [3, 1, -2, 4, 1, 0];
        var squares = new SelectReference(basis, g, squares: true);
        AssertNear([8 + 2 + 0.5, 2 + 18 + 0.5], Values(squares.Scores), 1e-14);
        Assert.Equal(squares.Scores, squares.Energies);
        Assert.True(squares.Admits([1]));
        Assert.False(squares.Admits([0]) || squares.Admits([1, 1]));
        var magnitudes = new SelectReference(basis, g, squares: false);
        AssertNear([7 / Math.Sqrt(2), 9 / Math.Sqrt(2)], Values(magnitudes.Scores), 1e-14);
        Assert.Equal(squares.Energies, magnitudes.Energies);
        Assert.Equal((3, 3), (squares.Rows, magnitudes.Rows));
        AssertNear([4 / Math.Sqrt(2), 2 / Math.Sqrt(2), 1 / Math.Sqrt(2)], Values(squares.Project([0])), 1e-14);
        Assert.Equal(10.5 / 31, squares.Energy([0]).Value, 1e-14);

        var lost = new SelectReference(
            new TransformReference(TransformKind.Dct2, 4), [1, float.NaN, 2, 3], squares: true);
        Assert.Equal([0, 1], lost.Choose(2));
        Assert.True(lost.Admits([0, 1]));
        Assert.False(lost.Admits([0, 2]) || lost.Admits([1, 2]) || lost.Admits([1, 1]));
    }

    /// <summary>Scores that are as far apart as their bounds reach may be confused; a digit more, and not.</summary>
    [Fact]
    public void Scores_are_apart_by_more_than_both_their_bounds()
    {
        double[] g = new TransformReference(TransformKind.Dct3, 2).Apply([3.0, 2.0]);
        (double low, double high) = (0, 1);
        while (Math.BitIncrement(low) < high)
        {
            double middle = (low + high) / 2;
            (low, high) = Reach(middle) < 0 ? (middle, high) : (low, middle);
        }

        // There are bounds near here at which both meet exactly.
        double met = Enumerable.Range(0, 20_000).Select(i => low + ((i - 10_000) * (Math.BitIncrement(low) - low)))
            .First(off => Reach(off) == 0);
        Assert.True(Select(met).Admits([1]));
        Assert.False(Select(met * (1 - 1e-9)).Admits([1]));

        SelectReference Select(double off) => new(
            new TransformReference(TransformKind.Dct2, 2),
            Array.ConvertAll(g, v => new Bounded(v, off)),
            squares: true);

        double Reach(double off)
        {
            IReadOnlyList<Bounded> scores = Select(off).Scores;
            return scores[0].Bound + scores[1].Bound - (scores[0].Value - scores[1].Value);
        }
    }

    [Fact]
    public void All_choices_that_roundings_allow_are_found()
    {
        var inverse = new TransformReference(TransformKind.Dct3, 3);
        Bounded[] g = Array.ConvertAll(inverse.Apply([3, 2.001, 2]), v => new Bounded(v, 0.001));
        var select = new SelectReference(new TransformReference(TransformKind.Dct2, 3), g, squares: true);
        Assert.Equal([[0]], select.Choices(1, 8));
        Assert.Equal([[0, 1], [0, 2]], select.Choices(2, 8));
        Assert.Equal([[0, 1], [0, 2]], select.Choices(2, 2));
        Assert.Null(select.Choices(2, 1));
        Assert.Equal([[0, 1, 2]], select.Choices(3, 8));

        // Of zeros the first; of what may be anything each, as long as they are few.
        Assert.Equal([[0, 1]], Vague(4, 0).Choices(2, 8));
        Assert.Equal([[0, 1], [0, 2], [1, 2], [0, 3], [1, 3], [2, 3]], Vague(4, 1).Choices(2, 6));
        Assert.Equal(12, Vague(12, 1).Choices(1, 12)!.Count);
        Assert.Null(Vague(12, 1).Choices(1, 11));
        Assert.Null(Vague(13, 1).Choices(1, 100));
        Assert.Equal([Enumerable.Range(0, 13)], Vague(13, 1).Choices(13, 1));

        static SelectReference Vague(int n, double bound) => new(
            new TransformReference(TransformKind.Dct2, n),
            [.. Enumerable.Repeat(new Bounded(0, bound), n)],
            squares: true);
    }

    /// <summary>
    /// Columns with a number in a row of vague numbers have vague scores, and the others have not.
    /// </summary>
    [Fact]
    public void Columns_that_are_surely_in_or_out_are_not_among_the_open_ones()
    {
        // One far above, eleven vague ones of 100, one of 100.1, and one of 100 that two are surely above.
        double[] exact = [20, .. new double[11], Math.Sqrt(100.1), 10];
        double[] vague = [0, .. Enumerable.Repeat(10.0, 11), 0, 0];
        IReadOnlyList<int[]> choices = Select(exact, vague).Choices(2, 20)!;
        Assert.Equal(Enumerable.Range(1, 12), choices.Select(index => index[1]).Order());
        Assert.All(choices, index => Assert.Equal(0, index[0]));

        // Thirteen vague ones that are surely above one.
        vague = [.. Enumerable.Repeat(10.0, 13), 0];
        Assert.Equal([Enumerable.Range(0, 13)], Select(new double[14], vague).Choices(13, 1));

        static SelectReference Select(double[] exact, double[] vague)
        {
            var inverse = new TransformReference(TransformKind.Dct3, 14);
            Bounded[] g =
            [
                .. Exact(inverse.Apply(exact)), .. inverse.Apply(vague).Select(v => new Bounded(v, 0.002)),
            ];
            return new SelectReference(new TransformReference(TransformKind.Dct2, 14), g, squares: true);
        }
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
        Assert.Throws<ArgumentException>("previous", () => RemapReference.Apply(new float[2], [1, 1], [0, 1]));
        Assert.Throws<ArgumentException>("current", () => RemapReference.Apply(new float[2], [0, 1], [1, 1]));
        Assert.Throws<ArgumentException>("current", () => RemapReference.Apply(new float[3], [0, 1, 2], [1, 3, 2]));
    }

    private static int[] Subset(Random random, int n, int r) =>
        [.. Enumerable.Range(0, n).OrderBy(_ => random.Next()).Take(r).Order()];

    private static float[] Gradient(int rows, int n, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, rows * n).Select(_ => (float)(random.NextDouble() - 0.5))];
    }
}
