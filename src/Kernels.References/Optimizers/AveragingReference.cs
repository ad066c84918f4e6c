namespace Kernels.References.Optimizers;

/// <summary>Averages of the parameters over the steps.</summary>
public static class AveragingReference
{
    /// <summary>Exponential moving average, e + (1 - decay) (p - e).</summary>
    /// <param name="average">The average before this step.</param>
    /// <param name="p">The parameter.</param>
    /// <param name="decay">The share of the old average, in [0, 1].</param>
    /// <returns>The average after this step.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The share is not in [0, 1].</exception>
    /// <remarks>Source: Polyak and Juditsky 1992; the form that leaves the average of equal numbers alone.</remarks>
    public static Bounded Exponential(Bounded average, Bounded p, double decay)
    {
        if (decay is not (>= 0 and <= 1))
        {
            throw new ArgumentOutOfRangeException(nameof(decay), decay, "Must be in [0, 1].");
        }

        return average + (Bounded.Rounded(1 - decay) * (p - average));
    }

    /// <summary>Stochastic weight averaging, the mean of all parameters so far: a + (p - a) / (count + 1).</summary>
    /// <param name="average">The mean of the parameters before this one.</param>
    /// <param name="p">The parameter.</param>
    /// <param name="count">How many parameters the mean already holds; 0 takes the parameter over.</param>
    /// <returns>The mean with this parameter.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The count is negative.</exception>
    /// <remarks>Source: Izmailov et al. 2018, arXiv:1803.05407, algorithm 1.</remarks>
    public static Bounded Stochastic(Bounded average, Bounded p, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        return count == 0 ? p : average + (Bounded.Rounded(1.0 / (count + 1.0)) * (p - average));
    }
}
