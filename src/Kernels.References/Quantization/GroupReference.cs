namespace Kernels.References.Quantization;

/// <summary>Rows (neurons) of similar distribution together, and the same network with its neurons
/// re-ordered.</summary>
/// <remarks>
/// <para>
/// Source: JLCM, arXiv:2309.17361, which says that neurons are grouped by a re-ordering that needs no mapping, but not
/// by what. Ours: a row is described by some of its quantiles, and the distance of two rows is that of their vectors of
/// quantiles (for many quantiles the Wasserstein-2 distance of the rows' distributions, over the square root of their
/// number). Groups are clusters of k-means (Lloyd 1982) that start as equal parts of the rows in the order of their
/// spread, the root mean square of the quantiles about their mean. They lie in the order of their centres' spread, and
/// a group has its rows in their old order, so that equal rows stay as they were.
/// </para>
/// <para>
/// In binary64, with ties for the lower group, so that the result is a function of the matrix alone. Another way of
/// grouping is as right as long as it is a permutation; <see cref="Error"/> compares two.
/// </para>
/// <para>
/// A permutation p says where rows come from: row i after is row p[i] before. With layers y = W x + b and a function of
/// single neurons between them, W' = P W, b' = P b, and the next W' = W P^T, which is the same permutation of its
/// columns: the network computes the same, with the sums of the next layer in another order.
/// </para>
/// </remarks>
public static class GroupReference
{
    private const int MostIterations = 100;

    /// <summary>The quantiles of each row.</summary>
    /// <param name="w">[rows, columns], finite.</param>
    /// <param name="columns">The number of columns, at least 1.</param>
    /// <param name="quantiles">Numbers for each row.</param>
    /// <returns>[rows, quantiles], as <see cref="CodebooksReference.Quantiles"/> finds them.</returns>
    /// <exception cref="ArgumentException">These are not whole rows, or a number is not finite.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There are too few columns or quantiles.</exception>
    public static double[] Quantiles(ReadOnlySpan<float> w, int columns, int quantiles)
    {
        int rows = Check.Rows(w, columns);
        double[] all = new double[rows * quantiles];
        for (int row = 0; row < rows; row++)
        {
            Bounded[] own = CodebooksReference.Quantiles(w.Slice(row * columns, columns), quantiles);
            Array.ConvertAll(own, quantile => quantile.Value).CopyTo(all, row * quantiles);
        }

        return all;
    }

    /// <summary>Groups the rows.</summary>
    /// <param name="w">[rows, columns], finite.</param>
    /// <param name="columns">The number of columns, at least 1.</param>
    /// <param name="groups">The number of groups, 1 to rows; none is empty.</param>
    /// <param name="quantiles">By how many quantiles rows are compared.</param>
    /// <returns>The permutation [rows], and the boundaries of the groups after it, [groups + 1].</returns>
    /// <exception cref="ArgumentException">These are not whole rows, or a number is not finite.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There are too few columns or quantiles, or another number of
    /// groups.</exception>
    public static (int[] Permutation, int[] Boundaries) Group(
        ReadOnlySpan<float> w, int columns, int groups, int quantiles = 16)
    {
        int rows = Check.Rows(w, columns);
        ArgumentOutOfRangeException.ThrowIfLessThan(groups, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(groups, rows);
        double[][] features = [.. Quantiles(w, columns, quantiles).Chunk(quantiles)];
        int[] bySpread = [.. Enumerable.Range(0, rows).OrderBy(row => Spread(features[row]))];
        var group = new int[rows];
        for (int place = 0; place < rows; place++)
        {
            group[bySpread[place]] = (int)((long)place * groups / rows);
        }

        double[][] centres = Centres(features, group, groups);
        for (int iteration = 0; iteration < MostIterations; iteration++)
        {
            int[] nearest = Array.ConvertAll(features, row => Nearest(row, centres));
            Fill(features, centres, nearest);
            if (nearest.AsSpan().SequenceEqual(group))
            {
                break;
            }

            group = nearest;
            centres = Centres(features, group, groups);
        }

        int[] order = [.. Enumerable.Range(0, groups).OrderBy(g => Spread(centres[g]))];
        int[] permutation = [.. order.SelectMany(g => Enumerable.Range(0, rows).Where(row => group[row] == g))];
        var boundaries = new int[groups + 1];
        for (int g = 0; g < groups; g++)
        {
            boundaries[g + 1] = boundaries[g] + group.Count(own => own == order[g]);
        }

        return (permutation, boundaries);
    }

    /// <summary>How far the rows of groups are from each other: the squared distances of their quantiles to the mean of
    /// their group.</summary>
    /// <param name="w">[rows, columns], finite.</param>
    /// <param name="columns">The number of columns.</param>
    /// <param name="permutation">[rows].</param>
    /// <param name="boundaries">[groups + 1].</param>
    /// <param name="quantiles">By how many quantiles rows are compared.</param>
    /// <returns>The sum.</returns>
    /// <exception cref="ArgumentException">These are not whole rows, or no permutation of them.</exception>
    public static double Error(
        ReadOnlySpan<float> w, int columns, ReadOnlySpan<int> permutation, ReadOnlySpan<int> boundaries,
        int quantiles = 16)
    {
        CheckPermutation(permutation, Check.Rows(w, columns));
        double[][] features = [.. Quantiles(w, columns, quantiles).Chunk(quantiles)];
        double error = 0;
        for (int g = 0; g + 1 < boundaries.Length; g++)
        {
            int[] rows = permutation[boundaries[g]..boundaries[g + 1]].ToArray();
            for (int i = 0; rows.Length > 0 && i < quantiles; i++)
            {
                double mean = rows.Average(row => features[row][i]);
                error += rows.Sum(row => (features[row][i] - mean) * (features[row][i] - mean));
            }
        }

        return error;
    }

    /// <summary>The permutation that undoes one.</summary>
    /// <param name="permutation">[n].</param>
    /// <returns>[n].</returns>
    /// <exception cref="ArgumentException">This is no permutation.</exception>
    public static int[] Inverse(ReadOnlySpan<int> permutation)
    {
        CheckPermutation(permutation, permutation.Length);
        var inverse = new int[permutation.Length];
        for (int i = 0; i < inverse.Length; i++)
        {
            inverse[permutation[i]] = i;
        }

        return inverse;
    }

    /// <summary>Rows in another order; with one column, the numbers of a bias.</summary>
    /// <typeparam name="T">Numbers, or indices.</typeparam>
    /// <param name="x">[rows, columns].</param>
    /// <param name="columns">The number of columns, at least 1.</param>
    /// <param name="permutation">[rows].</param>
    /// <returns>[rows, columns], row i being row p[i].</returns>
    /// <exception cref="ArgumentException">This is no permutation of the rows.</exception>
    public static T[] PermuteRows<T>(ReadOnlySpan<T> x, int columns, ReadOnlySpan<int> permutation)
    {
        CheckPermutation(permutation, Check.Rows(x, columns));
        var result = new T[x.Length];
        for (int i = 0; i < result.Length; i++)
        {
            result[i] = x[(permutation[i / columns] * columns) + (i % columns)];
        }

        return result;
    }

    /// <summary>Columns in another order.</summary>
    /// <typeparam name="T">Numbers, or indices.</typeparam>
    /// <param name="x">[rows, columns].</param>
    /// <param name="permutation">[columns].</param>
    /// <returns>[rows, columns], column j being column p[j].</returns>
    /// <exception cref="ArgumentException">This is no permutation of the columns.</exception>
    public static T[] PermuteColumns<T>(ReadOnlySpan<T> x, ReadOnlySpan<int> permutation)
    {
        int columns = permutation.Length;
        Check.Rows(x, columns);
        CheckPermutation(permutation, columns);
        var result = new T[x.Length];
        for (int i = 0; i < result.Length; i++)
        {
            result[i] = x[i - (i % columns) + permutation[i % columns]];
        }

        return result;
    }

    /// <summary>A chain of layers with the neurons of each in another order.</summary>
    /// <param name="layers">Weight [outputs, inputs] and bias [outputs] (or none, empty) of each layer, where the
    /// outputs of one are the inputs of the next.</param>
    /// <param name="permutations">One for the outputs of each layer; empty to leave them, as those of the last layer
    /// must be if the chain is to give its outputs in their old order.</param>
    /// <returns>The layers of the same function.</returns>
    /// <exception cref="ArgumentException">The layers do not fit, or a permutation does not.</exception>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    public static (float[] Weight, float[] Bias)[] PermuteChain(
        IReadOnlyList<(float[] Weight, float[] Bias)> layers, IReadOnlyList<int[]> permutations)
    {
        ArgumentNullException.ThrowIfNull(layers);
        ArgumentNullException.ThrowIfNull(permutations);
        if (layers.Count != permutations.Count)
        {
            throw new ArgumentException(
                $"Expected {layers.Count} permutations, got {permutations.Count}.", nameof(permutations));
        }

        var result = new (float[] Weight, float[] Bias)[layers.Count];
        int[] before = [];
        for (int layer = 0; layer < result.Length; layer++)
        {
            (float[] weight, float[] bias) = layers[layer];
            int[] own = permutations[layer];
            if (before.Length > 0)
            {
                weight = PermuteColumns<float>(weight, before);
            }

            if (own.Length > 0)
            {
                Check.Rows<float>(weight, own.Length, nameof(layers));
                weight = PermuteRows<float>(weight, weight.Length / own.Length, own);
                bias = bias.Length == 0 ? bias : PermuteRows<float>(bias, 1, own);
            }

            result[layer] = (weight, bias);
            before = own;
        }

        return result;
    }

    private static double Spread(double[] quantiles)
    {
        double mean = quantiles.Average();
        return Math.Sqrt(quantiles.Average(q => (q - mean) * (q - mean)));
    }

    private static double Distance(double[] a, double[] b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++)
        {
            sum += (a[i] - b[i]) * (a[i] - b[i]);
        }

        return sum;
    }

    private static int Nearest(double[] row, double[][] centres)
    {
        int best = 0;
        for (int g = 1; g < centres.Length; g++)
        {
            best = Distance(row, centres[g]) < Distance(row, centres[best]) ? g : best;
        }

        return best;
    }

    private static double[][] Centres(double[][] features, int[] group, int groups)
    {
        var centres = new double[groups][];
        for (int g = 0; g < groups; g++)
        {
            double[][] own = [.. features.Where((_, row) => group[row] == g)];
            centres[g] = [.. Enumerable.Range(0, features[0].Length).Select(i => own.Average(row => row[i]))];
        }

        return centres;
    }

    /// <summary>Gives an empty group the row that is farthest from the centre of its own, which has others.</summary>
    private static void Fill(double[][] features, double[][] centres, int[] group)
    {
        for (int g = 0; g < centres.Length; g++)
        {
            if (group.Contains(g))
            {
                continue;
            }

            int[] counts = [.. Enumerable.Range(0, centres.Length).Select(other => group.Count(own => own == other))];
            int farthest = -1;
            double most = -1;
            for (int row = 0; row < group.Length; row++)
            {
                double distance = Distance(features[row], centres[group[row]]);
                if (counts[group[row]] > 1 && distance > most)
                {
                    (farthest, most) = (row, distance);
                }
            }

            group[farthest] = g;
            centres[g] = features[farthest];
        }
    }

    private static void CheckPermutation(ReadOnlySpan<int> permutation, int n)
    {
        Check.Length(permutation, n);
        var seen = new bool[n];
        foreach (int i in permutation)
        {
            if (i < 0 || i >= n || seen[i])
            {
                throw new ArgumentException(
                    $"Must have every number from 0 to {n - 1} once.", nameof(permutation));
            }

            seen[i] = true;
        }
    }
}
