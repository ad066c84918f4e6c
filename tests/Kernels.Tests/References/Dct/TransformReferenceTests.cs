using Kernels.References;
using Kernels.References.Dct;

namespace Kernels.Tests.References.Dct;

public sealed class TransformReferenceTests
{
    private static readonly double[] s_five = [3, -1, 4, 1, -5];

    public static TheoryData<TransformKind> Kinds => new(Enum.GetValues<TransformKind>());

    /// <summary>By the definitions, computed apart; DCT-II of 1, 2, 3, 4 is in many manuals.</summary>
    [Fact]
    public void Known_transforms()
    {
        AssertNear(
            [0.8944271909999159, 4.068511571139997, -3.5531566753380885, 4.176986185696566, 2.1389431129649954],
            Apply(TransformKind.Dct2, s_five));
        AssertNear(
            [2.18135942243501, 2.144970134701189, -4.350459001803209, 4.0914681136366475, 2.640865263529734],
            Apply(TransformKind.Dct3, s_five));
        AssertNear(
            [1.2928932188134528, 3, -3.8284271247461903, 5, 1.2928932188134528], Apply(TransformKind.Dct1, s_five));
        AssertNear(
            [2.8917788304763663, 0.6137488514083288, -1.7888543819998328, 6.191457615407992, -1.3140700664767033],
            Apply(TransformKind.Dct4, s_five));
        AssertNear([5, -2.230442497387663, 0, -0.158512667781083], Apply(TransformKind.Dct2, [1, 2, 3, 4]));
        AssertNear([5, -1, -2, 0], Apply(TransformKind.Hadamard, [1, 2, 3, 4]));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void The_matrix_is_orthogonal_and_its_transpose_is_the_inverse(TransformKind kind)
    {
        for (int n = 1; n <= 64; n++)
        {
            if (kind == TransformKind.Hadamard && (n & (n - 1)) != 0)
            {
                continue;
            }

            var transform = new TransformReference(kind, n);
            var inverse = new TransformReference(transform.Inverse, n);
            for (int i = 0; i < n; i++)
            {
                for (int j = 0; j < n; j++)
                {
                    double product = Enumerable.Range(0, n).Sum(k => transform.Entry(i, k) * transform.Entry(j, k));
                    Assert.Equal(i == j ? 1 : 0, product, 1e-13);
                    Assert.Equal(transform.Entry(i, j), inverse.Entry(j, i), 1e-15);
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Transforming_there_and_back_keeps_rows_and_their_norms(TransformKind kind)
    {
        var random = new Random(1);
        foreach (int n in kind == TransformKind.Hadamard ? [1, 2, 256] : new[] { 1, 2, 3, 97, 258 })
        {
            double[] x = [.. Enumerable.Range(0, 2 * n).Select(_ => random.NextDouble() - 0.5)];
            var transform = new TransformReference(kind, n);
            double[] y = transform.Apply(x);
            AssertNear(x, new TransformReference(transform.Inverse, n).Apply(y));
            Assert.Equal(x.Take(n).Sum(v => v * v), y.Take(n).Sum(v => v * v), 1e-12);
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Direct_sums_in_binary32_keep_the_bound_and_a_wrong_one_does_not(TransformKind kind)
    {
        var random = new Random(2);
        foreach (int n in kind == TransformKind.Hadamard ? [1, 8, 64] : new[] { 1, 2, 5, 31, 64, 101 })
        {
            var transform = new TransformReference(kind, n);
            float[] x = [.. Enumerable.Range(0, n).Select(_ => (float)(random.NextDouble() - 0.5))];
            Bounded[] wanted = transform.Apply(x);
            for (int k = 0; k < n; k++)
            {
                float sum = 0;
                for (int j = 0; j < n; j++)
                {
                    sum += (float)transform.Entry(k, j) * x[j];
                }

                Assert.True(wanted[k].Admits(sum), $"{kind} {n} {k}");
                Assert.False(wanted[k].Admits(sum + 0.001f));
            }
        }
    }

    /// <summary>Ten stages of two, and the twiddles of one end, or of both.</summary>
    [Fact]
    public void The_bound_grows_as_the_logarithm()
    {
        double Relative(TransformKind kind, int n)
        {
            float[] x = new float[n];
            x[0] = 1;
            return new TransformReference(kind, n).Apply(x)[0].Bound / Bounded.UnitRoundoff;
        }

        Assert.InRange(Relative(TransformKind.Dct2, 1024), 90, 100);
        Assert.InRange(Relative(TransformKind.Dct4, 1024), 100, 112);
        Assert.InRange(Relative(TransformKind.Dct2, 17), 19, 19.3);
        Assert.InRange(Relative(TransformKind.Dct2, 1031), 500, 600);
        Assert.InRange(Relative(TransformKind.Hadamard, 1024), 12, 12.2);
    }

    /// <summary>By the stages of the length, twiddles, or a sum of n terms; of a great prime by a convolution.</summary>
    [Fact]
    public void The_bound_is_that_of_the_better_way()
    {
        double two = Stage(2);
        AssertRelative(3, TransformKind.Dct2, 1);
        AssertRelative(3, TransformKind.Dct1, 1);
        AssertRelative(2, TransformKind.Hadamard, 1);
        AssertRelative(8, TransformKind.Hadamard, 64);
        AssertRelative((6 * two) + 12, TransformKind.Dct2, 64);
        AssertRelative((6 * two) + 12, TransformKind.Dct3, 64);
        AssertRelative(66, TransformKind.Dct4, 64);
        AssertRelative((4 * two) + Stage(3) + Stage(5) + 12, TransformKind.Dct2, 240);
        AssertRelative((8 * two) + 24, TransformKind.Dct4, 256);
        AssertRelative((8 * two) + 24, TransformKind.Dct1, 257);
        AssertRelative((4 * two) + Stage(61) + 12, TransformKind.Dct2, 61 * 16);
        AssertRelative(Convolution(67) + 12, TransformKind.Dct2, 67);
        AssertRelative(Convolution(67) + 24, TransformKind.Dct1, 68);

        static double Stage(int p) => 4 + ((p + 1) * Math.Sqrt(p));

        static double Convolution(int n)
        {
            double twiddle = 1 + (2 * Math.Sqrt(2));
            double stages = (4 + (3 * Math.Sqrt(2))) * Math.Log2(4 * n);
            return (2 * TransformReference.ChirpPeak * (stages + twiddle)) + twiddle;
        }

        static void AssertRelative(double expected, TransformKind kind, int n)
        {
            float[] x = new float[n];
            x[n / 2] = -3;
            double relative = new TransformReference(kind, n).Apply(x)[0].Bound / (1.01 * Bounded.UnitRoundoff * 3);
            Assert.InRange(relative, expected * (1 - 1e-12), expected * (1 + 1e-12));
        }
    }

    [Fact]
    public void The_bound_has_what_vanishes_and_a_slack_and_ends_at_a_quarter_of_the_largest_number()
    {
        var transform = new TransformReference(TransformKind.Dct2, 3);
        Assert.Equal(6 * Bounded.LeastSubnormal, transform.Apply([float.Epsilon, 0, 0])[1].Bound, 1e-50);

        // One entry of 1, three roundings.
        var one = new TransformReference(TransformKind.Dct2, 1);
        double bound = 1 + Math.Pow(2, -20) + (3 * 1.01 * Bounded.UnitRoundoff * 3);
        Assert.Equal(bound, one.Apply([new Bounded(-2, 1)])[0].Bound, 1e-14);

        bound = new TransformReference(TransformKind.Dct2, 2).Apply([new Bounded(0, 1), new Bounded(0, 1)])[0].Bound;
        Assert.InRange(bound, Math.Sqrt(2), 1.001 * Math.Sqrt(2));

        const float Quarter = float.MaxValue / 4;
        Assert.True(one.Apply([-Quarter])[0].IsInDomain);
        Assert.False(one.Apply([-MathF.BitIncrement(Quarter)])[0].IsInDomain);
        Assert.False(one.Apply([new Bounded(Quarter, 1e25)])[0].IsInDomain);
        Assert.True(transform.Apply([Quarter / 2, -Quarter / 2, 0])[0].IsInDomain);
        Assert.False(transform.Apply([Quarter / 2, -Quarter / 2, Quarter / 1000])[0].IsInDomain);
    }

    /// <summary>
    /// Of a sum of frequencies up to N, looked at 16 N times, the peak is at most 1 / cos(pi / 16) times what is seen
    /// (Bernstein).
    /// </summary>
    [Theory]
    [InlineData(67)]
    [InlineData(71)]
    [InlineData(128)]
    [InlineData(509)]
    public void The_spectrum_of_a_chirp_has_no_higher_peak(int n)
    {
        double most = 0;
        int circle = 16 * n;
        double[] cosines = [.. Enumerable.Range(0, circle).Select(i => Math.Cos(2 * Math.PI * i / circle))];
        for (int w = 0; w < circle; w++)
        {
            (double re, double im) = (1, 0);
            for (int j = 1; j < n; j++)
            {
                double twice = 2 * cosines[(int)((long)w * j % circle)];
                double angle = Math.PI * ((long)j * j % (2 * n)) / n;
                re += twice * Math.Cos(angle);
                im += twice * Math.Sin(angle);
            }

            most = Math.Max(most, Math.Sqrt(((re * re) + (im * im)) / n));
        }

        Assert.InRange(most / Math.Cos(Math.PI / 16), 1, TransformReference.ChirpPeak);
    }

    [Fact]
    public void A_NaN_is_everywhere_in_its_row_and_an_overflow_is_outside_the_domain()
    {
        float[] x = [1, float.NaN, 2, 3, 1, 2, 3, 4, 3e38f, 3e38f, 1, 2];
        Bounded[] y = new TransformReference(TransformKind.Dct2, 4).Apply(x);
        Assert.All(y[..4], v => Assert.False(v.Admits(0)));
        Assert.All(y[..4], v => Assert.True(v.Admits(float.NaN)));
        Assert.All(y[4..8], v => Assert.True(v.IsInDomain));
        Assert.All(y[8..], v => Assert.False(v.IsInDomain));
    }

    [Fact]
    public void Lengths_that_have_no_transform_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new TransformReference(TransformKind.Dct2, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => new TransformReference(TransformKind.Hadamard, 12));
        Assert.Throws<ArgumentOutOfRangeException>(() => new TransformReference((TransformKind)9, 4));
        var transform = new TransformReference(TransformKind.Dct2, 4);
        Assert.Throws<ArgumentException>(() => transform.Apply(new float[6]));
        Assert.Throws<ArgumentOutOfRangeException>(() => transform.Entry(4, 0));
    }

    private static double[] Apply(TransformKind kind, double[] x) => new TransformReference(kind, x.Length).Apply(x);

    private static void AssertNear(double[] wanted, double[] got)
    {
        Assert.Equal(wanted.Length, got.Length);
        for (int i = 0; i < wanted.Length; i++)
        {
            Assert.Equal(wanted[i], got[i], 1e-12);
        }
    }
}
