namespace Kernels.References.Linear;

/// <summary>Layer normalisation without scale and shift, and its gradient, in binary64.</summary>
/// <remarks>
/// Source: Ba, Kiros, Hinton 2016, arXiv:1607.06450: y = f (x - mean), f = 1 / sqrt(variance + epsilon); dx = f (dy -
/// mean(dy) - y mean(dy y)). Bound: sums of n terms in any order have gamma(n) sum |term| (Higham, Accuracy and Stability
/// of Numerical Algorithms, 2nd edition, section 3.1), the rest is the running analysis of <see cref="Bounded"/>. The
/// variance is taken from the differences: by E x^2 - (E x)^2 a kernel would leave the bounds far from zero. A row with a
/// number that is not finite is NaN: an infinity less a mean that is not finite either.
/// </remarks>
public static class LayerNormReference
{
    /// <summary>The forward pass.</summary>
    /// <param name="x">[rows, columns].</param>
    /// <param name="columns">Columns, at least 1.</param>
    /// <param name="epsilon">Added to the variance.</param>
    /// <returns>y [rows, columns], and f [rows].</returns>
    /// <exception cref="ArgumentException">The length is no multiple of the columns.</exception>
    public static (Bounded[] Y, Bounded[] Factors) Forward(ReadOnlySpan<float> x, int columns, double epsilon)
    {
        int rows = Check.Rows(x, columns);
        var y = new Bounded[x.Length];
        var factors = new Bounded[rows];
        var terms = new Bounded[columns];
        for (int row = 0; row < rows; row++)
        {
            for (int c = 0; c < columns; c++)
            {
                terms[c] = Bounded.FromDouble(x[(row * columns) + c]);
            }

            if (Array.Exists(terms, term => !double.IsFinite(term.Value)))
            {
                y.AsSpan(row * columns, columns).Fill(double.NaN);
                factors[row] = double.NaN;
                continue;
            }

            Bounded mean = Bounded.Sum(terms) / columns;
            var differences = new Bounded[columns];
            for (int c = 0; c < columns; c++)
            {
                differences[c] = terms[c] - mean;
                terms[c] = differences[c] * differences[c];
            }

            factors[row] = 1 / Bounded.Sqrt((Bounded.Sum(terms) / columns) + Bounded.Rounded(epsilon));
            for (int c = 0; c < columns; c++)
            {
                y[(row * columns) + c] = differences[c] * factors[row];
            }
        }

        return (y, factors);
    }

    /// <summary>The gradient, from what a forward pass has kept.</summary>
    /// <param name="y">[rows, columns], as the forward pass wrote it.</param>
    /// <param name="factors">[rows], likewise.</param>
    /// <param name="dy">[rows, columns].</param>
    /// <param name="held">What the gradient is added to, [rows, columns]; empty for nothing.</param>
    /// <returns>[rows, columns].</returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    public static Bounded[] Backward(
        ReadOnlySpan<float> y, ReadOnlySpan<float> factors, ReadOnlySpan<float> dy, ReadOnlySpan<float> held)
    {
        Check.SameLength(y, dy);
        if (!held.IsEmpty)
        {
            Check.SameLength(y, held);
        }

        int columns = factors.Length == 0 ? 1 : y.Length / factors.Length;
        Check.Length(y, factors.Length * columns, nameof(y));
        var dx = new Bounded[y.Length];
        var sums = new Bounded[columns];
        var products = new Bounded[columns];
        for (int row = 0; row < factors.Length; row++)
        {
            for (int c = 0; c < columns; c++)
            {
                sums[c] = Bounded.FromDouble(dy[(row * columns) + c]);
                products[c] = sums[c] * Bounded.FromDouble(y[(row * columns) + c]);
            }

            Bounded mean = Bounded.Sum(sums) / columns;
            Bounded along = Bounded.Sum(products) / columns;
            for (int c = 0; c < columns; c++)
            {
                int at = (row * columns) + c;
                Bounded value = Bounded.FromDouble(factors[row])
                    * (sums[c] - mean - (Bounded.FromDouble(y[at]) * along));
                dx[at] = held.IsEmpty ? value : Bounded.FromDouble(held[at]) + value;
            }
        }

        return dx;
    }
}
