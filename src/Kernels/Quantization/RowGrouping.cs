using Kernels.Host;
using Kernels.Validation;

namespace Kernels.Quantization;

/// <summary>Rows (neurons) of similar distribution together, so that a group of them can share a scale or a
/// codebook.</summary>
/// <remarks>
/// Source: JLCM, arXiv:2309.17361, which groups neurons by a re-ordering that needs no mapping, but does not say by what.
/// Ours: a row is described by some of its quantiles, and the distance of two rows is that of their vectors of quantiles, for
/// many quantiles the Wasserstein-2 distance of their distributions over the square root of their number. Groups are clusters
/// of k-means (Lloyd 1982) that start as equal parts of the rows in the order of their spread, the root mean square of the
/// quantiles about their mean. They lie in the order of their centres' spread, and a group has its rows in their old order.
/// In binary64, with ties for the lower group: the result is a function of the matrix alone.
/// </remarks>
public sealed class RowGrouping
{
    private const int MostIterations = 100;

    private readonly int[] _permutation;
    private readonly int[] _boundaries;

    private RowGrouping(int[] permutation, int[] boundaries)
    {
        _permutation = permutation;
        _boundaries = boundaries;
    }

    /// <summary>Where rows come from, [rows]: row i after is row p[i] before, see <see cref="Permute"/>.</summary>
    public ReadOnlySpan<int> Permutation => _permutation;

    /// <summary>The first row of each group after, and the number of rows, [groups + 1], for
    /// <see cref="WeightScope.Groups"/>.</summary>
    public ReadOnlySpan<int> Boundaries => _boundaries;

    /// <summary>Groups the rows of a matrix in the host's memory, on all of its cores.</summary>
    /// <param name="w">[rows, columns], row-major, finite.</param>
    /// <param name="columns">The number of columns, at least 1.</param>
    /// <param name="groups">The number of groups, 1 to rows; none is empty.</param>
    /// <param name="quantiles">By how many quantiles rows are compared, 1 to 256.</param>
    /// <returns>The groups.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A number is out of range.</exception>
    /// <exception cref="ArgumentException">These are not whole rows, or a number is not finite.</exception>
    public static unsafe RowGrouping Group(ReadOnlySpan<float> w, int columns, int groups, int quantiles = 16)
    {
        Require.AtLeast(columns, 1);
        Require.InRange(quantiles, 1, 257);
        if (w.Length % columns != 0)
        {
            throw new ArgumentException($"The length must be a multiple of {columns}, and is {w.Length}.", nameof(w));
        }

        int rows = w.Length / columns;
        Require.InRange(groups, 1, rows + 1.0);
        foreach (float number in w)
        {
            if (!float.IsFinite(number))
            {
                throw new ArgumentException($"The numbers must be finite, and one is {number}.", nameof(w));
            }
        }

        var features = new double[rows * quantiles];
        fixed (float* weights = w)
        fixed (double* all = features)
        {
            var work = new QuantileWork { Weights = weights, Features = all, Columns = columns, Quantiles = quantiles };
            HostPool.Run(work, rows, 1, Environment.ProcessorCount);
        }

        return new Clusters(features, rows, quantiles, groups).Grouping();
    }

    /// <summary>The permutation that undoes one.</summary>
    /// <param name="permutation">[n].</param>
    /// <returns>[n].</returns>
    /// <exception cref="ArgumentException">This is no permutation.</exception>
    public static int[] Inverse(ReadOnlySpan<int> permutation)
    {
        Check(permutation);
        var inverse = new int[permutation.Length];
        for (int i = 0; i < inverse.Length; i++)
        {
            inverse[permutation[i]] = i;
        }

        return inverse;
    }

    /// <summary>Every number from 0 on is there once.</summary>
    internal static void Check(ReadOnlySpan<int> permutation)
    {
        if (permutation.IsEmpty)
        {
            throw new ArgumentException("The permutation must have a number.", nameof(permutation));
        }

        var seen = new bool[permutation.Length];
        foreach (int i in permutation)
        {
            if (i < 0 || i >= seen.Length || seen[i])
            {
                throw new ArgumentException(
                    $"Every number from 0 to {seen.Length - 1} must be there once; {i} is not.", nameof(permutation));
            }

            seen[i] = true;
        }
    }

    /// <summary>The quantiles of rows, as of <see cref="Codebooks.Quantiles"/> but not rounded; a unit is a row.</summary>
    private unsafe struct QuantileWork : IHostWork
    {
        internal float* Weights;
        internal double* Features;
        internal int Columns;
        internal int Quantiles;

        public readonly void Run(long begin, long end)
        {
            var sorted = new float[Columns];
            for (long row = begin; row < end; row++)
            {
                new ReadOnlySpan<float>(Weights + (row * Columns), Columns).CopyTo(sorted);
                Array.Sort(sorted);
                for (int j = 0; j < Quantiles; j++)
                {
                    Features[(row * Quantiles) + j] = Codebooks.Quantile(sorted, j, Quantiles);
                }
            }
        }
    }

    /// <summary>K-means of rows.</summary>
    private sealed class Clusters(double[] features, int rows, int length, int groups)
    {
        private readonly int[] _groupOf = new int[rows];
        private readonly int[] _nearest = new int[rows];
        private readonly double[] _centres = new double[groups * length];
        private readonly int[] _counts = new int[groups];

        internal RowGrouping Grouping()
        {
            int[] bySpread = [.. Enumerable.Range(0, rows).OrderBy(row => Spread(Row(row)))];
            for (int place = 0; place < rows; place++)
            {
                _groupOf[bySpread[place]] = (int)((long)place * groups / rows);
            }

            Centre();
            for (int iteration = 0; iteration < MostIterations; iteration++)
            {
                for (int row = 0; row < rows; row++)
                {
                    _nearest[row] = Nearest(row);
                }

                Fill();
                if (_nearest.AsSpan().SequenceEqual(_groupOf))
                {
                    break;
                }

                _nearest.CopyTo(_groupOf, 0);
                Centre();
            }

            int[] order = [.. Enumerable.Range(0, groups).OrderBy(group => Spread(Of(group)))];
            int[] places = Inverse(order);
            int[] permutation = [.. Enumerable.Range(0, rows).OrderBy(row => places[_groupOf[row]])];
            var boundaries = new int[groups + 1];
            for (int group = 0; group < groups; group++)
            {
                boundaries[group + 1] = boundaries[group] + _groupOf.AsSpan().Count(order[group]);
            }

            return new RowGrouping(permutation, boundaries);
        }

        private static double Spread(ReadOnlySpan<double> quantiles)
        {
            double mean = 0;
            foreach (double quantile in quantiles)
            {
                mean += quantile;
            }

            mean /= quantiles.Length;
            double sum = 0;
            foreach (double quantile in quantiles)
            {
                sum += (quantile - mean) * (quantile - mean);
            }

            return Math.Sqrt(sum / quantiles.Length);
        }

        private ReadOnlySpan<double> Row(int row) => features.AsSpan(row * length, length);

        private Span<double> Of(int group) => _centres.AsSpan(group * length, length);

        private double Distance(int row, int group)
        {
            ReadOnlySpan<double> a = Row(row);
            ReadOnlySpan<double> b = Of(group);
            double sum = 0;
            for (int i = 0; i < a.Length; i++)
            {
                sum += (a[i] - b[i]) * (a[i] - b[i]);
            }

            return sum;
        }

        private int Nearest(int row)
        {
            int best = 0;
            double least = double.PositiveInfinity;
            for (int group = 0; group < groups; group++)
            {
                double distance = Distance(row, group);
                if (distance < least)
                {
                    (best, least) = (group, distance);
                }
            }

            return best;
        }

        private void Centre()
        {
            Array.Clear(_centres);
            Array.Clear(_counts);
            for (int row = 0; row < rows; row++)
            {
                _counts[_groupOf[row]]++;
                Span<double> centre = Of(_groupOf[row]);
                ReadOnlySpan<double> own = Row(row);
                for (int i = 0; i < length; i++)
                {
                    centre[i] += own[i];
                }
            }

            for (int i = 0; i < _centres.Length; i++)
            {
                _centres[i] /= _counts[i / length];
            }
        }

        /// <summary>Gives an empty group the row that is farthest from the centre of its own, which has others.</summary>
        private void Fill()
        {
            Array.Clear(_counts);
            foreach (int group in _nearest)
            {
                _counts[group]++;
            }

            for (int group = 0; group < groups; group++)
            {
                if (_counts[group] > 0)
                {
                    continue;
                }

                int farthest = -1;
                double most = -1;
                for (int row = 0; row < rows; row++)
                {
                    double distance = Distance(row, _nearest[row]);
                    if (_counts[_nearest[row]] > 1 && distance > most)
                    {
                        (farthest, most) = (row, distance);
                    }
                }

                _counts[_nearest[farthest]]--;
                _nearest[farthest] = group;
                _counts[group] = 1;
                Row(farthest).CopyTo(Of(group));
            }
        }
    }
}
