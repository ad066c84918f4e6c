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
/// Bound: running error analysis of the gradient in two forms, with w and with (u + q) ((u + q).g) / (1 + u.q), inner
/// products
/// in any order. Near u = -q the direction w is lost to rounding; but then too dz is an isometry times s, so dz is
/// never
/// farther off than 4 s |g| and the other terms: a kernel must not divide by next to nothing there, by which is meant
/// (u + q)^2 below 2^-36. Infinite where 2 (u + q).g or its quotient by (u + q)^2 may overflow. The output may be
/// e itself; from the formula, only by a kernel that takes w.z as |z| |u + q| / 2 where rounding has lost w.
/// </para>
/// </remarks>
public static class RotateReference
{
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
        var output = new Bounded[x.Length];
        var gradX = new Bounded[x.Length];
        for (int i = 0; i < n; i++)
        {
            var row = new Range(i * d, (i + 1) * d);
            Row(x[row], q[row], grad[row], output.AsSpan(row), gradX.AsSpan(row));
        }

        return (output, gradX);
    }

    private static void Row(
        ReadOnlySpan<float> x, ReadOnlySpan<float> code, ReadOnlySpan<float> grad, Span<Bounded> output,
        Span<Bounded> gradX)
    {
        int d = x.Length;
        Bounded[] z = Widen(x);
        Bounded[] e = Widen(code);
        Bounded[] g = Widen(grad);
        Bounded normZ = Bounded.Sqrt(Dot(z, z));
        Bounded normE = Bounded.Sqrt(Dot(e, e));
        if (normZ.Value == 0)
        {
            e.CopyTo(output);
            g.CopyTo(gradX);
            return;
        }

        Bounded scale = normE / normZ;
        Bounded[] u = new Bounded[d];
        Bounded[] q = new Bounded[d];
        Bounded[] sum = new Bounded[d];
        for (int i = 0; i < d; i++)
        {
            u[i] = z[i] / normZ;
            q[i] = normE.Value == 0 ? 0 : e[i] / normE;
            sum[i] = u[i] + q[i];
        }

        // Exact, but for the roundings of binary64.
        bool isOpposite = Dot(sum, sum).Value < 1e-28;
        Apply(z, output);
        Apply(g, gradX);
        for (int i = 0; i < d; i++)
        {
            output[i] = output[i] with { Value = e[i].Value };
        }

        void Apply(Bounded[] v, Span<Bounded> into)
        {
            Bounded twice = 2 * Dot(q, v);
            // For v = z, u.z is |z| and the rotation takes it to q: the roles of u and q are those of the transpose.
            bool isForward = ReferenceEquals(v, z);
            if (isForward)
            {
                twice = 2 * Dot(u, v);
            }

            Bounded along = Dot(sum, v);
            Bounded square = Dot(sum, sum);
            Bounded cosine = 1 + Dot(u, q);
            double size = Math.Sqrt(Dot(v, v).Value);
            double products = 0;
            for (int i = 0; i < d; i++)
            {
                products += (Math.Abs(sum[i].Value) + sum[i].Bound) * Math.Abs(v[i].Value);
            }

            double least = Math.Clamp(square.Value - square.Bound, Math.ScaleB(1, -36), 1);
            bool mayOverflow = 4 * products / least > float.MaxValue;
            // Whatever w is, 2 (w.g) w is not longer than 2 |g|, and two of them are not farther apart than twice
            // that; w.z = |z| |u + q| / 2 is small just where w is lost.
            double most = isForward ? size * ((1.01 * Math.Sqrt(square.Value)) + Bounded.Gamma(d + 8)) : 4.01 * size;
            for (int i = 0; i < d; i++)
            {
                Bounded rest = v[i] + (twice * (isForward ? q[i] : u[i]));
                Bounded first = isOpposite ? Lost : 2 * (along * sum[i] / square);
                Bounded second = cosine.Value <= cosine.Bound ? Lost : along / cosine * sum[i];
                // By the unit vector w the roundings are those of the square and its root; one more for each.
                Bounded turn = Bounded.Either(first, second);
                turn = turn with { Bound = turn.Bound + (Bounded.Gamma(d + 8) * 2 * size) };
                double bound = mayOverflow ? double.PositiveInfinity : Math.Min(turn.Bound, most);
                into[i] = scale * (rest - (turn with { Bound = bound }));
            }
        }
    }

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
