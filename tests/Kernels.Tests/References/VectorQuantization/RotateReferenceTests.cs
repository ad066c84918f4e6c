using Kernels.References;
using Kernels.References.VectorQuantization;

namespace Kernels.Tests.References.VectorQuantization;

public sealed class RotateReferenceTests
{
    [Fact]
    public void The_output_is_the_code_and_the_gradient_an_isometry_times_the_ratio_of_the_norms()
    {
        var random = new Random(1);
        foreach (int d in new[] { 1, 2, 3, 16 })
        {
            float[] z = Floats(random, d);
            float[] e = Floats(random, d);
            float[] g = Floats(random, d);
            (Bounded[] output, Bounded[] gradX) = RotateReference.Evaluate(z, e, g, d);
            Assert.Equal(e.Select(v => (double)v), output.Select(v => v.Value));
            Assert.Equal(Norm(e) / Norm(z) * Norm(g), Norm(gradX), 1e-12);

            // The transpose of what takes z to e: <dz, z> = <g, e>, and the direction of e comes from that of z.
            Assert.Equal(Dot(g, e), gradX.Zip(z, (a, b) => a.Value * b).Sum(), 1e-12);
            Bounded[] back = RotateReference.Evaluate(z, e, e, d).GradX;
            double ratio = Norm(e) / Norm(z);
            for (int i = 0; i < d; i++)
            {
                Assert.Equal(z[i] * ratio * ratio, back[i].Value, 1e-12);
            }
        }
    }

    [Fact]
    public void The_matrix_is_a_rotation_in_the_plane_of_row_and_code()
    {
        // 90 degrees, and twice the length.
        Bounded[] dz = RotateReference.Evaluate(
            [1, 0, 0, 1, 0, 0, 1, 0, 0], [0, 2, 0, 0, 2, 0, 0, 2, 0], [1, 0, 0, 0, 1, 0, 0, 0, 1], 3).GradX;
        double[] expected = [0, -2, 0, 2, 0, 0, 0, 0, 2];
        Assert.All(dz.Select((v, i) => (v.Value, i)), p => Assert.Equal(expected[p.i], p.Value, 1e-14));
    }

    [Fact]
    public void Without_a_direction_it_is_plain_straight_through()
    {
        (Bounded[] output, Bounded[] gradX) = RotateReference.Evaluate([0, -0f, 1, 2], [3, 4, 0, 0], [5, 6, 7, 8], 2);
        Assert.Equal([new Bounded(3, 0), 4, 0, 0], output);
        Assert.Equal([new Bounded(5, 0), 6, 0, 0], gradX);
    }

    [Fact]
    public void Opposite_directions_stay_finite_and_isometric()
    {
        (Bounded[] output, Bounded[] gradX) = RotateReference.Evaluate([1, 2, 2], [-2, -4, -4], [1, 0, -3], 3);
        Assert.Equal([-2.0, -4, -4], output.Select(v => v.Value));
        Assert.Equal(2 * Math.Sqrt(10), Norm(gradX), 1e-12);
        Assert.All(gradX, v => Assert.True(v.IsInDomain));
        Assert.All(gradX, v => Assert.False(v.Admits(float.NaN)));
        Assert.All(output, v => Assert.InRange(v.Bound, 0, 1e-4));

        (output, gradX) = RotateReference.Evaluate([1, 2, 2], [-2, -4, -4.00001f], [1, 0, -3], 3);
        Assert.Equal(2 * Math.Sqrt(10), Norm(gradX), 1e-4);
        Assert.All(output, v => Assert.InRange(v.Bound, 0, 1e-4));
    }

    [Fact]
    public void Binary32_in_both_forms_is_within_the_bounds()
    {
        var random = new Random(2);
        for (int trial = 0; trial < 200; trial++)
        {
            int d = 1 + random.Next(20);
            float[] z = Floats(random, d);
            float[] e = Floats(random, d);
            float[] g = Floats(random, d);
            if (trial % 4 == 0)
            {
                e = Array.ConvertAll(z, v => -v + (0.01f * (float)random.NextDouble()));
            }

            (Bounded[] output, Bounded[] gradX) = RotateReference.Evaluate(z, e, g, d);
            float nz = MathF.Sqrt(Dot32(z, z));
            float ne = MathF.Sqrt(Dot32(e, e));
            float[] u = Array.ConvertAll(z, v => v / nz);
            float[] q = Array.ConvertAll(e, v => v / ne);
            float[] sum = [.. u.Zip(q, (a, b) => a + b)];
            float length = MathF.Sqrt(Dot32(sum, sum));
            float cosine = Dot32(z, e) / (nz * ne);
            if (length < 1e-3 || 1 + cosine < 1e-6)
            {
                continue; // d = 1, mostly
            }

            float[] w = Array.ConvertAll(sum, v => v / length);
            float along = ((Dot32(z, g) / nz) + (Dot32(e, g) / ne)) / (1 + cosine);
            for (int i = 0; i < d; i++)
            {
                float byUnit = ne / nz * (g[i] - (2 * Dot32(w, g) * w[i]) + (2 * Dot32(q, g) * u[i]));
                float byDots = ne / nz * (g[i] - (along * sum[i]) + (2 * Dot32(q, g) * u[i]));
                float forward = ne / nz * (z[i] - (2 * Dot32(w, z) * w[i]) + (2 * Dot32(u, z) * q[i]));
                Assert.True(gradX[i].Admits(byUnit), $"{trial} {d} {gradX[i]} {byUnit}");
                Assert.True(gradX[i].Admits(byDots), $"{trial} {d} {gradX[i]} {byDots}");
                Assert.True(output[i].Admits(e[i]));
                Assert.True(output[i].Admits(forward) || length < 0.1, $"{trial} {d} {output[i]} {forward}");
                Assert.True(trial % 4 == 0 || length < 0.1 || gradX[i].Bound < 2e-3, $"{gradX[i]} {length}");
            }
        }
    }

    [Fact]
    public void Wrong_calls_are_refused()
    {
        Assert.Throws<ArgumentException>("q", () => RotateReference.Evaluate([1], [1, 2], [1], 1));
        Assert.Throws<ArgumentException>("grad", () => RotateReference.Evaluate([1], [1], [], 1));
    }

    private static double Norm(IEnumerable<Bounded> v) => Math.Sqrt(v.Sum(x => x.Value * x.Value));

    private static double Norm(float[] v) => Math.Sqrt(Dot(v, v));

    private static double Dot(float[] a, float[] b) => a.Zip(b, (x, y) => (double)x * y).Sum();

    private static float Dot32(float[] a, float[] b) => a.Zip(b, (x, y) => x * y).Aggregate((x, y) => x + y);

    private static float[] Floats(Random random, int n) =>
        [.. Enumerable.Range(0, n).Select(_ => (float)((random.NextDouble() * 2) - 1))];
}
