using System.Numerics;

namespace Kernels.References.VectorQuantization;

/// <content>Codes that binary64 does not tell apart, in exact integers.</content>
public sealed partial class NearestReference
{
    /// <summary>The exact order of all codes that may be among the first.</summary>
    private void Rank(Row row, Interval[] all, double limit, int[] index)
    {
        var keys = new Dictionary<int, (BigInteger, BigInteger)>();
        int Compare(int i, int j)
        {
            if (_first[i] == _first[j])
            {
                return i.CompareTo(j);
            }

            if (all[i].Value + all[i].Error < all[j].Value - all[j].Error)
            {
                return -1;
            }

            if (all[j].Value + all[j].Error < all[i].Value - all[i].Error)
            {
                return 1;
            }

            int order = all[i].Error == 0 && all[j].Error == 0 ? 0 : Order(Key(_first[i]), Key(_first[j]));
            return order == 0 ? i.CompareTo(j) : order;
        }

        (BigInteger, BigInteger) Key(int j)
        {
            if (!keys.TryGetValue(j, out (BigInteger, BigInteger) key))
            {
                keys[j] = key = ExactKey(row, j);
            }

            return key;
        }

        var candidates = new List<int>();
        for (int j = 0; j < Count; j++)
        {
            if (_isCandidate[j] && all[j].Value - all[j].Error <= limit)
            {
                candidates.Add(j);
            }
        }

        if (index.Length == 1)
        {
            int best = candidates[0];
            foreach (int j in candidates)
            {
                best = Compare(j, best) < 0 ? j : best;
            }

            index[0] = best;
            return;
        }

        candidates.Sort(Compare);
        for (int m = 0; m < index.Length && m < candidates.Count; m++)
        {
            index[m] = candidates[m];
        }
    }

    /// <summary>L2 and dot: the distance in units of 2^-298. Cosine: sign (z.e)^2, and |e|^2.</summary>
    private (BigInteger Value, BigInteger Square) ExactKey(Row row, int j)
    {
        BigInteger value = 0;
        BigInteger square = 0;
        for (int i = 0; i < Dimension; i++)
        {
            BigInteger a = Dyadic.Integer(row.Wide[i]);
            BigInteger b = Dyadic.Integer(_padded[(j * _stride) + i]);
            value += Metric == NearestMetric.L2 ? (a - b) * (a - b) : -(a * b);
            square += b * b;
        }

        return Metric == NearestMetric.Cosine
            ? (value * BigInteger.Abs(value), square.IsZero ? BigInteger.One : square)
            : (value, BigInteger.One);
    }

    private static int Order((BigInteger Value, BigInteger Square) a, (BigInteger Value, BigInteger Square) b) =>
        (a.Value * b.Square).CompareTo(b.Value * a.Square);
}
