using Kernels.References.Optimizers;

namespace Kernels.References.Dct;

/// <summary>
/// The orthogonal factor of a matrix, about: five steps of a polynomial that moves singular values near 1.
/// </summary>
/// <remarks>
/// Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks": X = G / (|G| + 1e-7), |G| the
/// Frobenius norm; five times A = X X^T, X = a X + (b A + c A A) X with a = 3.4445, b = -4.7750, c = 2.0315, on the
/// transpose if there are more rows than columns.
/// <para>
/// Bound, of each element by a norm of the whole: intervals of single numbers grow more than a thousandfold in a step
/// of 24 rows, the norm does not. Let F be the exact steps so far. What a binary32 computation holds is F(c X) + E,
/// where c is the factor by which its norm of G is off, the same for all elements.
/// </para>
/// <para>
/// One exact step maps singular values by p(s) = a s + b s^3 + c s^5, and of an odd function of a symmetric matrix
/// (here [0 X; X^T 0]) f(A) - f(B) has, between the eigenvectors of A and of B, the elements f[x, y] (A - B), divided
/// differences at their eigenvalues. So E grows at most by the largest |p'(s)| or |p(s) / s| over the range of the
/// singular values of both, 3.4445 if they begin at 0. No term is left out.
/// </para>
/// <para>
/// The products of a step add, in this norm, gamma(k + 2) |X| |X|^T for A of inner length k; for B = b A + c A A,
/// gamma(3) |b| |A| + gamma(m + 5) |c| |A| |A|, and what the error of A becomes, its factor between eigenvectors of A
/// being b + c (x + y); for X, gamma(m + 4) |B| |X| + gamma(3) a |X|, and the error of B times |X|_2. Magnitudes are
/// those of the exact matrices, enlarged by the distances so far.
/// </para>
/// <para>
/// c moves each singular value by itself: by (|p'(s)| + w max|p''| / 2) w, if it was off by w. A matrix that is 0 stays
/// so; of one whose squares may overflow nothing is said. Bounds of Gaussian matrices are 0.001 for 8 rows and 0.01 for
/// 24, most of it from steps that also raise the least singular values by 3.4; roundings seen are 1e-6.
/// </para>
/// </remarks>
public static class NewtonSchulzReference
{
    /// <summary>What is added to the norm that the matrix is divided by.</summary>
    public const double Epsilon = 1e-7;

    /// <summary>Steps.</summary>
    public const int Steps = 5;

    private const double A = 3.4445;
    private const double B = -4.7750;
    private const double C = 2.0315;

    // What binary64 loses: the same analysis with 2^-53, and singular values, 1e-12 of the largest, beside roundings of more
    // than 10 2^-24 of the norm. So is what underflows: at most 2^-86 for sides up to 2^20.
    private const double Slack = 1 + (1.0 / (1 << 16));

    /// <summary>The steps.</summary>
    /// <param name="g">The matrix, [rows, columns]; with bounds, if a computation has its own version of it.</param>
    /// <param name="rows">Rows of the matrix.</param>
    /// <param name="columns">Columns of the matrix.</param>
    /// <param name="reductionDepth">
    /// The most additions that one square goes through in the norm; by default any order.
    /// </param>
    /// <returns>[rows, columns], about U V^T for G = U S V^T.</returns>
    /// <exception cref="ArgumentException">The length is not rows times columns.</exception>
    public static Bounded[] Apply(ReadOnlySpan<Bounded> g, int rows, int columns, int? reductionDepth = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        Check.Length(g, rows * columns);
        if (rows > columns)
        {
            Bounded[] turned = BoundedMatrix.Transpose(g, rows, columns);
            return BoundedMatrix.Transpose<Bounded>(Apply(turned, columns, rows, reductionDepth), columns, rows);
        }

        Bounded scale = GradientNormReference.Norm(g, reductionDepth) + Bounded.Rounded(Epsilon);
        var result = new Bounded[g.Length];
        var x = new double[g.Length];
        double inputs = 0;
        for (int i = 0; i < x.Length; i++)
        {
            x[i] = g[i].Value / scale.Value;
            inputs += g[i].Bound * g[i].Bound;
        }

        double least = scale.Value - scale.Bound;
        if (!scale.IsInDomain || least <= 0)
        {
            Array.Fill(
                result, double.IsNaN(scale.Bound) ? double.NaN : new Bounded(double.NaN, double.PositiveInfinity));
            return result;
        }

        double distance = Iterate(x, rows, columns, Math.Sqrt(inputs) / least, scale.Bound / least);
        for (int i = 0; i < x.Length; i++)
        {
            double bound = distance * Slack;
            result[i] = new Bounded(x[i], float.IsFinite((float)bound) ? bound : double.PositiveInfinity);
        }

        return result;
    }

    /// <summary>Five steps on x, and how far a binary32 computation may be from them.</summary>
    private static double Iterate(double[] x, int m, int n, double inputs, double scaleError)
    {
        double[] singular = SvdProjectionReference.Decompose(x, m, n).Singular;
        double[] off = Array.ConvertAll(singular, s => s * scaleError);
        // The quotient itself, or the product with a reciprocal.
        double error = (inputs + (Bounded.Gamma(2) * (BoundedMatrix.Norm(x) + inputs))) * (1 + scaleError);
        for (int step = 0; step < Steps; step++)
        {
            double distance = error + BoundedMatrix.Norm(off);
            double low = double.PositiveInfinity;
            double high = 0;
            for (int i = 0; i < m; i++)
            {
                low = Math.Min(low, singular[i] - off[i] - error);
                high = Math.Max(high, singular[i] + off[i] + error);
            }

            error = (Growth(Math.Max(low, 0), high) * error) + Advance(x, m, n, high, distance);
            // On all that the values may be: |6 b s + 20 c s^3|.
            double curvature = high * Math.Max(6 * Math.Abs(B), (6 * B) + (20 * C * high * high));
            for (int i = 0; i < m; i++)
            {
                double square = singular[i] * singular[i];
                double slope = Math.Abs(A + (square * ((3 * B) + (5 * C * square))));
                off[i] = (slope + (curvature * off[i] / 2)) * off[i];
                singular[i] = Math.Abs(singular[i] * (A + (square * (B + (C * square)))));
            }
        }

        return error + BoundedMatrix.Norm(off);
    }

    /// <summary>The largest |p'(s)| or |p(s) / s| on a range: parabolas of the square.</summary>
    private static double Growth(double low, double high) => Math.Max(
        Parabola(3 * B, 5 * C, low * low, high * high), Parabola(B, C, low * low, high * high));

    private static double Parabola(double linear, double square, double low, double high)
    {
        double At(double s) => Math.Abs(A + (s * (linear + (square * s))));
        return Math.Max(Math.Max(At(low), At(high)), At(Math.Clamp(-linear / (2 * square), low, high)));
    }

    /// <summary>One step on x, and the norm of what its roundings add.</summary>
    private static double Advance(double[] x, int m, int n, double norm2, double distance)
    {
        double[] gram = BoundedMatrix.Multiply(x, BoundedMatrix.Transpose<double>(x, m, n), m, n, m);
        double[] sizes = Array.ConvertAll(x, v => Math.Abs(v) + distance);
        double[] gramSizes = BoundedMatrix.Multiply(sizes, BoundedMatrix.Transpose<double>(sizes, m, n), m, n, m);
        double gramRounding = Bounded.Gamma(n + 2) * BoundedMatrix.Norm(gramSizes);
        double gramDistance = (2 * norm2 * distance) + (distance * distance) + gramRounding;

        double[] polynomial = BoundedMatrix.Multiply(gram, gram, m, m, m);
        double[] absolute = Array.ConvertAll(gram, v => Math.Abs(v) + gramDistance);
        double[] squareSizes = BoundedMatrix.Multiply(absolute, absolute, m, m, m);
        double rounding = (Bounded.Gamma(3) * -B * BoundedMatrix.Norm(absolute))
            + (Bounded.Gamma(m + 5) * C * BoundedMatrix.Norm(squareSizes));
        for (int i = 0; i < polynomial.Length; i++)
        {
            polynomial[i] = (B * gram[i]) + (C * polynomial[i]);
        }

        // b + c (x + y), for x and y from 0 to the square of the norm.
        double factor = Math.Max(-B, Math.Abs(B + (2 * C * norm2 * norm2)));
        double polynomialError = ((factor + (C * gramRounding)) * gramRounding) + rounding;
        double polynomialDistance =
            ((-B + (C * ((2 * norm2 * norm2) + gramDistance))) * gramDistance) + rounding;

        double[] product = BoundedMatrix.Multiply(polynomial, x, m, m, n);
        double[] polynomialSizes = Array.ConvertAll(polynomial, v => Math.Abs(v) + polynomialDistance);
        double[] productSizes = BoundedMatrix.Multiply(polynomialSizes, sizes, m, m, n);
        for (int i = 0; i < x.Length; i++)
        {
            x[i] = (A * x[i]) + product[i];
        }

        return (norm2 * polynomialError) + (Bounded.Gamma(m + 4) * BoundedMatrix.Norm(productSizes))
            + (Bounded.Gamma(3) * A * BoundedMatrix.Norm(sizes));
    }
}
