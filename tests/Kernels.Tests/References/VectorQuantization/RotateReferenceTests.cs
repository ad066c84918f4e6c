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
    public void Binary32_in_all_forms_is_within_the_bounds()
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
            float turn = 2 * Dot32(sum, g) / Dot32(sum, sum);
            for (int i = 0; i < d; i++)
            {
                float byUnit = ne / nz * (g[i] - (2 * Dot32(w, g) * w[i]) + (2 * Dot32(q, g) * u[i]));
                float byDots = ne / nz * (g[i] - (along * sum[i]) + (2 * Dot32(q, g) * u[i]));
                float bySquare = ne / nz * (g[i] - (turn * sum[i]) + (2 * Dot32(q, g) * u[i]));
                float forward = ne / nz * (z[i] - (2 * Dot32(w, z) * w[i]) + (2 * Dot32(u, z) * q[i]));
                Assert.True(gradX[i].Admits(byUnit), $"{trial} {d} {gradX[i]} {byUnit}");
                Assert.True(gradX[i].Admits(byDots), $"{trial} {d} {gradX[i]} {byDots}");
                Assert.True(gradX[i].Admits(bySquare), $"{trial} {d} {gradX[i]} {bySquare}");
                Assert.Equal(new Bounded(e[i], 0), output[i]);
                Assert.True(Math.Abs(forward - e[i]) < 2e-5 || length < 0.1, $"{trial} {d} {output[i]} {forward}");
                Assert.True(trial % 4 == 0 || length < 0.1 || gradX[i].Bound < 2e-3, $"{gradX[i]} {length}");
            }
        }
    }

    [Fact]
    public void Bounds_count_their_roundings()
    {
        // In units of the roundoff: 2 of a unit vector, 6 of u + q = 2, 28 of its square 4, 9.5 of w, 42 of
        // 2 (w.g) w = 2, 15 of g + 2 (q.g) u = 3, 3 of the scale.
        AssertBounds([1], [1], [1], [15 + 42 + 1 + 3 + 1]);
        AssertBounds([3, 4], [8, 6], [1, 2], [258, 305.5]);
        AssertBounds([3, 4], [-8, 6], [1, 2], [127.5, 334]);

        // Two isometries are not farther apart than 4 |g|; 1 % for roundings.
        Bounded opposite = RotateReference.Evaluate([1], [-2], [3], 1).GradX[0];
        Assert.Equal(-6, opposite.Value, 1e-12);
        Assert.Equal(2 * 4.01 * 3, opposite.Bound, 1e-4);

        static void AssertBounds(float[] z, float[] e, float[] g, double[] expected)
        {
            Bounded[] gradX = RotateReference.Evaluate(z, e, g, z.Length).GradX;
            for (int i = 0; i < z.Length; i++)
            {
                Assert.Equal(expected[i], gradX[i].Bound / Bounded.UnitRoundoff, 0.6);
            }
        }
    }

    [Fact]
    public void Directions_are_opposite_up_to_the_roundings_of_binary64()
    {
        // The last row turns, by w = (0, 1); and of what is opposite but for roundings w is 0.
        float least = MathF.ScaleB(1, -47);
        Bounded[] dz = RotateReference.Evaluate(
            [1, 0, 1, 0], [-1, MathF.BitDecrement(least), -1, least], [0, 1, 0, 1], 2).GradX;
        Assert.Equal(1, dz[1].Value, 1e-12);
        Assert.Equal(-1, dz[3].Value, 1e-12);
        dz = RotateReference.Evaluate([1, 2, 3], [-3, -6, -9], [1, 0, 0], 3).GradX;
        double[] expected = [3 * (1 - (2 / 14.0)), 3 * (-4 / 14.0), 3 * (-6 / 14.0)];
        Assert.All(dz.Select((v, i) => (v.Value, i)), p => Assert.Equal(expected[p.i], p.Value, 1e-12));
    }

    [Fact]
    public void Where_a_quotient_may_overflow_nothing_is_said()
    {
        // 2 (u + q).g = 4 g; 2^-19 g over 2^-36, where the square is 2^-40; and over 2^-28 as roundings may leave it.
        AssertLimit([1], [1], [float.MaxValue / 4], 1e-5f);
        AssertLimit([1, 0], [-1, MathF.ScaleB(1, -20)], [0, float.MaxValue * MathF.ScaleB(1, -17)], 1e-5f);
        const float Off = 1f / (1 << 14);
        AssertLimit([3, 4], [-3 + (4 * Off), -4 - (3 * Off)], [0.979f * float.MaxValue * Off / 1.6f, 0], 7e-3f);

        static void AssertLimit(float[] z, float[] e, float[] limit, float slack)
        {
            float[] below = Array.ConvertAll(limit, g => g * (1 - slack));
            Assert.All(RotateReference.Evaluate(z, e, below, z.Length).GradX, v => Assert.True(v.IsInDomain));
            float[] above = Array.ConvertAll(limit, g => g * (1 + slack));
            Assert.All(RotateReference.Evaluate(z, e, above, z.Length).GradX, v => Assert.True(v.Admits(float.NaN)));
        }
    }

    [Fact]
    public void A_gradient_that_is_NaN_stays_so_where_it_counts()
    {
        float[] grad = [1, float.NaN, 1, float.NaN, 1, float.NaN];
        Bounded[] dz = RotateReference.Evaluate([3, 4, 0, 0, 3, 4], [4, 3, 4, 3, 0, 0], grad, 2).GradX;
        Assert.All(dz[..2], v => Assert.True(v.Admits(float.NaN) && !v.Admits(1)));
        Assert.Equal(1, dz[2]);
        Assert.True(dz[3].Admits(float.NaN) && !dz[3].Admits(1));
        Assert.Equal([new Bounded(0, 0), 0], dz[4..]);
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
