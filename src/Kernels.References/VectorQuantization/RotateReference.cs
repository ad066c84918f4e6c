namespace Kernels.References.VectorQuantization;

/// <summary>The rotation trick: the gradient turns and scales as the row does on its way to its code.</summary>
/// <remarks>
/// Source: Fifty et al. 2024, arXiv:2410.06424, section 4. With u = z / |z|, q = e / |e|, w = (u + q) / |u + q| and
/// s = |e| / |z|, the output is s (z - 2 (w.z) w + 2 (u.z) q) = e, and with u, q, w, s constant
/// dz = s (g - 2 (w.g) w + 2 (q.g) u), an isometry times s.
/// <para>
/// Defined here where the paper is not: z = 0 has no direction, and is plain straight-through, dz = g. For e = 0,
/// s = 0 and dz = 0. For u = -q, w = 0, and dz = s (g + 2 (q.g) u).
/// </para>
/// <para>
/// Bound: the output is the code itself, exactly. Of the gradient, running error analysis in three forms of 2 (w.g) w:
/// with the unit vector w, as 2 ((u + q).g) / (u + q)^2 (u + q), and as ((u + q).g) / (1 + u.q) (u + q); inner products
/// in any order. Near u = -q the direction w is lost to rounding; but then too dz is an isometry times s, so dz is
/// never farther off than 4 s |g| and the other terms: a kernel must not divide by next to nothing there, by which is
/// meant (u + q)^2 below 2^-36. Infinite where 2 (u + q).g or its quotient by (u + q)^2 may overflow.
/// </para>
/// </remarks>
public static class RotateReference
{
    // What a kernel divides by is not less.
    private const double Least = 1.0 / (1L << 36);

    // Of less, u = -q: it is what binary64 leaves of 0.
    private const double Opposite = 1.0 / (1L << 47) / (1L << 47);

    /// <summary>Output and gradient.</summary>
    /// <param name="x">The rows z, [n, d].</param>
    /// <param name="q">The code e of each row, [n, d].</param>
    /// <param name="grad">The gradient g to the output, [n, d].</param>
    /// <param name="d">The dimension.</param>
    /// <returns>Output [n, d], gradX [n, d].</returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    public static (Bounded[] Output, Bounded[] GradX) Evaluate(
        ReadOnlySpan<float> x, ReadOnlySpan<float> q, ReadOnlySpan<float> grad, int d)
    {
        int n = Check.Rows(x, d);
        Check.SameLength(x, q);
        Check.SameLength(x, grad);
        var gradX = new Bounded[x.Length];
        for (int i = 0; i < n; i++)
        {
            var row = new Range(i * d, (i + 1) * d);
            Row(x[row], q[row], grad[row], gradX.AsSpan(row));
        }

        return (Widen(q), gradX);
    }

    private static void Row(
        ReadOnlySpan<float> x, ReadOnlySpan<float> code, ReadOnlySpan<float> grad, Span<Bounded> gradX)
    {
        int d = x.Length;
        Bounded[] z = Widen(x);
        Bounded[] e = Widen(code);
        Bounded[] g = Widen(grad);
        Bounded normZ = Bounded.Sqrt(Dot(z, z));
        Bounded normE = Bounded.Sqrt(Dot(e, e));
        if (normZ.Value == 0)
        {
            g.CopyTo(gradX);
            return;
        }

        if (normE.Value == 0)
        {
            return; // all zeros
        }

        Bounded[] u = Unit(z, normZ);
        Bounded[] q = Unit(e, normE);
        var sum = new Bounded[d];
        for (int i = 0; i < d; i++)
        {
            sum[i] = u[i] + q[i];
        }

        Bounded square = Dot(sum, sum);
        Bounded[] w = Unit(sum, Bounded.Sqrt(square));
        bool isOpposite = square.Value < Opposite;

        Bounded scale = normE / normZ;
        Bounded twice = 2 * Dot(q, g);
        Bounded along = 2 * Dot(sum, g);
        Bounded alongW = 2 * Dot(w, g);
        Bounded cosine = 1 + Dot(u, q);
        bool mayOverflow = double.IsPositiveInfinity((along / Math.Max(square.Value - square.Bound, Least)).Bound);
        // Whatever w is, 2 (w.g) w is not longer than 2 |g|, and two of them are not farther apart than twice that.
        double most = 4.01 * Math.Sqrt(Dot(g, g).Value);
        for (int i = 0; i < d; i++)
        {
            Bounded turn = isOpposite ? Lost : along / square * sum[i];
            turn = Bounded.Either(turn, along / (2 * cosine) * sum[i]);
            turn = Bounded.Either(turn, alongW * w[i]);
            double bound = mayOverflow ? double.PositiveInfinity : Math.Min(turn.Bound, most);
            gradX[i] = scale * (g[i] + (twice * u[i]) - (turn with { Bound = bound }));
        }
    }

    /// <summary>A vector over its length, by division or by the reciprocal.</summary>
    private static Bounded[] Unit(Bounded[] values, Bounded length) =>
        Array.ConvertAll(values, v => Bounded.Either(v / length, v * (1 / length)));

    private static Bounded Lost => new(0, double.PositiveInfinity);

    private static Bounded[] Widen(ReadOnlySpan<float> values)
    {
        var wide = new Bounded[values.Length];
        for (int i = 0; i < wide.Length; i++)
        {
            wide[i] = values[i];
        }

        return wide;
    }

    private static Bounded Dot(Bounded[] a, Bounded[] b)
    {
        var products = new Bounded[a.Length];
        for (int i = 0; i < a.Length; i++)
        {
            products[i] = a[i] * b[i];
        }

        return Bounded.Sum(products);
    }
}
