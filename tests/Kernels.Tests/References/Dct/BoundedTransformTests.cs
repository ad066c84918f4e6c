using Kernels.References;
using Kernels.References.Dct;
using static Kernels.Tests.References.Dct.Matrices;

namespace Kernels.Tests.References.Dct;

public sealed class BoundedTransformTests
{
    [Fact]
    public void Exact_rows_have_the_bound_of_the_computation_alone()
    {
        float[] x = Gaussian(3 * 12, seed: 1);
        var transform = new TransformReference(TransformKind.Dct2, 12);
        Bounded[] wanted = transform.Apply(x);
        Assert.Equal(wanted, transform.Apply(Exact(x)));
        double norm = Math.Sqrt(x.Take(12).Sum(v => (double)v * v));
        Assert.InRange(wanted[0].Bound / (norm * Bounded.UnitRoundoff), 14, 14.2);
    }

    /// <summary>
    /// Every input off by its bound to the side that raises one result: no less is a bound, and no more needed.
    /// </summary>
    [Theory]
    [InlineData(TransformKind.Dct2)]
    [InlineData(TransformKind.Dct4)]
    public void What_the_inputs_are_off_by_reaches_the_results_in_full(TransformKind kind)
    {
        const int N = 11;
        var transform = new TransformReference(kind, N);
        float[] x = Gaussian(N, seed: 2);
        Bounded[] bounded = [.. x.Select((v, j) => new Bounded(v, 0.1 * (j + 1)))];
        Bounded[] wanted = transform.Apply(bounded);
        for (int k = 0; k < N; k++)
        {
            double[] moved = [.. bounded.Select((v, j) => v.Value + (v.Bound * Math.Sign(transform.Entry(k, j))))];
            double reached = transform.Apply(moved)[k] - wanted[k].Value;
            Assert.InRange(reached, 0.9999 * wanted[k].Bound, wanted[k].Bound);
        }
    }

    [Fact]
    public void A_NaN_that_must_be_there_stays_and_one_that_may_be_is_outside_the_domain()
    {
        var transform = new TransformReference(TransformKind.Dct2, 2);
        Bounded[] y = transform.Apply(
        [
            double.NaN, new Bounded(1, double.PositiveInfinity),
            new Bounded(double.NaN, double.PositiveInfinity), 1,
            new Bounded(1, 2e38), 1,
            0, 0,
        ]);
        Assert.All(y[..2], v => Assert.False(v.Admits(0)));
        Assert.All(y[..2], v => Assert.True(v.Admits(float.NaN)));
        Assert.All(y[2..6], v => Assert.True(v.Admits(0) && v.Admits(float.NaN)));
        Assert.All(y[6..], v => Assert.Equal(new Bounded(0, 0), v));
    }

    [Fact]
    public void Scores_that_inputs_may_swap_admit_both_choices()
    {
        var basis = new TransformReference(TransformKind.Dct2, 3);
        var inverse = new TransformReference(TransformKind.Dct3, 3);
        double[] g = inverse.Apply([3, 2.001, 2]);
        var exact = new SelectReference(basis, Exact(g), squares: true);
        Assert.Equal([0, 1], exact.Choose(2));
        Assert.False(exact.Admits([0, 2]));
        var bounded = new SelectReference(basis, Array.ConvertAll(g, v => new Bounded(v, 0.001)), squares: true);
        Assert.Equal([0, 1], bounded.Choose(2));
        Assert.True(bounded.Admits([0, 2]));
        Assert.False(bounded.Admits([1, 2]));
    }

    [Fact]
    public void Products_and_norms_of_matrices()
    {
        Assert.Equal([14, 32], BoundedMatrix.Multiply([1, 2, 3, 4, 5, 6], [1, 2, 3], 2, 3, 1));
        Assert.Equal([1, 2, 2, 4, 3, 6], BoundedMatrix.Multiply([1, 2, 3], [1, 2], 3, 1, 2));
        Assert.Equal(5, BoundedMatrix.Norm([3, -4]));
    }

    [Fact]
    public void Bounds_move_with_their_columns()
    {
        Bounded[] state = [new(1, 0.1), new(2, 0.2), new(3, 0.3), new(4, 0.4)];
        Assert.Equal([new(2, 0.2), 0, new(4, 0.4), 0], RemapReference.Apply(state, [1, 5], [5, 6]));
    }
}
