namespace Kernels.Quantization;

/// <summary>The best codebook of single numbers, by dynamic programming over the different numbers in ascending
/// order.</summary>
/// <remarks>
/// Source: Wu 1991; Wang, Song 2011, Ckmeans.1d.dp. The best first number of the last part does not fall with the end, so
/// that its place for the middle end bounds those on both sides: O(k n log n). Sums are of distances to the mean, in binary64
/// with the running sum's roundings kept.
/// </remarks>
internal sealed class ExactFit
{
    private readonly float[] _values;
    private readonly double[] _weight;
    private readonly double[] _first;
    private readonly double[] _second;
    private readonly double _centre;
    private double[] _from = [];
    private double[] _to = [];

    internal ExactFit(ReadOnlySpan<float> w, ReadOnlySpan<float> h)
    {
        float[] sorted = w.ToArray();
        float[] weights = h.IsEmpty ? [] : h.ToArray();
        if (h.IsEmpty)
        {
            Array.Sort(sorted);
        }
        else
        {
            Array.Sort(sorted, weights);
        }

        int count = 0;
        var mass = new double[sorted.Length];
        (double total, double moment) = (0, 0);
        for (int i = 0; i < sorted.Length; i++)
        {
            double weight = h.IsEmpty ? 1 : weights[i];
            if (weight == 0)
            {
                continue;
            }

            if (count == 0 || sorted[count - 1] != sorted[i])
            {
                sorted[count++] = sorted[i];
            }

            mass[count - 1] += weight;
            total += weight;
            moment += weight * sorted[i];
        }

        if (count == 0)
        {
            throw new ArgumentException("No number has a weight.", nameof(w));
        }

        _values = sorted[..count];
        _centre = moment / total;
        _weight = new double[count + 1];
        _first = new double[count + 1];
        _second = new double[count + 1];
        (double restWeight, double restFirst, double restSecond) = (0, 0, 0);
        for (int i = 0; i < count; i++)
        {
            double distance = _values[i] - _centre;
            _weight[i + 1] = Add(_weight[i], mass[i], ref restWeight);
            _first[i + 1] = Add(_first[i], mass[i] * distance, ref restFirst);
            _second[i + 1] = Add(_second[i], mass[i] * distance * distance, ref restSecond);
        }
    }

    private int Count => _values.Length;

    /// <summary>The codes, and their error.</summary>
    internal (float[] Codebook, double Error) Codebook(int codes)
    {
        int used = Math.Min(codes, Count);
        int[] ends = Ends(used);
        var codebook = new float[codes];
        double error = 0;
        for (int code = 0; code < codes; code++)
        {
            codebook[code] = code < used ? Mean(ends[code], ends[code + 1]) : codebook[used - 1];
            error += code < used ? Cost(ends[code], ends[code + 1]) : 0;
        }

        return (codebook, error);
    }

    /// <summary>The running sum; what roundings left off is added with the next number.</summary>
    private static double Add(double sum, double number, ref double rest)
    {
        number += rest;
        double next = sum + number;
        double part = next - sum;
        rest = sum - (next - part) + (number - part);
        return next;
    }

    /// <summary>The mean of a part; in it also where numbers are so much closer than the mean of all that the difference of
    /// running sums says nothing. So codes ascend.</summary>
    private float Mean(int start, int end) => end - start == 1
        ? _values[start]
        : Math.Clamp(
            (float)(((_first[end] - _first[start]) / (_weight[end] - _weight[start])) + _centre), _values[start],
            _values[end - 1]);

    private double Cost(int start, int end)
    {
        if (end - start <= 1)
        {
            return 0;
        }

        double first = _first[end] - _first[start];
        return Math.Max(0, _second[end] - _second[start] - (first * first / (_weight[end] - _weight[start])));
    }

    /// <summary>The ends of the parts of least cost: [parts + 1], from 0.</summary>
    private int[] Ends(int parts)
    {
        // Of the first j numbers in so many parts, the least cost.
        _from = new double[Count + 1];
        _to = new double[Count + 1];
        for (int end = 0; end <= Count; end++)
        {
            _from[end] = Cost(0, end);
        }

        var starts = new int[parts][];
        for (int part = 1; part < parts; part++)
        {
            starts[part] = new int[Count + 1];
            Divide(starts[part], part + 1, Count, part, Count - 1);
            (_from, _to) = (_to, _from);
        }

        var ends = new int[parts + 1];
        ends[parts] = Count;
        for (int part = parts - 1; part > 0; part--)
        {
            ends[part] = starts[part][ends[part + 1]];
        }

        return ends;
    }

    private void Divide(int[] starts, int firstEnd, int lastEnd, int first, int last)
    {
        if (firstEnd > lastEnd)
        {
            return;
        }

        int end = firstEnd + ((lastEnd - firstEnd) / 2);
        int best = first;
        double least = double.PositiveInfinity;
        for (int start = first; start <= Math.Min(last, end - 1); start++)
        {
            double cost = _from[start] + Cost(start, end);
            if (cost < least)
            {
                (least, best) = (cost, start);
            }
        }

        _to[end] = least;
        starts[end] = best;
        Divide(starts, firstEnd, end - 1, first, best);
        Divide(starts, end + 1, lastEnd, best, last);
    }
}
