namespace Kernels.References.Optimizers;

/// <summary>A test whether a batch is large enough for its mean gradient to be trusted.</summary>
public enum BatchTestKind
{
    /// <summary>The variance of the gradient against the square of its mean.</summary>
    Norm,

    /// <summary>The variance of the gradient along its mean.</summary>
    InnerProduct,

    /// <summary>The variance of the gradient across its mean.</summary>
    Orthogonality,

    /// <summary>The larger of inner product and orthogonality.</summary>
    Augmented,

    /// <summary>The norm test of each coordinate for itself; the largest decides.</summary>
    Coordinate,
}

/// <summary>Adaptive batch sizes from the gradients of the samples of a batch.</summary>
/// <remarks>
/// Source: Lau, Liu and Kolar 2024, arXiv:2402.11215, after Byrd et al. 2012 (norm test) and Bollapragada,
/// Byrd and Nocedal 2018, arXiv:1710.11258 (augmented inner product test). Variances divide by the number of samples
/// less one. Inner products and projections are those of the whole gradient: the authors' code takes them tensor by
/// tensor, which is a different quantity. The bound is that of two passes, means first, then deviations.
/// </remarks>
public static class BatchTestReference
{
    /// <summary>The batch size that a test asks for, as a real number.</summary>
    /// <param name="kind">The test.</param>
    /// <param name="gradients">The gradient of each sample, [batch, d], sample by sample.</param>
    /// <param name="batch">The number of samples, at least 1.</param>
    /// <param name="threshold">
    /// eta of the norm and coordinate tests, theta of the inner product, nu of the orthogonality test alone; greater
    /// than 0.
    /// </param>
    /// <param name="threshold2">nu of the augmented test; greater than 0.</param>
    /// <returns>
    /// The statistic, at least 0 and never NaN for finite gradients. If the mean gradient is 0, it is infinite when the
    /// samples differ and 0 when they do not. One sample has no variance and asks for nothing: 0.
    /// </returns>
    /// <exception cref="ArgumentOutOfRangeException">The batch or a threshold is not positive.</exception>
    /// <exception cref="ArgumentException">The gradients do not divide into the samples.</exception>
    public static Bounded Statistic(
        BatchTestKind kind,
        ReadOnlySpan<double> gradients,
        int batch,
        double threshold = 0.1,
        double threshold2 = 0.1)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batch, 1);
        Check.Positive(threshold);
        Check.Positive(threshold2);
        if (gradients.Length % batch != 0)
        {
            throw new ArgumentException(
                $"Expected a multiple of {batch} numbers, got {gradients.Length}.", nameof(gradients));
        }

        if (batch == 1)
        {
            return 0;
        }

        var samples = new Samples(gradients, batch);
        return kind switch
        {
            BatchTestKind.Norm => samples.Norm(threshold),
            BatchTestKind.InnerProduct => samples.InnerProduct(threshold),
            BatchTestKind.Orthogonality => samples.Orthogonality(threshold),
            BatchTestKind.Augmented =>
                Bounded.Max(samples.InnerProduct(threshold), samples.Orthogonality(threshold2)),
            BatchTestKind.Coordinate => samples.Coordinate(threshold),
            _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "Not a batch test."),
        };
    }

    /// <summary>The next batch size; a batch never shrinks.</summary>
    /// <param name="statistic">The statistic of this batch, at least 0; infinite asks for the largest batch.</param>
    /// <param name="batch">This batch size, at least 1.</param>
    /// <param name="maxBatch">The largest batch size, at least 1.</param>
    /// <returns>min(maxBatch, ceil(max(batch, statistic))).</returns>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The statistic is negative or NaN, or a batch size is not positive.
    /// </exception>
    public static int NextBatch(double statistic, int batch, int maxBatch)
    {
        Check.NotNegative(statistic);
        ArgumentOutOfRangeException.ThrowIfLessThan(batch, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(maxBatch, 1);
        return (int)Math.Min(maxBatch, Math.Ceiling(Math.Max(batch, statistic)));
    }

    private sealed class Samples
    {
        private readonly Bounded[][] _gradients;
        private readonly Bounded[] _mean;
        private readonly Bounded[] _variance;
        private readonly Bounded _totalVariance;
        private readonly Bounded _meanSquare;

        internal Samples(ReadOnlySpan<double> gradients, int batch)
        {
            int d = gradients.Length / batch;
            _gradients = new Bounded[batch][];
            for (int i = 0; i < batch; i++)
            {
                _gradients[i] = Array.ConvertAll(gradients.Slice(i * d, d).ToArray(), Bounded.FromDouble);
            }

            _mean = [.. Enumerable.Range(0, d).Select(j => Mean(Column(_gradients, j)))];
            _variance = [.. Enumerable.Range(0, d).Select(j => Variance(Column(_gradients, j)))];
            _totalVariance = Bounded.Sum(_variance);
            _meanSquare = GradientNormReference.SquaredNorm(_mean);
        }

        internal Bounded Norm(double eta) => Against(_totalVariance, _meanSquare, eta, _totalVariance);

        internal Bounded InnerProduct(double theta) =>
            Against(Variance(Products()), _meanSquare * _meanSquare, theta, _totalVariance);

        internal Bounded Orthogonality(double nu)
        {
            if (_meanSquare.Value == 0)
            {
                return Against(_totalVariance, _meanSquare, nu, _totalVariance);
            }

            Bounded[] products = Products();
            Bounded[][] across = [.. _gradients.Select((g, i) =>
                g.Zip(_mean, (x, mean) => x - (products[i] * mean / _meanSquare)).ToArray())];
            Bounded variance = Bounded.Sum(
                [.. Enumerable.Range(0, _mean.Length).Select(j => Variance(Column(across, j)))]);
            return Against(variance, _meanSquare, nu, _totalVariance);
        }

        internal Bounded Coordinate(double eta)
        {
            Bounded largest = 0;
            for (int j = 0; j < _mean.Length; j++)
            {
                Bounded one = Against(_variance[j], _mean[j] * _mean[j], eta, _variance[j]);
                largest = Bounded.Max(largest, one);
            }

            return largest;
        }

        private static Bounded Against(Bounded variance, Bounded size, double threshold, Bounded spread)
        {
            if (size.Value != 0)
            {
                return variance / (Bounded.Rounded(threshold * threshold) * size);
            }

            double statistic = spread.Value == 0 ? 0 : double.PositiveInfinity;
            return new Bounded(statistic, spread.Bound == 0 ? 0 : double.PositiveInfinity);
        }

        private static Bounded Mean(Bounded[] values) => Bounded.Sum(values) * Bounded.Rounded(1.0 / values.Length);

        private static Bounded Variance(Bounded[] values)
        {
            Bounded mean = Mean(values);
            Bounded[] deviations = Array.ConvertAll(values, x => x - mean);
            return GradientNormReference.SquaredNorm(deviations) * Bounded.Rounded(1.0 / (values.Length - 1));
        }

        private static Bounded[] Column(Bounded[][] rows, int j) => Array.ConvertAll(rows, row => row[j]);

        private Bounded[] Products() => Array.ConvertAll(
            _gradients,
            g => Bounded.Sum([.. g.Zip(_mean, (x, mean) => x * mean)]));
    }
}
