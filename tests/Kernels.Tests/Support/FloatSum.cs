namespace Kernels.Tests.Support;

/// <summary>Binary32 sums in the orders that bounds must admit.</summary>
internal static class FloatSum
{
    /// <summary>One term after the other.</summary>
    internal static float Sum(IEnumerable<float> terms)
    {
        float sum = 0;
        foreach (float term in terms)
        {
            sum += term;
        }

        return sum;
    }

    /// <summary>By halves.</summary>
    internal static float Tree(ReadOnlySpan<float> terms) => terms.Length switch
    {
        0 => 0,
        1 => terms[0],
        _ => Tree(terms[..(terms.Length / 2)]) + Tree(terms[(terms.Length / 2)..]),
    };
}
