using System.Numerics;
using System.Runtime.InteropServices;

namespace Kernels.References.VectorQuantization;

/// <summary>The nearest of K codes, exactly: the least distance over the real numbers, the lowest index of a
/// tie.</summary>
/// <remarks>
/// <para>
/// Distances are computed in binary64, squared ones from differences, so that each is within (d + 4) 2^-53 of itself.
/// Codes that this does not tell apart are compared in exact integer arithmetic.
/// </para>
/// <para>
/// Not finite: a code with a component that is NaN or infinite is no candidate, and never wins. A row with such a
/// component, and any row if no code is a candidate, has index -1 and distance NaN. (With L2 this says that a distance
/// must be finite over the real numbers; a square that overflows binary32 is no reason to lose.)
/// </para>
/// <para>
/// Bound of a binary32 score, u = 2^-24, g(n) = n u / (1 - n u), products and sums in any order, fused or not:
/// L2, score z.e - |e|^2 / 2: each product of z.e is rounded once and goes through d additions at most; |e|^2 has
/// g(d) of itself and its half goes through d more: g(d + 1) sum |z e| + g(2 d) |e|^2 / 2.
/// Dot: g(d) sum |z e|. Cosine, vectors divided by their norms before or after the product: a norm has half of g(d)
/// and three roundings (root, reciprocal, product): (2 r + g(d)) sum |z e| / (|z| |e|), r = g(d) / 2 + 3 u.
/// Each product may underflow by 2^-149. Infinite where binary32 may overflow, or a norm is lost to underflow.
/// The forms |z|^2 + |e|^2 - 2 z.e and products in less than binary32 are not covered.
/// </para>
/// <para>
/// A kernel that takes the largest score s' with |s' - s| &lt;= B returns an i with s(i) + B(i) &gt;= s(j) - B(j) for
/// every
/// j: that is what <see cref="NearestRow.Admits"/> asks. Codes that are equal have equal scores in any kernel that
/// treats all codes alike, so only the lowest of them is admitted. If all numbers are so short that no order rounds
/// (integers, say), B is 0 and only the exact index is admitted.
/// </para>
/// </remarks>
public sealed partial class NearestReference
{
    private const double Epsilon64 = 1.2e-16; // 2^-53 and a little

    private readonly float[] _codes;
    private readonly double[] _padded;
    private readonly int _stride;
    private readonly double[] _squares;
    private readonly bool[] _isCandidate;
    private readonly int[] _first;
    private readonly int[] _previous;
    private readonly int _exponent;
    private readonly double _largest;

    /// <summary>Prepares a codebook.</summary>
    /// <param name="metric">What is least.</param>
    /// <param name="codes">[k, d], row-major; copied.</param>
    /// <param name="d">The dimension, at least 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">The dimension is less than 1.</exception>
    /// <exception cref="ArgumentException">The codes are not a multiple of the dimension.</exception>
    public NearestReference(NearestMetric metric, ReadOnlySpan<float> codes, int d)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(d, 1);
        Metric = metric;
        Dimension = d;
        Count = Check.Rows(codes, d);
        _codes = codes.ToArray();
        _stride = Stride(d);
        _padded = new double[Count * _stride];
        _squares = new double[Count];
        _isCandidate = new bool[Count];
        _first = new int[Count];
        _previous = new int[Count];
        var seen = new Dictionary<int, List<int>>();
        for (int j = 0; j < Count; j++)
        {
            ReadOnlySpan<float> code = Code(j);
            Span<double> wide = _padded.AsSpan(j * _stride, _stride);
            var hash = default(HashCode);
            bool isFinite = true;
            for (int i = 0; i < d; i++)
            {
                wide[i] = code[i];
                _squares[j] += wide[i] * wide[i];
                hash.Add(code[i] + 0f); // -0 and 0 are equal
                isFinite &= float.IsFinite(code[i]);
            }

            _isCandidate[j] = isFinite;
            _first[j] = j;
            _previous[j] = -1;
            List<int>? bucket = null;
            if (isFinite && !seen.TryGetValue(hash.ToHashCode(), out bucket))
            {
                seen[hash.ToHashCode()] = bucket = [];
            }

            int twin = bucket?.FindLastIndex(other => Equal(Code(other), Code(j))) ?? -1;
            if (twin >= 0)
            {
                _previous[j] = bucket![twin];
                _first[j] = _first[bucket[twin]];
                bucket[twin] = j; // the last of its kind stands for all
            }
            else
            {
                bucket?.Add(j);
            }
        }

        (_exponent, _largest) = Dyadic.Measure(codes);
    }

    /// <summary>What is least.</summary>
    public NearestMetric Metric { get; }

    /// <summary>The number k of codes.</summary>
    public int Count { get; }

    /// <summary>The dimension d.</summary>
    public int Dimension { get; }

    /// <summary>How far a binary32 score of one row and one code may be from the exact one.</summary>
    /// <param name="metric">Which score: z.e - |e|^2 / 2, z.e, or the cosine.</param>
    /// <param name="z">The row, [d].</param>
    /// <param name="e">The code, [d].</param>
    /// <returns>The bound, in the unit of the score; infinite outside the domain.</returns>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static double ScoreBound(NearestMetric metric, ReadOnlySpan<float> z, ReadOnlySpan<float> e)
    {
        Check.SameLength(z, e);
        double size = 0;
        double squareZ = 0;
        double squareE = 0;
        for (int i = 0; i < z.Length; i++)
        {
            size += Math.Abs((double)z[i] * e[i]);
            squareZ += (double)z[i] * z[i];
            squareE += (double)e[i] * e[i];
        }

        return Width(metric, z.Length, size, squareZ, squareE);
    }

    /// <summary>The same from the norms alone, as a kernel can afford it: sum |z e| is at most |z| |e|.</summary>
    /// <param name="metric">Which score.</param>
    /// <param name="d">The dimension.</param>
    /// <param name="normZ">The norm of the row, or more.</param>
    /// <param name="normE">The norm of the code, or more; the largest of all holds for all but the cosine.</param>
    /// <returns>The bound; never below the one from the components, for norms that are exact.</returns>
    public static double ScoreBound(NearestMetric metric, int d, double normZ, double normE) =>
        Width(metric, d, normZ * normE * (1 + 1e-12), normZ * normZ, normE * normE);

    /// <summary>Finds the nearest codes of one row.</summary>
    /// <param name="z">The row, [d].</param>
    /// <param name="top">How many codes, at least 1; where candidates run out, the rest is -1 with distance
    /// NaN.</param>
    /// <returns>The indices by distance, then by index, with their distances.</returns>
    /// <exception cref="ArgumentException">The row has not d numbers.</exception>
    /// <exception cref="ArgumentOutOfRangeException">None is asked for.</exception>
    public NearestRow Search(ReadOnlySpan<float> z, int top = 1)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(top, 1);
        Row row = Prepare(z);
        int[] index = new int[top];
        var distance = new Bounded[top];
        Array.Fill(index, -1);
        Array.Fill(distance, double.NaN);
        var all = new Interval[Count];
        var least = new List<(double Upper, int Index)>(top + 2);
        var leastExact = new List<double>(top + 1);
        var leastTwo = new List<double>(3);
        double width = 0;
        double error = 0;
        for (int j = 0; j < Count && row.IsFinite; j++)
        {
            if (_isCandidate[j])
            {
                all[j] = Measure(row, j);
                Insert(least, (all[j].Upper, j), top + 1);
                Insert(leastExact, all[j].Value + all[j].Error, top);
                Insert(leastTwo, all[j].Value, 2);
                width = Math.Max(width, all[j].Width);
                error = Math.Max(error, all[j].Error);
            }
        }

        if (least.Count > 0)
        {
            Rank(row, all, leastExact[^1], index);
        }

        int admitted = 0;
        for (int j = 0; j < Count && least.Count > 0; j++)
        {
            admitted += _isCandidate[j] && _previous[j] < 0 && all[j].Lower <= least[0].Upper ? 1 : 0;
        }

        for (int m = 0; m < top && index[m] >= 0; m++)
        {
            distance[m] = Distance(row, all[index[m]]);
        }

        return new NearestRow(
            this, row, index, distance, [.. least], row.IsShort ? 1 : admitted, Margin(row, leastTwo, width, error));
    }

    /// <summary>Finds the nearest codes of many rows.</summary>
    /// <param name="x">[n, d], row-major.</param>
    /// <param name="top">How many codes for each.</param>
    /// <returns>[n].</returns>
    /// <exception cref="ArgumentException">The rows are not a multiple of d.</exception>
    /// <exception cref="ArgumentOutOfRangeException">None is asked for.</exception>
    public NearestRow[] SearchAll(ReadOnlySpan<float> x, int top = 1)
    {
        var rows = new NearestRow[Check.Rows(x, Dimension)];
        for (int n = 0; n < rows.Length; n++)
        {
            rows[n] = Search(x.Slice(n * Dimension, Dimension), top);
        }

        return rows;
    }

    internal bool IsCandidate(int j) => j >= 0 && j < Count && _isCandidate[j];

    internal int Previous(int j) => _previous[j];

    /// <summary>The distance of any code, for a kernel that computes it from differences (L2) after the
    /// search.</summary>
    internal Bounded Distance(Row row, int j) =>
        row.IsFinite && IsCandidate(j) ? Distance(row, Measure(row, j)) : double.NaN;

    internal Interval Measure(Row row, int j)
    {
        ReadOnlySpan<double> e = _padded.AsSpan(j * _stride, _stride);
        (double sum, double size) = Sums(row.Wide, e, Metric == NearestMetric.L2);
        double roundings = (Dimension + 4) * Epsilon64;
        double value = Metric == NearestMetric.L2 ? sum : -sum;
        double error = roundings * (Metric == NearestMetric.L2 ? sum : size);
        double width = row.IsShort ? 0 : Width(Metric, Dimension, size, row.Square, _squares[j]);
        if (Metric == NearestMetric.Cosine)
        {
            if (row.Square == 0 || _squares[j] == 0)
            {
                return new Interval(1, 0, 0);
            }

            double norms = Math.Sqrt(row.Square) * Math.Sqrt(_squares[j]);
            value = 1 - (sum / norms);
            error = (2 * roundings * size / norms) + (4 * Epsilon64);
        }
        else if (row.IsShort64)
        {
            error = 0;
        }

        return new Interval(value, error, Metric == NearestMetric.L2 ? 2 * width : width);
    }

    private static double Width(NearestMetric metric, int d, double size, double squareZ, double squareE)
    {
        const double Most = float.MaxValue / 2;
        double lost = d * Bounded.LeastSubnormal;
        switch (metric)
        {
            case NearestMetric.L2:
                double norm = (Bounded.Gamma(2 * d) * squareE / 2) + Bounded.LeastSubnormal;
                return size + squareE <= Most
                    ? (Bounded.Gamma(d + 1) * size) + norm + lost
                    : double.PositiveInfinity;
            case NearestMetric.Dot:
                return size <= Most ? (Bounded.Gamma(d) * size) + lost : double.PositiveInfinity;
            default:
                if (squareZ == 0 || squareE == 0)
                {
                    return 0;
                }

                double z = Norm(d, squareZ);
                double e = Norm(d, squareE);
                double norms = Math.Sqrt(squareZ) * Math.Sqrt(squareE);
                double relative = ((1 + z) * (1 + e) * (1 + Bounded.Gamma(d))) - 1;
                double width = (relative * size / norms)
                    + (2 * lost * (1 + (1 / Math.Sqrt(squareZ))) * (1 + (1 / Math.Sqrt(squareE))));
                // A norm that is lost makes width NaN where all products are 0.
                return squareZ <= Most && squareE <= Most && !double.IsNaN(width) ? width : double.PositiveInfinity;
        }
    }

    /// <summary>The relative error of a component divided by the norm.</summary>
    private static double Norm(int d, double square)
    {
        double relative = Bounded.Gamma(d) + (d * Bounded.LeastSubnormal / square);
        return relative < 0.5 ? ((1 + Bounded.Gamma(3)) / Math.Sqrt(1 - relative)) - 1 : double.PositiveInfinity;
    }

    private static (double Sum, double Size) Sums(ReadOnlySpan<double> z, ReadOnlySpan<double> e, bool isDifference)
    {
        ReadOnlySpan<Vector<double>> a = MemoryMarshal.Cast<double, Vector<double>>(z);
        ReadOnlySpan<Vector<double>> b = MemoryMarshal.Cast<double, Vector<double>>(e);
        Vector<double> sum = Vector<double>.Zero;
        Vector<double> size = Vector<double>.Zero;
        if (isDifference)
        {
            for (int i = 0; i < a.Length; i++)
            {
                Vector<double> difference = a[i] - b[i];
                sum += difference * difference;
                size += Vector.Abs(a[i] * b[i]);
            }
        }
        else
        {
            for (int i = 0; i < a.Length; i++)
            {
                Vector<double> product = a[i] * b[i];
                sum += product;
                size += Vector.Abs(product);
            }
        }

        return (Vector.Sum(sum), Vector.Sum(size));
    }

    private static void Insert<T>(List<T> sorted, T value, int most)
    {
        if (sorted.Count == most && Comparer<T>.Default.Compare(sorted[^1], value) <= 0)
        {
            return;
        }

        int place = sorted.BinarySearch(value);
        sorted.Insert(place < 0 ? ~place : place, value);
        if (sorted.Count > most)
        {
            sorted.RemoveAt(most);
        }
    }

    private static int Stride(int d) => (d + Vector<double>.Count - 1) / Vector<double>.Count * Vector<double>.Count;

    private static bool Equal(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        for (int i = 0; i < a.Length; i++)
        {
            if (a[i] != b[i])
            {
                return false;
            }
        }

        return true;
    }

    private ReadOnlySpan<float> Code(int j) => _codes.AsSpan(j * Dimension, Dimension);

    private Row Prepare(ReadOnlySpan<float> z)
    {
        if (z.Length != Dimension)
        {
            throw new ArgumentException($"The row has {z.Length} numbers, not {Dimension}.", nameof(z));
        }

        double[] wide = new double[_stride];
        double square = 0;
        bool isFinite = true;
        for (int i = 0; i < z.Length; i++)
        {
            wide[i] = z[i];
            square += wide[i] * wide[i];
            isFinite &= float.IsFinite(z[i]);
        }

        (int exponent, double largest) = Dyadic.Measure(z);
        (int unit, double size) = Metric == NearestMetric.L2
            ? (2 * Math.Min(Math.Min(exponent, _exponent), 1000), (largest + _largest) * (largest + _largest))
            : (Math.Min(exponent, 1000) + Math.Min(_exponent, 1000), largest * _largest);
        size *= Dimension;
        bool canBeShort = Metric != NearestMetric.Cosine;
        // The half of |e|^2 needs one bit more.
        bool isShort = canBeShort && Dyadic.IsExact(size, unit - 1, 24);
        return new Row(wide, square, isFinite, isShort, canBeShort && Dyadic.IsExact(size, unit, 53));
    }

    private Bounded Distance(Row row, Interval of)
    {
        double bound = Metric switch
        {
            _ when row.IsShort => 0,
            NearestMetric.L2 => of.Value > float.MaxValue / 2
                ? double.PositiveInfinity
                : (Bounded.Gamma(Dimension + 2) * of.Value) + (Dimension * Bounded.LeastSubnormal),
            NearestMetric.Dot => of.Width,
            _ => of.Width == 0 ? 0 : of.Width + (2 * Bounded.UnitRoundoff * (of.Value + of.Width)),
        };
        return new Bounded(of.Value, bound + (of.Error * 1.01));
    }

    /// <summary>The second least distance less the least, as two scores of binary32 give it.</summary>
    /// <remarks>
    /// The largest of numbers that are each off by at most a bound is off by it, and so is the second largest. Their
    /// difference is rounded once; the cosine's is divided by the norm of the row then.
    /// </remarks>
    private Bounded Margin(Row row, List<double> least, double width, double error)
    {
        if (least.Count == 0)
        {
            return double.NaN;
        }

        double margin = least.Count == 1 ? double.PositiveInfinity : least[1] - least[0];
        if (!double.IsFinite(width))
        {
            return new Bounded(margin, double.PositiveInfinity);
        }

        if (least.Count == 1 || row.IsShort)
        {
            return new Bounded(margin, margin > float.MaxValue ? 0 : error);
        }

        double off = 2 * (width + error);
        double relative = Metric == NearestMetric.Cosine && row.Square > 0
            ? ((1 + Norm(Dimension, row.Square)) * (1 + Bounded.Gamma(1))) - 1
            : Bounded.Gamma(1);
        double bound = off + (relative * (margin + off)) + Bounded.LeastSubnormal;
        return new Bounded(margin, margin + bound > float.MaxValue / 2 ? double.PositiveInfinity : bound);
    }

    /// <summary>A row in binary64, padded with zeros.</summary>
    internal sealed record Row(double[] Wide, double Square, bool IsFinite, bool IsShort, bool IsShort64);

    /// <summary>A distance, the error of binary64, and how far a binary32 score may move it.</summary>
    [StructLayout(LayoutKind.Auto)]
    internal readonly record struct Interval(double Value, double Error, double Width)
    {
        internal double Lower => Value - Error - Width;

        internal double Upper => Value + Error + Width;
    }
}
