namespace Kernels.References.Optimizers;

/// <summary>The norm of a gradient over all its tensors, and the coefficient that clips it.</summary>
/// <remarks>
/// Source: Pascanu, Mikolov and Bengio 2013, arXiv:1211.5063, algorithm 1; the coefficient as in
/// torch.nn.utils.clip_grad_norm_.
/// </remarks>
public static class GradientNormReference
{
    /// <summary>The sum of the squares.</summary>
    /// <param name="values">The gradients, [n].</param>
    /// <param name="depth">The most additions that one square goes through; by default any order.</param>
    /// <returns>The sum; out of the domain where a square or the sum overflows binary32.</returns>
    public static Bounded SquaredNorm(ReadOnlySpan<Bounded> values, int? depth = null)
    {
        var squares = new Bounded[values.Length];
        for (int i = 0; i < squares.Length; i++)
        {
            squares[i] = values[i] * values[i];
        }

        return Bounded.Sum(squares, depth);
    }

    /// <summary>The root of the sum of the squares, all in binary32.</summary>
    /// <param name="values">The gradients, [n].</param>
    /// <param name="depth">The most additions that one square goes through; by default any order.</param>
    /// <returns>The norm; out of the domain where a square or the sum overflows binary32.</returns>
    public static Bounded Norm(ReadOnlySpan<Bounded> values, int? depth = null) =>
        Bounded.Sqrt(SquaredNorm(values, depth));

    /// <summary>
    /// The norm as a kernel computes it that scales the values where a plain sum of 4096 squares is not within 2^-63 and
    /// 2^63, so that no square overflows.
    /// </summary>
    /// <param name="values">The gradients, [n], taken as exact.</param>
    /// <param name="depth">The most additions that one square goes through; by default any order.</param>
    /// <returns>
    /// The norm. Each square carries five roundings (twice the scale's reciprocal and the scaling, once the square) and
    /// those of the sum; the root halves them, and the root and the scaling back add one each. Scaled squares that
    /// underflow are nothing beside a sum of at least 1 / 4, which a scale within a factor of two of the largest gives;
    /// 4096 plain ones that underflow are below 2^-51 of a sum of at least 2^-63.
    /// </returns>
    public static Bounded ScaledNorm(ReadOnlySpan<float> values, int? depth = null)
    {
        double sum = 0;
        foreach (float value in values)
        {
            sum += (double)value * value;
        }

        double norm = Math.Sqrt(sum);
        double gamma = Bounded.Gamma((depth ?? Math.Max(values.Length - 1, 0)) + 5);
        // The lower side of the root is the wider one: 1 - sqrt(1 - gamma), without cancellation; a root is not below 0.
        double halved = gamma / (1 + Math.Sqrt(Math.Max(1 - gamma, 0)));
        double relative = halved + (Bounded.Gamma(2) * (1 + halved)) + Math.ScaleB(1, -51) + (values.Length * 1e-15);
        return Bounded.Checked(norm, (norm * relative) + Bounded.LeastSubnormal);
    }

    /// <summary>The factor that clips a gradient to a largest norm, min(1, maxNorm / (norm + epsilon)).</summary>
    /// <param name="norm">The norm of the gradient; a NaN gives a NaN factor, so that no element hides it.</param>
    /// <param name="maxNorm">The largest norm, at least 0.</param>
    /// <param name="epsilon">Added to the norm, at least 0.</param>
    /// <returns>The factor, in [0, 1].</returns>
    /// <exception cref="ArgumentOutOfRangeException">The largest norm or epsilon is negative.</exception>
    public static Bounded ClipCoefficient(Bounded norm, double maxNorm, double epsilon = 1e-6)
    {
        Check.NotNegative(maxNorm);
        Check.NotNegative(epsilon);
        return double.IsNaN(norm.Value)
            ? norm
            : Bounded.Min(1, Bounded.Rounded(maxNorm) / (norm + Bounded.Rounded(epsilon)));
    }
}
