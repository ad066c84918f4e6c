namespace Kernels.References.VectorQuantization;

/// <summary>A codebook as moving means of the rows that chose each code.</summary>
/// <remarks>
/// Source: van den Oord et al. 2017, arXiv:1711.00937, appendix A; Laplace smoothing and order of steps as
/// lucidrains/vector-quantize-pytorch. With count n_k and sum s_k of this batch, c the cluster sizes and a the sums:
/// c = decay c + (1 - decay) n, a = decay a + (1 - decay) s, T = sum c,
/// size_k = (c_k + epsilon) / (T + K epsilon) T, e_k = a_k / size_k.
/// <para>
/// A batch without a row that counts changes nothing. A code whose size is 0 keeps its place.
/// </para>
/// <para>
/// Bound: running error analysis. The moving means may be computed as two products or as c + (1 - decay) (n - c), with
/// both weights rounded once; T in any order; the quotient in any grouping of its factors.
/// </para>
/// </remarks>
public sealed class EmaReference
{
    private readonly double _decay;
    private readonly double _epsilon;

    /// <summary>The rule.</summary>
    /// <param name="decay">The weight of the past, in [0, 1].</param>
    /// <param name="epsilon">What Laplace smoothing adds to each size, in rows.</param>
    /// <exception cref="ArgumentOutOfRangeException">The decay is not in [0, 1], or epsilon is negative.</exception>
    public EmaReference(double decay = 0.8, double epsilon = 1e-5)
    {
        _decay = decay is >= 0 and <= 1
            ? decay
            : throw new ArgumentOutOfRangeException(nameof(decay), decay, "Must be in [0, 1].");
        _epsilon = Check.NotNegative(epsilon);
    }

    /// <summary>One update.</summary>
    /// <param name="codes">The codes before, [k, d].</param>
    /// <param name="clusterSize">The moving counts c, [k].</param>
    /// <param name="clusterSum">The moving sums a, [k, d].</param>
    /// <param name="x">The rows of this batch, [n, d].</param>
    /// <param name="index">The code of each row, [n]; -1 for a row that does not count.</param>
    /// <returns>The codes, sizes and sums after the update.</returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An index is below -1 or not below k.</exception>
    public (Bounded[] Codes, Bounded[] ClusterSize, Bounded[] ClusterSum) Update(
        ReadOnlySpan<float> codes, ReadOnlySpan<float> clusterSize, ReadOnlySpan<float> clusterSum,
        ReadOnlySpan<float> x, ReadOnlySpan<int> index)
    {
        int k = clusterSize.Length;
        int d = k == 0 ? 1 : codes.Length / k;
        Check.Length(codes, k * d);
        Check.SameLength(codes, clusterSum);
        (Bounded[] sums, int[] counts) = SegmentSumReference.Evaluate(x, index, k, d);
        Bounded[] newCodes = Widen(codes);
        Bounded[] newSize = Widen(clusterSize);
        Bounded[] newSum = Widen(clusterSum);
        if (counts.Sum() == 0)
        {
            return (newCodes, newSize, newSum);
        }

        for (int j = 0; j < k; j++)
        {
            newSize[j] = Move(newSize[j], counts[j]);
        }

        for (int j = 0; j < newSum.Length; j++)
        {
            newSum[j] = Move(newSum[j], sums[j]);
        }

        Bounded total = Bounded.Sum(newSize);
        Bounded smoothedTotal = total + Bounded.Rounded(k * _epsilon);
        for (int j = 0; j < newCodes.Length; j++)
        {
            Bounded size = (newSize[j / d] + Bounded.Rounded(_epsilon)) / smoothedTotal * total;
            if (total.Value == 0 || size.Value == 0)
            {
                continue;
            }

            // The bound is infinite where the size may come to 0, and the code then keeps its place.
            Bounded code = newSum[j] / size;
            // Another grouping has a rounding or two more.
            newCodes[j] = code with
            {
                Bound = code.Bound + (Bounded.Gamma(4) * Math.Abs(code.Value)) + (2 * Bounded.LeastSubnormal),
            };
        }

        return (newCodes, newSize, newSum);
    }

    private static Bounded[] Widen(ReadOnlySpan<float> values)
    {
        var wide = new Bounded[values.Length];
        for (int i = 0; i < wide.Length; i++)
        {
            wide[i] = values[i];
        }

        return wide;
    }

    private Bounded Move(Bounded old, Bounded now)
    {
        var fresh = Bounded.Rounded(1 - _decay);
        return Bounded.Either(
            (Bounded.Rounded(_decay) * old) + (fresh * now),
            old + (fresh * (now - old)));
    }
}
