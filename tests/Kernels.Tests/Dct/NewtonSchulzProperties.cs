using ILGPU;
using ILGPU.Runtime;
using Kernels.Dct;
using Kernels.References;
using Kernels.References.Dct;
using Kernels.Tests.Linear;
using Kernels.Tests.Support;

namespace Kernels.Tests.Dct;

public sealed class NewtonSchulzProperties
{
    public static TheoryData<int, int> Shapes() => new()
    {
        { 1, 1 }, { 1, 9 }, { 9, 1 }, { 5, 5 }, { 4, 12 }, { 12, 4 }, { 17, 6 }, { 7, 20 }, { 24, 24 }, { 33, 65 },
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Is_within_the_bounds_of_the_reference(int rows, int columns)
    {
        float[] x = LinearDevice.Random(new Random(rows + columns), rows * columns);
        float[] got = Run(x, rows, columns);
        Bounded[] wanted = Exact(x, rows, columns);
        LinearDevice.AssertWithin(wanted, got, $"{rows} x {columns}");
        AssertSame(wanted, Iterate(x, rows, columns));
    }

    /// <summary>
    /// Where all singular values are the same, errors grow only by the slope there and by what a turn multiplies, and the
    /// bounds are narrower than those of random matrices.
    /// </summary>
    [Theory]
    [MemberData(nameof(Shapes))]
    public void Bounds_of_even_singular_values_are_narrow(int rows, int columns)
    {
        float[] x = OrthogonalDevice.Even(rows, columns);
        Bounded[] wanted = Exact(x, rows, columns);
        LinearDevice.AssertWithin(wanted, Run(x, rows, columns), $"{rows} x {columns}");
        AssertSame(wanted, Iterate(x, rows, columns));
    }

    [Fact]
    public void Other_coefficients_steps_and_norms_would_be_seen()
    {
        const int Rows = 3;
        const int Columns = 5;
        float[] x = OrthogonalDevice.Even(Rows, Columns);
        double bound = Exact(x, Rows, Columns)[0].Bound;
        float[] got = Run(x, Rows, Columns);
        Assert.InRange(Distance(got, Iterate(x, Rows, Columns)), 0, bound);
        foreach (double[] wrong in new[]
        {
            Iterate(x, Rows, Columns, a: 3.444), Iterate(x, Rows, Columns, b: -4.774), Iterate(x, Rows, Columns, c: 2.031),
            Iterate(x, Rows, Columns, steps: 4), Iterate(x, Rows, Columns, steps: 6),
            Iterate([.. x.Select(v => v * 1e-6f)], Rows, Columns, epsilon: 1e-4),
        })
        {
            Assert.True(Distance(got, wrong) > bound, $"only {Distance(got, wrong):E2} from it");
        }

        // Where epsilon counts, of a matrix whose norm is about as large.
        float[] small = [.. x.Select(v => v * 1e-9f)];
        float[] damped = Run(small, Rows, Columns);
        double damping = Exact(small, Rows, Columns)[0].Bound;
        Assert.InRange(Distance(damped, Iterate(small, Rows, Columns)), 0, damping);
        Assert.True(Distance(damped, Iterate(small, Rows, Columns, epsilon: 1e-8)) > damping);
    }

    [Theory]
    [InlineData(8, 30)]
    [InlineData(30, 8)]
    public void Singular_values_end_near_one(int rows, int columns)
    {
        var random = new Random(4);
        float[] got = Run([.. Enumerable.Range(0, rows * columns).Select(_ => (float)(random.NextDouble() - 0.5))], rows, columns);
        int shorter = Math.Min(rows, columns);
        Assert.InRange(got.Sum(v => (double)v * v), 0.68 * 0.68 * shorter, 1.21 * 1.21 * shorter);
    }

    [Theory]
    [InlineData(5, 8)]
    [InlineData(8, 5)]
    [InlineData(6, 6)]
    public void Zeros_stay_and_what_is_not_finite_spreads(int rows, int columns)
    {
        float[] x = new float[rows * columns];
        Assert.All(Run(x, rows, columns), v => Assert.Equal(0f, v));
        foreach (float bad in new[] { float.NaN, float.PositiveInfinity })
        {
            float[] broken = LinearDevice.Random(new Random(1), x.Length);
            broken[7] = bad;
            Assert.All(Run(broken, rows, columns), v => Assert.True(float.IsNaN(v)));
        }
    }

    [Theory]
    [InlineData(1e-20f)]
    [InlineData(1e30f)]
    public void Sizes_of_any_kind_are_right(float size)
    {
        float[] x = [.. LinearDevice.Random(new Random(2), 40).Select(v => v * size)];
        // The oracle's squares would overflow at 1e30, where its result is that of a matrix 2^60 times smaller: of both,
        // 1e-7 is below 2^-53. The kernel scales squares there: six roundings more, of GradientNormReference.ScaledNorm.
        float[] least = size > 1 ? [.. x.Select(v => MathF.ScaleB(v, -60))] : x;
        Bounded[] wanted = NewtonSchulzReference.Apply([.. least.Select(v => (Bounded)v)], 5, 8, x.Length - 1 + 6);
        LinearDevice.AssertWithin(wanted, Run(x, 5, 8), $"{size}");
    }

    [Fact]
    public void In_place_and_with_room_for_more_it_gives_the_same_bits()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        AcceleratorStream stream = TestDevices.Session.Stream;
        using var roomy = new NewtonSchulz(accelerator, 40, 31);
        Assert.Equal((40, 31), (roomy.MaxRows, roomy.MaxColumns));
        foreach ((int rows, int columns) in new[] { (7, 9), (40, 3), (2, 31), (16, 16) })
        {
            float[] x = LinearDevice.Random(new Random(rows), rows * columns);
            float[] wanted = Run(x, rows, columns);
            using MemoryBuffer1D<float, Stride1D.Dense> place = accelerator.Allocate1D(x);
            roomy.Orthogonalize(stream, place.View, place.View, rows, columns);
            stream.Synchronize();
            Assert.Equal(wanted, place.GetAsArray1D());
        }
    }

    /// <summary>The same steps in binary64.</summary>
    internal static double[] Iterate(
        float[] g, int rows, int columns, double a = 3.4445, double b = -4.7750, double c = 2.0315, int steps = 5,
        double epsilon = 1e-7)
    {
        double norm = Math.Sqrt(g.Sum(v => (double)v * v)) + epsilon;
        double[] x = Array.ConvertAll(g, v => v / norm);
        for (int step = 0; step < steps; step++)
        {
            // Always from the left: which side it is changes nothing but roundings.
            double[] gram = Product(x, DctDevice.Transposed(x, columns), rows, columns, rows);
            double[] square = Product(gram, gram, rows, rows, rows);
            double[] both = [.. gram.Select((v, i) => (b * v) + (c * square[i]))];
            double[] turned = Product(both, x, rows, rows, columns);
            x = [.. x.Select((v, i) => (a * v) + turned[i])];
        }

        return x;
    }

    private static double[] Product(double[] a, double[] b, int m, int k, int n)
    {
        var c = new double[m * n];
        for (int i = 0; i < m; i++)
        {
            for (int p = 0; p < k; p++)
            {
                for (int j = 0; j < n; j++)
                {
                    c[(i * n) + j] += a[(i * k) + p] * b[(p * n) + j];
                }
            }
        }

        return c;
    }

    private static Bounded[] Exact(float[] x, int rows, int columns) =>
        NewtonSchulzReference.Apply(Array.ConvertAll(x, v => (Bounded)v), rows, columns);

    /// <summary>The same analysis for two computations in binary64, whose unit roundoff is 2^-29 of that of binary32.</summary>
    private static void AssertSame(Bounded[] wanted, double[] got)
    {
        for (int i = 0; i < got.Length; i++)
        {
            Assert.Equal(wanted[i].Value, got[i], Math.ScaleB(wanted[i].Bound, -28));
        }
    }

    private static double Distance(float[] got, double[] wanted) => got.Zip(wanted, (g, w) => Math.Abs(g - w)).Max();

    private static float[] Run(float[] x, int rows, int columns)
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        AcceleratorStream stream = TestDevices.Session.Stream;
        using MemoryBuffer1D<float, Stride1D.Dense> from = accelerator.Allocate1D(x);
        using MemoryBuffer1D<float, Stride1D.Dense> to = accelerator.Allocate1D<float>(x.Length);
        using var orthogonal = new NewtonSchulz(accelerator, rows, columns);
        orthogonal.Orthogonalize(stream, from.View, to.View, rows, columns);
        stream.Synchronize();
        Assert.Equal(x, from.GetAsArray1D());
        return to.GetAsArray1D();
    }
}
