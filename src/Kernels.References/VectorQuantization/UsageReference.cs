namespace Kernels.References.VectorQuantization;

/// <summary>How many codes are in use.</summary>
public static class UsageReference
{
    // exp and log within 2 ulp of their own arguments.
    private const double Function = 4 * Bounded.UnitRoundoff;

    /// <summary>The part of the codes that was chosen at all, |{k : n_k > 0}| / K.</summary>
    /// <param name="counts">n, [k].</param>
    /// <returns>A number in [0, 1], with the bound of one division; 0 of no codes.</returns>
    public static Bounded Usage(ReadOnlySpan<int> counts)
    {
        int used = 0;
        foreach (int count in counts)
        {
            used += count > 0 ? 1 : 0;
        }

        return counts.IsEmpty ? 0 : Bounded.FromDouble(used) / counts.Length;
    }

    /// <summary>exp(-sum p log p), p = n_k / N, 0 log 0 = 0: the number of codes that equal use would need.</summary>
    /// <param name="counts">n, [k].</param>
    /// <returns>
    /// A number in [1, K]; 1 if nothing was chosen. The bound holds for sums in any order, of p log p or of n log n
    /// with log N outside, with exp and log within 2 ulp.
    /// </returns>
    public static Bounded Perplexity(ReadOnlySpan<int> counts)
    {
        double total = 0;
        foreach (int count in counts)
        {
            total += count;
        }

        double entropy = 0;
        int terms = 0;
        foreach (int count in counts)
        {
            if (count > 0)
            {
                double p = count / total;
                entropy -= p * Math.Log(p);
                terms++;
            }
        }

        if (terms <= 1)
        {
            return new Bounded(1, terms == 0 ? 0 : Function + (2 * Bounded.UnitRoundoff));
        }

        // All logarithms are at most log N; an argument that is rounded twice moves one by 2 u.
        double u = Bounded.UnitRoundoff;
        double error = ((Math.Log(total) * (Bounded.Gamma(terms + 4) + (2 * Function))) + (3 * u)) * 1.01;
        double value = Math.Exp(entropy);
        return new Bounded(value, value * (Math.Exp(error) - 1 + Function + u));
    }
}
