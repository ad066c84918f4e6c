namespace Kernels.References.VectorQuantization;

/// <summary>k-means: Lloyd's step, and the probabilities of k-means++.</summary>
/// <remarks>
/// Source: Lloyd 1982; Arthur, Vassilvitskii 2007, k-means++. A cluster without rows keeps its mean.
/// </remarks>
public static class KMeansReference
{
    /// <summary>The means of the rows of each code.</summary>
    /// <param name="x">The rows, [n, d].</param>
    /// <param name="codes">The codes before, [k, d].</param>
    /// <param name="index">The code of each row, [n]; -1 for a row that does not count.</param>
    /// <param name="d">The dimension.</param>
    /// <returns>The codes after, [k, d]; the bound holds for sums in any order, divided by n_k or times its
    /// reciprocal.</returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An index is below -1 or not below k.</exception>
    public static Bounded[] Means(ReadOnlySpan<float> x, ReadOnlySpan<float> codes, ReadOnlySpan<int> index, int d)
    {
        (Bounded[] sums, int[] counts) = SegmentSumReference.Evaluate(x, index, Check.Rows(codes, d), d);
        for (int j = 0; j < sums.Length; j++)
        {
            int count = counts[j / d];
            sums[j] = count == 0
                ? codes[j]
                : Bounded.Either(sums[j] / count, sums[j] * (Bounded.FromDouble(1) / count));
        }

        return sums;
    }

    /// <summary>One step of Lloyd's: nearest codes (L2), then their means.</summary>
    /// <param name="x">The rows, [n, d].</param>
    /// <param name="codes">The codes before, [k, d].</param>
    /// <param name="d">The dimension.</param>
    /// <returns>The exact index [n], the codes after [k, d], and the sum of the squared distances before.</returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    public static (int[] Index, Bounded[] Codes, double Error) Step(
        ReadOnlySpan<float> x, ReadOnlySpan<float> codes, int d)
    {
        NearestRow[] rows = new NearestReference(NearestMetric.L2, codes, d).SearchAll(x);
        int[] index = Array.ConvertAll(rows, row => row.Index[0]);
        double error = rows.Where(row => row.Index[0] >= 0).Sum(row => row.Distance[0].Value);
        return (index, Means(x, codes, index, d), error);
    }

    /// <summary>The probability of each row to be the next centre: D^2 / sum D^2, D the distance to the nearest so
    /// far.</summary>
    /// <param name="x">The rows, [n, d].</param>
    /// <param name="centres">The centres so far, [c, d]; none for the first.</param>
    /// <param name="d">The dimension.</param>
    /// <returns>
    /// [n], with sum 1: equal if there is no centre, or if every row is one. 0 for a row that is not finite, unless
    /// none is.
    /// The bound holds for distances from differences, and a sum in any order.
    /// </returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    public static Bounded[] NextCentre(ReadOnlySpan<float> x, ReadOnlySpan<float> centres, int d)
    {
        int n = Check.Rows(x, d);
        var squares = new Bounded[n];
        if (centres.IsEmpty)
        {
            // Rows that are not finite are told apart by a centre; any will do.
            NearestRow[] any = new NearestReference(NearestMetric.L2, new float[d], d).SearchAll(x);
            squares = Array.ConvertAll(any, row => Bounded.FromDouble(row.Index[0] < 0 ? 0 : 1));
        }
        else
        {
            NearestRow[] rows = new NearestReference(NearestMetric.L2, centres, d).SearchAll(x);
            squares = Array.ConvertAll(rows, row => row.Index[0] < 0 ? 0 : row.Distance[0]);
            if (squares.All(square => square.Value == 0))
            {
                squares = Array.ConvertAll(rows, row => Bounded.FromDouble(row.Index[0] < 0 ? 0 : 1));
            }
        }

        if (squares.All(square => square.Value == 0))
        {
            Array.Fill(squares, 1);
        }

        Bounded total = Bounded.Sum(squares);
        return Array.ConvertAll(squares, square => square / total);
    }

    /// <summary>The row that a uniform number picks: the first whose cumulated probability exceeds it.</summary>
    /// <param name="probabilities">[n].</param>
    /// <param name="uniform">In [0, 1).</param>
    /// <param name="index">The row that a binary32 computation picked.</param>
    /// <returns>Whether it is that row, or one that the bounds allow instead. A row of probability 0 never
    /// is.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The number is not in [0, 1).</exception>
    public static bool AdmitsPick(ReadOnlySpan<Bounded> probabilities, double uniform, int index)
    {
        Check.Fraction(uniform);
        if (index < 0 || index >= probabilities.Length || probabilities[index] is { Value: 0, Bound: 0 })
        {
            return false;
        }

        double before = 0;
        double error = 0;
        foreach (Bounded probability in probabilities)
        {
            error += probability.Bound;
        }

        error += Bounded.Gamma(probabilities.Length + 2);
        for (int i = 0; i < index; i++)
        {
            before += probabilities[i].Value;
        }

        return before <= uniform + error && before + probabilities[index].Value > uniform - error;
    }
}
