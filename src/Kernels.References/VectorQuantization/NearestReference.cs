namespace Kernels.References.VectorQuantization;

/// <summary>How near a code e is to a row z.</summary>
public enum ReferenceMetric
{
    /// <summary>Squared L2 distance, |z - e|^2.</summary>
    L2,

    /// <summary>Negative dot product.</summary>
    Dot,

    /// <summary>1 - cosine; with a vector of zeros the cosine counts as 0.</summary>
    Cosine,
}

/// <summary>The nearest code of each row: which answers are right, and how far a distance may be off.</summary>
/// <remarks>
/// <para>
/// Distances are computed in binary64, L2 in the form of differences. A search in binary32 compares scores, z.e -
/// |e|^2 / 2 for L2, z.e for the dot product and z.e / |e| for the cosine, and finds the code whose computed score is
/// the largest. With an error of B(k) for the score of code k, derived below for any order of the sums, it may return
/// code i only if score(i) + B(i) is at least score(k) - B(k) for every k.
/// </para>
/// <para>
/// A code whose score is not a number never wins. Lengths of rows and codes must be such that no square overflows.
/// </para>
/// </remarks>
public sealed class NearestReference
{
    private readonly float[] _rows;
    private readonly float[] _codes;
    private readonly int _dimension;
    private readonly ReferenceMetric _metric;

    /// <summary>Keeps the inputs.</summary>
    /// <param name="rows">[n, d], row-major.</param>
    /// <param name="codes">[k, d], row-major.</param>
    /// <param name="dimension">d, at least 1.</param>
    /// <param name="metric">What is smallest at the nearest code.</param>
    /// <exception cref="ArgumentException">A length is no multiple of the dimension, or there is no code.</exception>
    public NearestReference(float[] rows, float[] codes, int dimension, ReferenceMetric metric)
    {
        ArgumentNullException.ThrowIfNull(rows);
        ArgumentNullException.ThrowIfNull(codes);
        ArgumentOutOfRangeException.ThrowIfLessThan(dimension, 1);
        if (rows.Length % dimension != 0 || codes.Length % dimension != 0 || codes.Length == 0)
        {
            throw new ArgumentException("Rows and codes must be whole, and there must be a code.", nameof(codes));
        }

        _rows = rows;
        _codes = codes;
        _dimension = dimension;
        _metric = metric;
    }

    /// <summary>Codes.</summary>
    public int CodeCount => _codes.Length / _dimension;

    /// <summary>The code of the smallest distance in binary64, the lowest at the same; -1 if none is a number.</summary>
    /// <param name="row">Which row.</param>
    /// <returns>Its index; the exact one where all sums are exact in binary64, as for small integers.</returns>
    public int Nearest(int row)
    {
        int best = -1;
        double least = double.PositiveInfinity;
        for (int k = 0; k < CodeCount; k++)
        {
            double distance = Of(row, k).Distance;
            if (distance < least)
            {
                least = distance;
                best = k;
            }
        }

        return best;
    }

    /// <summary>Whether a search in binary32 may return this code.</summary>
    /// <param name="row">Which row.</param>
    /// <param name="index">What was returned; -1 only where no score is a number.</param>
    /// <returns>Whether no code is certainly better.</returns>
    public bool Admits(int row, int index)
    {
        double floor = double.NegativeInfinity;
        for (int k = 0; k < CodeCount; k++)
        {
            Sums sums = Of(row, k);
            if (!double.IsNaN(sums.Score))
            {
                floor = Math.Max(floor, sums.Score - sums.ScoreBound);
            }
        }

        if (index < 0)
        {
            return index == -1 && double.IsNegativeInfinity(floor);
        }

        if (index >= CodeCount)
        {
            return false;
        }

        Sums got = Of(row, index);
        return got.Score + got.ScoreBound >= floor;
    }

    /// <summary>The distance of a code, and how far a binary32 kernel may be off that sums it anew.</summary>
    /// <param name="row">Which row.</param>
    /// <param name="index">Which code.</param>
    /// <returns>The distance.</returns>
    public Bounded Distance(int row, int index)
    {
        Sums sums = Of(row, index);
        return new Bounded(sums.Distance, sums.DistanceBound);
    }

    /// <summary>How much farther the second smallest distance is, and how far a margin from scores may be off.</summary>
    /// <param name="row">Which row; at least two codes.</param>
    /// <returns>The margin.</returns>
    public Bounded Margin(int row)
    {
        double first = double.NegativeInfinity;
        double second = double.NegativeInfinity;
        double bound = 0;
        for (int k = 0; k < CodeCount; k++)
        {
            Sums sums = Of(row, k);
            bound = Math.Max(bound, sums.ScoreBound);
            second = Math.Max(second, Math.Min(first, sums.Score));
            first = Math.Max(first, sums.Score);
        }

        // The largest and the second largest of numbers that are each off by at most a bound are off by it.
        double squares = 0;
        for (int d = 0; d < _dimension; d++)
        {
            double z = _rows[row * _dimension + d];
            squares += z * z;
        }

        double scale = _metric switch
        {
            ReferenceMetric.L2 => 2,
            ReferenceMetric.Dot => 1,
            _ => squares == 0 ? 0 : 1 / Math.Sqrt(squares),
        };
        double margin = first - second;
        double rounding = Bounded.Gamma(_dimension + 6) * (margin + (2 * bound));
        return new Bounded(scale * margin, (scale * ((2 * bound) + rounding)) + Bounded.LeastSubnormal);
    }

    private Sums Of(int row, int code)
    {
        int d = _dimension;
        double differences = 0;
        double products = 0;
        double sizes = 0;
        double rowSquares = 0;
        double codeSquares = 0;
        for (int i = 0; i < d; i++)
        {
            double z = _rows[(row * d) + i];
            double e = _codes[(code * d) + i];
            differences += (z - e) * (z - e);
            products += z * e;
            sizes += Math.Abs(z * e);
            rowSquares += z * z;
            codeSquares += e * e;
        }

        double underflow = 2 * d * Bounded.LeastSubnormal;
        switch (_metric)
        {
            case ReferenceMetric.L2:
                // The term has d roundings, and goes through the d additions of the products.
                return new Sums(
                    products - (codeSquares / 2),
                    (Bounded.Gamma(d + 1) * sizes) + (Bounded.Gamma((2 * d) + 1) * codeSquares / 2) + underflow,
                    differences,
                    (Bounded.Gamma(d + 3) * differences) + underflow);
            case ReferenceMetric.Dot:
                double bound = (Bounded.Gamma(d + 1) * sizes) + underflow;
                return new Sums(products, bound, -products, bound);
            default:
                double inverseRow = rowSquares == 0 ? 0 : 1 / Math.Sqrt(rowSquares);
                double inverseCode = codeSquares == 0 ? 0 : 1 / Math.Sqrt(codeSquares);
                // An inverse norm has d roundings of the sum, halved by the root, and those of root and division.
                double relative = Bounded.Gamma((2 * d) + 6);
                return new Sums(
                    products * inverseCode,
                    ((relative * sizes) + underflow) * inverseCode,
                    1 - (products * inverseRow * inverseCode),
                    (((Bounded.Gamma((3 * d) + 12) * sizes) + underflow) * inverseRow * inverseCode)
                        + (2 * Bounded.UnitRoundoff));
        }
    }

    private readonly record struct Sums(double Score, double ScoreBound, double Distance, double DistanceBound);
}
