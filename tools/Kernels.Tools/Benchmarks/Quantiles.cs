namespace Kernels.Tools.Benchmarks;

/// <summary>The median of measured times and how far they spread.</summary>
/// <param name="Low">The lower quartile, in seconds.</param>
/// <param name="Median">The median, in seconds.</param>
/// <param name="High">The upper quartile, in seconds.</param>
internal readonly record struct Quantiles(double Low, double Median, double High)
{
    /// <summary>Half the distance of the quartiles as a share of the median.</summary>
    internal double Spread => (High - Low) / (2 * Median);

    internal static Quantiles Of(IEnumerable<double> seconds)
    {
        double[] sorted = [.. seconds.Order()];
        return new(At(0.25), At(0.5), At(0.75));

        double At(double share) => sorted[(int)Math.Round(share * (sorted.Length - 1))];
    }
}
