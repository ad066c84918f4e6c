namespace Kernels.References.Quantization;

/// <content>The exact fit by dynamic programming, and how far one in binary64 may be from it.</content>
public static partial class CodebookFitReference
{
    /// <summary>The best codebook of k numbers.</summary>
    /// <param name="w">The numbers, finite.</param>
    /// <param name="k">The number of codes.</param>
    /// <param name="h">The weight of each number, finite and not negative; all 1 if empty.</param>
    /// <returns>
    /// The codes [k], ascending, the code of each number, and sum h (w - c)^2, the least there is. Equal numbers have
    /// one code. If less than k different numbers have a weight, the last code is repeated. A number without weight
    /// has the nearest code. O(k n log n).
    /// </returns>
    /// <exception cref="ArgumentOutOfRangeException">There are too few codes.</exception>
    /// <exception cref="ArgumentException">A length does not fit, a number is not such, or none has a
    /// weight.</exception>
    public static (double[] Codebook, int[] Index, double Error) Exact(
        ReadOnlySpan<float> w, int k, ReadOnlySpan<float> h = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 1);
        CheckWeights(w, h);
        var points = new Points(w, h);
        int used = Math.Min(k, points.Count);
        int[] ends = points.Partition(used);
        double[] codebook = new double[k];
        double error = 0;
        for (int code = 0; code < k; code++)
        {
            codebook[code] = code < used ? points.Mean(ends[code], ends[code + 1]) : codebook[used - 1];
            error += code < used ? points.Cost(ends[code], ends[code + 1]) : 0;
        }

        var index = new int[w.Length];
        for (int i = 0; i < index.Length; i++)
        {
            int point = points.Find(w[i]);
            index[i] = point >= 0 ? CodeOf(point) : Nearest(codebook, w[i]);
        }

        return (codebook, index, error);

        int CodeOf(int point)
        {
            int code = 0;
            while (point >= ends[code + 1])
            {
                code++;
            }

            return code;
        }
    }

    /// <summary>How far an exact fit in binary64 may be from the least error.</summary>
    /// <param name="w">The numbers, finite.</param>
    /// <param name="k">The number of codes.</param>
    /// <param name="h">The weight of each number, finite and not negative; all 1 if empty.</param>
    /// <returns>The most by which the error that it states may differ, and by which the error of its codebook in
    /// binary32 may be greater.</returns>
    /// <exception cref="ArgumentException">A length does not fit, or a number is not such.</exception>
    /// <remarks>
    /// For costs of parts from running sums of h, h d and h d^2, which keep what roundings leave off; d is the distance
    /// to the mean. With u = 2^-53, W = sum h, V = sum h d^2, m the least weight of a number and up to c equal ones,
    /// sums are within q W, q sqrt(W V) and q V for q = (7 + c) u. A cost A - B^2 / C has C at least m, B^2 at most C V
    /// and B^2 / C at most V, so with r = W / m it is within e = q V (6 + 4 sqrt(r) + 2 r) &lt;= 12 q r V, for q r up
    /// to 1/2. Of n numbers L = log2 n + 1 halvings say where a part begins; by each, costs that are off may miss a
    /// start that is better by 4 e, since exact ones satisfy the quadrangle inequality. So k parts state the error
    /// within k e (1 + 4 L), and cost at most k e (2 + 4 L) more than the least. A mean is off by as much as costs 2 e,
    /// and its rounding to binary32 by as much as costs W (2^-24 |c|)^2, twice for both together.
    /// </remarks>
    public static (double Stated, double Codebook) ExactSlack(
        ReadOnlySpan<float> w, int k, ReadOnlySpan<float> h = default)
    {
        CheckWeights(w, h);
        (double weight, double moment, double largest, double least) = (0, 0, 0, double.PositiveInfinity);
        var counts = new Dictionary<float, int>();
        for (int i = 0; i < w.Length; i++)
        {
            double own = h.IsEmpty ? 1 : h[i];
            if (own > 0)
            {
                weight += own;
                moment += own * w[i];
                largest = Math.Max(largest, Math.Abs(w[i]));
                least = Math.Min(least, own);
                counts[w[i]] = counts.GetValueOrDefault(w[i]) + 1;
            }
        }

        const double Unit = 1.0 / (1L << 53);
        double centre = moment / weight;
        double lost = (w.Length + 2) * Unit * largest;
        double spread = weight * lost * lost;
        for (int i = 0; i < w.Length; i++)
        {
            spread += (h.IsEmpty ? 1 : h[i]) * (w[i] - centre) * (w[i] - centre);
        }

        // Counts are exact sums.
        double q = (7 + (h.IsEmpty ? 0 : counts.Values.Max())) * Unit * (weight / least);
        double cost = q > 0.5 ? double.PositiveInfinity : 12 * q * spread;
        double halvings = Math.Log2(counts.Count) + 1;
        double rounding = (Bounded.UnitRoundoff * largest * (1 + 1e-6)) + Bounded.LeastSubnormal;
        return (k * cost * (1 + (4 * halvings)),
            (k * cost * (4 + (4 * halvings))) + (2 * weight * rounding * rounding));
    }

    /// <summary>The different numbers that have a weight, ascending, with prefix sums of their distances to the
    /// mean.</summary>
    private sealed class Points
    {
        private readonly List<float> _values = [];
        private readonly DoubleDouble[] _weight;
        private readonly DoubleDouble[] _first;
        private readonly DoubleDouble[] _second;
        private readonly double _centre;

        internal Points(ReadOnlySpan<float> w, ReadOnlySpan<float> h)
        {
            float[] sorted = w.ToArray();
            float[] weights = h.IsEmpty ? [.. Enumerable.Repeat(1f, w.Length)] : h.ToArray();
            Array.Sort(sorted, weights);
            var sums = new List<DoubleDouble>();
            DoubleDouble total = 0;
            DoubleDouble moment = 0;
            for (int i = 0; i < sorted.Length; i++)
            {
                if (weights[i] == 0)
                {
                    continue;
                }

                if (_values.Count == 0 || _values[^1] != sorted[i])
                {
                    _values.Add(sorted[i]);
                    sums.Add(0);
                }

                sums[^1] += weights[i];
                total += weights[i];
                moment += (double)weights[i] * sorted[i];
            }

            if (_values.Count == 0)
            {
                throw new ArgumentException("No number has a weight.", nameof(w));
            }

            _centre = (moment / total).High;
            _weight = new DoubleDouble[Count + 1];
            _first = new DoubleDouble[Count + 1];
            _second = new DoubleDouble[Count + 1];
            for (int i = 0; i < Count; i++)
            {
                DoubleDouble distance = (DoubleDouble)_values[i] - _centre;
                DoubleDouble product = sums[i] * distance;
                _weight[i + 1] = _weight[i] + sums[i];
                _first[i + 1] = _first[i] + product;
                _second[i + 1] = _second[i] + (product * distance);
            }
        }

        internal int Count => _values.Count;

        internal int Find(float value) => _values.BinarySearch(value) is >= 0 and int place ? place : -1;

        internal double Mean(int start, int end) => end - start == 1
            ? _values[start]
            : Math.Clamp(
                (((_first[end] - _first[start]) / (_weight[end] - _weight[start])) + _centre).High, _values[start],
                _values[end - 1]);

        internal double Cost(int start, int end)
        {
            if (end - start <= 1)
            {
                return 0;
            }

            DoubleDouble first = _first[end] - _first[start];
            return Math.Max(
                0, (_second[end] - _second[start] - (first * first / (_weight[end] - _weight[start]))).High);
        }

        /// <summary>The ends of the k parts of least cost: [k + 1], from 0.</summary>
        internal int[] Partition(int k)
        {
            // least[j]: of the first j points in so many parts. The best start of the last part does not fall with j,
            // so that its place for the middle j bounds those on both sides.
            double[] least = [.. Enumerable.Range(0, Count + 1).Select(end => Cost(0, end))];
            var starts = new int[k][];
            for (int part = 1; part < k; part++)
            {
                double[] next = new double[Count + 1];
                starts[part] = new int[Count + 1];
                Divide(part, least, next, (part + 1, Count), (part, Count - 1));
                least = next;
            }

            var ends = new int[k + 1];
            ends[k] = Count;
            for (int part = k - 1; part > 0; part--)
            {
                ends[part] = starts[part][ends[part + 1]];
            }

            return ends;

            void Divide(int part, double[] from, double[] to, (int First, int Last) ends, (int First, int Last) range)
            {
                if (ends.First > ends.Last)
                {
                    return;
                }

                int end = (ends.First + ends.Last) / 2;
                int best = -1;
                double value = double.PositiveInfinity;
                for (int start = range.First; start <= Math.Min(range.Last, end - 1); start++)
                {
                    double cost = from[start] + Cost(start, end);
                    if (cost < value)
                    {
                        (value, best) = (cost, start);
                    }
                }

                to[end] = value;
                starts[part][end] = best;
                Divide(part, from, to, (ends.First, end - 1), (range.First, best));
                Divide(part, from, to, (end + 1, ends.Last), (best, range.Last));
            }
        }
    }
}
