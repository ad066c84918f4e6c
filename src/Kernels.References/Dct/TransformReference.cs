using System.Numerics;

namespace Kernels.References.Dct;

/// <summary>An orthonormal transform of rows, by its definition: n products for every number.</summary>
/// <remarks>
/// Source: Ahmed, Natarajan and Rao 1974; the types as in Strang 1999, "The discrete cosine transform"; the use of DCT-II
/// as a basis of gradients: Modoranu et al. 2025, arXiv:2505.17967.
/// <para>
/// Bound, of the distance from each number of a row x, relative to |x|, in u = 2^-24: the least of two. The direct sum in
/// any order has n products with rounded factors and a row of the basis has norm 1: n + 2. A fast transform is a product of
/// multiples of unitary stages. The stage of a prime p multiplies by rounded twiddles, (2 sqrt(2) + 1) u, and sums p
/// products directly, (p + 1) u of the sum of magnitudes, which is at most sqrt(p) of the norm: together below
/// 4 + (p + 1) sqrt(p); that of four or eight at once has no more roundings than its stages of two. Twiddles and scale
/// before or after them add 12 each. Rows do not mix: a kernel must not do two of them in one complex transform.
/// A length with a prime above <see cref="MostDirect"/> is a convolution of at most 4 N points with a chirp (Bluestein
/// 1970): two transforms of stages of two, three and five, of which 4 + 3 sqrt(2) for each two is the most, and a product
/// between them, all of which count as often as the spectrum of the chirp is above sqrt(N): at most
/// <see cref="ChirpPeak"/> times, as it goes over the circle of frequencies twice, and each time is at most 1.18 times
/// what it is in the end, the peak of Fresnel's integrals. The chirps before and behind are a twiddle each.
/// 1 % is for the terms of second order, and 2 n 2^-149 for products that vanish, as often of a convolution.
/// A Hadamard stage is one sum: log2(n) + 2.
/// </para>
/// <para>NaN in a row makes the whole row NaN; of a row with an infinity, or whose sums may overflow, nothing is said.</para>
/// </remarks>
public sealed class TransformReference
{
    /// <summary>The greatest prime whose stage is a direct sum.</summary>
    public const int MostDirect = 61;

    /// <summary>The most of |sum_j e^(i pi j^2 / N) e^(-i w j)| over -N &lt; j &lt; N, relative to sqrt(N).</summary>
    public const double ChirpPeak = 2.36;

    // What binary64 loses in the sum of the bounds.
    private const double Slack = 1 + (1.0 / (1 << 20));

    private const double Sqrt2 = 1.4142135623730951;

    private readonly double[] _cosines;
    private readonly double _relative;

    /// <summary>Prepares transforms of one length.</summary>
    /// <param name="kind">Which transform.</param>
    /// <param name="length">n, at least 1; for <see cref="TransformKind.Hadamard"/> a power of two.</param>
    /// <exception cref="ArgumentOutOfRangeException">The length is not one, or the kind is none.</exception>
    public TransformReference(TransformKind kind, int length)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        if (!Enum.IsDefined(kind))
        {
            throw new ArgumentOutOfRangeException(nameof(kind), kind, "Must be one of the kinds.");
        }

        if (kind == TransformKind.Hadamard && !BitOperations.IsPow2(length))
        {
            throw new ArgumentOutOfRangeException(nameof(length), length, "Must be a power of two.");
        }

        Kind = kind;
        Length = length;
        _cosines = kind == TransformKind.Hadamard ? [] : Cosines(Period(kind, length));
        _relative = Relative(kind, length);
    }

    /// <summary>Which transform.</summary>
    public TransformKind Kind { get; }

    /// <summary>Numbers of a row.</summary>
    public int Length { get; }

    /// <summary>The kind that undoes this one.</summary>
    public TransformKind Inverse => Kind switch
    {
        TransformKind.Dct2 => TransformKind.Dct3,
        TransformKind.Dct3 => TransformKind.Dct2,
        _ => Kind,
    };

    /// <summary>An entry of the matrix of the transform.</summary>
    /// <param name="k">Row, the index of the result.</param>
    /// <param name="j">Column, the index of the input.</param>
    /// <returns>The entry, to within binary64.</returns>
    /// <exception cref="ArgumentOutOfRangeException">An index is not below the length.</exception>
    public double Entry(int k, int j)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)k, (uint)Length, nameof(k));
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)j, (uint)Length, nameof(j));
        double n = Length;
        switch (Kind)
        {
            case TransformKind.Dct2:
                return Math.Sqrt((k == 0 ? 1 : 2) / n) * Cosine((long)k * ((2L * j) + 1));
            case TransformKind.Dct3:
                return Math.Sqrt((j == 0 ? 1 : 2) / n) * Cosine((long)j * ((2L * k) + 1));
            case TransformKind.Dct4:
                return Math.Sqrt(2 / n) * Cosine(((2L * k) + 1) * ((2L * j) + 1));
            case TransformKind.Dct1:
                double ends = (IsEnd(k) ? 0.5 : 1) * (IsEnd(j) ? 0.5 : 1);
                return n == 1 ? 1 : Math.Sqrt(2 / (n - 1) * ends) * Cosine((long)k * j);
            default:
                return (BitOperations.PopCount((uint)(k & j)) & 1) == 0 ? 1 / Math.Sqrt(n) : -1 / Math.Sqrt(n);
        }
    }

    /// <summary>Transforms rows.</summary>
    /// <param name="x">Rows, [rows, n], row-major.</param>
    /// <returns>Their transforms, [rows, n].</returns>
    /// <exception cref="ArgumentException">The numbers are not rows of n.</exception>
    public double[] Apply(ReadOnlySpan<double> x) => Multiply(x, magnitudes: false);

    /// <summary>Transforms rows of binary32 numbers.</summary>
    /// <param name="x">Rows, [rows, n], row-major.</param>
    /// <returns>Their transforms, [rows, n], with what a binary32 computation may be off by.</returns>
    /// <exception cref="ArgumentException">The numbers are not rows of n.</exception>
    public Bounded[] Apply(ReadOnlySpan<float> x) => Apply(BoundedMatrix.Widen(x));

    /// <summary>Transforms rows of which a binary32 computation has its own version.</summary>
    /// <param name="x">Rows with their bounds, [rows, n], row-major.</param>
    /// <returns>
    /// Their transforms, [rows, n]: the bound is that of the computation, relative to the largest norm a row may have,
    /// and sum_j |C_kj| bound_j, what the row itself may be off by.
    /// </returns>
    /// <exception cref="ArgumentException">The numbers are not rows of n.</exception>
    public Bounded[] Apply(ReadOnlySpan<Bounded> x)
    {
        int rows = Check.Rows(x, Length);
        var values = new double[x.Length];
        var bounds = new double[x.Length];
        bool isExact = true;
        for (int i = 0; i < x.Length; i++)
        {
            (values[i], bounds[i]) = x[i];
            isExact &= bounds[i] == 0;
        }

        double[] y = Multiply(values, magnitudes: false);
        double[] propagated = isExact ? bounds : Multiply(bounds, magnitudes: true);
        var result = new Bounded[x.Length];
        for (int row = 0; row < rows; row++)
        {
            double squares = 0;
            double magnitudes = 0;
            bool isNaN = false;
            foreach (Bounded value in x.Slice(row * Length, Length))
            {
                double most = Math.Abs(value.Value) + value.Bound;
                squares += most * most;
                magnitudes += most;
                isNaN |= double.IsNaN(value.Bound);
            }

            // Of a NaN that may be one or not, nothing is said either.
            bool mayOverflow = !(magnitudes <= float.MaxValue / 4);
            double own = squares == 0 ? 0 : (_relative * Math.Sqrt(squares)) + (2 * Length * Bounded.LeastSubnormal);
            for (int k = 0; k < Length; k++)
            {
                int i = (row * Length) + k;
                double bound = mayOverflow ? double.PositiveInfinity : own + (propagated[i] * Slack);
                result[i] = isNaN ? double.NaN : new Bounded(y[i], bound);
            }
        }

        return result;
    }

    private double[] Multiply(ReadOnlySpan<double> x, bool magnitudes)
    {
        int rows = Check.Rows(x, Length);
        var result = new double[x.Length];
        for (int k = 0; k < Length; k++)
        {
            for (int j = 0; j < Length; j++)
            {
                double entry = magnitudes ? Math.Abs(Entry(k, j)) : Entry(k, j);
                for (int row = 0; row < rows; row++)
                {
                    result[(row * Length) + k] += entry * x[(row * Length) + j];
                }
            }
        }

        return result;
    }

    private static double Relative(TransformKind kind, int n)
    {
        const double Twiddle = (2 * Sqrt2) + 1;
        double fast = 0;
        int ends = kind is TransformKind.Dct2 or TransformKind.Dct3 ? 1 : 2;
        int points = kind == TransformKind.Dct1 ? n - 1 : n;
        int largest = 1;
        for (int p = 2, left = points; left > 1; p++)
        {
            for (; left % p == 0; left /= p)
            {
                fast += 4 + ((p + 1) * Math.Sqrt(p));
                largest = p;
            }
        }

        if (kind == TransformKind.Hadamard)
        {
            return 1.01 * Bounded.UnitRoundoff * (Math.Log2(n) + 2);
        }

        if (largest <= MostDirect)
        {
            return 1.01 * Bounded.UnitRoundoff * Math.Min(n + 2, fast + (12 * ends));
        }

        double stages = (4 + (3 * Sqrt2)) * Math.Log2(4.0 * points);
        return 1.01 * Bounded.UnitRoundoff * ((ChirpPeak * ((2 * stages) + (2 * Twiddle))) + Twiddle + (12 * ends));
    }

    /// <summary>What the arguments of the cosines repeat after, in steps of the least of them.</summary>
    private static int Period(TransformKind kind, int n) => kind switch
    {
        TransformKind.Dct1 => 2 * (n - 1),
        TransformKind.Dct4 => checked(8 * n),
        _ => checked(4 * n),
    };

    /// <summary>cos(2 pi i / period), each from an argument of at most pi / 4.</summary>
    private static double[] Cosines(int period)
    {
        var cosines = new double[period];
        for (int i = 0; i < period; i++)
        {
            // In eighths of a turn, so that no argument is rounded before it is small.
            long eighths = 8L * i;
            int octant = (int)(eighths / period);
            long rest = eighths - ((long)octant * period);
            bool isOdd = (octant & 1) != 0;
            double angle = Math.PI / 4 * (isOdd ? period - rest : rest) / period;
            double value = octant is 0 or 3 or 4 or 7 ? Math.Cos(angle) : Math.Sin(angle);
            cosines[i] = octant is >= 2 and <= 5 ? -value : value;
        }

        return cosines;
    }

    private double Cosine(long step) => _cosines[step % _cosines.Length];

    private bool IsEnd(int i) => i == 0 || i == Length - 1;
}
