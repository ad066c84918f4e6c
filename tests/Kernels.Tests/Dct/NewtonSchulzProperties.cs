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
        Bounded[] wanted = NewtonSchulzReference.Apply(Array.ConvertAll(x, v => (Bounded)v), rows, columns);
        LinearDevice.AssertWithin(wanted, got, $"{rows} x {columns}");
        // Bounds are for the worst of roundings; those that there are stay far below.
        Assert.InRange(Distance(got, Iterate(x, rows, columns)), 0, 1e-4);
        for (int i = 0; i < got.Length; i++)
        {
            Assert.Equal(wanted[i].Value, got[i], 1e-4);
        }
    }

    [Fact]
    public void Other_coefficients_steps_and_norms_would_be_seen()
    {
        const int Rows = 6;
        const int Columns = 9;
        float[] x = LinearDevice.Random(new Random(3), Rows * Columns);
        float[] got = Run(x, Rows, Columns);
        Assert.InRange(Distance(got, Iterate(x, Rows, Columns)), 0, 1e-4);
        foreach (double[] wrong in new[]
        {
            Iterate(x, Rows, Columns, a: 3.444), Iterate(x, Rows, Columns, b: -4.774), Iterate(x, Rows, Columns, c: 2.031),
            Iterate(x, Rows, Columns, steps: 4), Iterate(x, Rows, Columns, steps: 6),
            Iterate([.. x.Select(v => v * 1e-6f)], Rows, Columns, epsilon: 1e-4),
        })
        {
            Assert.True(Distance(got, wrong) > 2e-4, $"only {Distance(got, wrong):E2} from it");
        }

        // Where epsilon counts, of a matrix whose norm is about as large.
        float[] small = [.. x.Select(v => v * 1e-9f)];
        float[] damped = Run(small, Rows, Columns);
        Assert.InRange(Distance(damped, Iterate(small, Rows, Columns)), 0, 1e-4);
        Assert.True(Distance(damped, Iterate(small, Rows, Columns, epsilon: 1e-8)) > 1e-2);
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
        Assert.InRange(Distance(Run(x, 5, 8), Iterate(x, 5, 8)), 0, 1e-4);
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
