namespace Kernels.References.Quantization;

/// <content>Whole runs of Lloyd's steps in binary32.</content>
public static partial class CodebookFitReference
{
    /// <summary>Lloyd's steps in binary32 from quantiles of at most max(256, 4 k) numbers that lie evenly.</summary>
    /// <param name="w">The numbers; those that are not finite count as 0 for the start, and not at all for
    /// steps.</param>
    /// <param name="k">The number of codes.</param>
    /// <param name="iterations">How many steps.</param>
    /// <param name="h">The weight of each number; one that is not above 0 does not count. All 1 if empty.</param>
    /// <returns>
    /// The codes [k], ascending; all out of the domain if a rounding may have given a number to another code than
    /// without it. A code moves to c + (sum h (w - c)) / (sum h), which is the mean whatever is off in c: with n terms
    /// in any order it is within gamma(n + 1) + gamma(n - 1) + u, at most gamma(3 n + 6), of sum h |w - c| / sum h, but
    /// for underflow, and a rounding of the sum.
    /// </returns>
    /// <exception cref="ArgumentOutOfRangeException">There are too few codes.</exception>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    public static Bounded[] Lloyd(ReadOnlySpan<float> w, int k, int iterations, ReadOnlySpan<float> h = default)
    {
        if (!h.IsEmpty)
        {
            Check.SameLength(w, h);
        }

        int samples = Math.Min(w.Length, Math.Max(256, 4 * k));
        var start = new float[samples];
        for (int i = 0; i < samples; i++)
        {
            float number = w[(int)(((2L * i) + 1) * w.Length / (2L * samples))];
            start[i] = float.IsFinite(number) ? number : 0;
        }

        Bounded[] codes = samples == 0 ? new Bounded[k] : CodebooksReference.Quantiles(start, k);
        for (int iteration = 0; iteration < iterations; iteration++)
        {
            if (!TryStep(w, h, codes))
            {
                Array.Fill(codes, new Bounded(0, double.PositiveInfinity));
                break;
            }
        }

        return codes;
    }

    /// <summary>Whether it is certain which numbers move which code; they are moved then.</summary>
    private static bool TryStep(ReadOnlySpan<float> w, ReadOnlySpan<float> h, Bounded[] codes)
    {
        // The first of equal codes, and the middles between different ones.
        var different = new List<int> { 0 };
        var middles = new List<Bounded>();
        for (int code = 0; code < codes.Length; code++)
        {
            Bounded below = codes[different[^1]];
            if (codes[code] == below && below.Bound == 0)
            {
                continue;
            }

            if (code > 0)
            {
                if (!(codes[code].Value - below.Value > below.Bound + codes[code].Bound))
                {
                    return false;
                }

                different.Add(code);
                middles.Add(AssignReference.Middle(below, codes[code]));
            }
        }

        var sums = new Moves[different.Count];
        for (int i = 0; i < w.Length; i++)
        {
            double weight = h.IsEmpty ? 1 : h[i];
            if (!float.IsFinite(w[i]) || !(weight > 0))
            {
                continue;
            }

            int place = 0;
            foreach (Bounded middle in middles)
            {
                bool isAbove = w[i] > middle.Value + middle.Bound;
                if (!isAbove && !(w[i] <= middle.Value - middle.Bound))
                {
                    return false;
                }

                place += isAbove ? 1 : 0;
            }

            sums[place].Add(w[i], weight, codes[different[place]]);
        }

        for (int place = 0; place < sums.Length; place++)
        {
            codes[different[place]] = sums[place].Move(codes[different[place]]);
        }

        Order(codes);
        return Array.TrueForAll(codes, code => code.IsInDomain);
    }

    /// <summary>Ascending; where it is not certain which is the greater of two, each may be off by as much as
    /// any.</summary>
    private static void Order(Bounded[] codes)
    {
        Array.Sort(codes, (a, b) => a.Value.CompareTo(b.Value));
        bool isCertain = true;
        double most = double.NegativeInfinity;
        double largest = 0;
        foreach (Bounded code in codes)
        {
            isCertain &= code.Value - code.Bound >= most;
            most = Math.Max(most, code.Value + code.Bound);
            largest = Math.Max(largest, code.Bound);
        }

        for (int code = 0; code < codes.Length && !isCertain; code++)
        {
            codes[code] = codes[code] with { Bound = largest };
        }
    }

    /// <summary>What moves a code.</summary>
    private struct Moves
    {
        private double _weight;
        private double _sum;
        private double _size;
        private int _count;

        internal void Add(double w, double h, Bounded code)
        {
            _weight += h;
            _sum += h * (w - code.Value);
            _size += h * (Math.Abs(w - code.Value) + code.Bound);
            _count++;
        }

        internal readonly Bounded Move(Bounded code)
        {
            if (_count == 0 || _size == 0)
            {
                return code;
            }

            double size = _size / _weight;
            double roundings = (Bounded.Gamma((3 * _count) + 6) * size)
                + ((((4 * _count) / _weight) + 2) * Bounded.LeastSubnormal) + (_count * 1e-15 * size);
            double mean = code.Value + (_sum / _weight);
            double bound = roundings + (Bounded.UnitRoundoff * (1 + 1e-6) * (Math.Abs(mean) + roundings));
            const double Most = float.MaxValue / 4;
            return new Bounded(
                mean, _size < Most && _weight < Most && size < Most && Math.Abs(mean) < Most
                    ? bound
                    : double.PositiveInfinity);
        }
    }
}
