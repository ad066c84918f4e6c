namespace Kernels.References.Linear;

/// <summary>Softmax with cross-entropy in binary64, row by row.</summary>
/// <remarks>
/// Source: loss = log(sum exp(x - max)) - (x[label] - max), gradient = (softmax - onehot) / rows.
/// <para>
/// Bound, with u = 2^-24. A difference d = x - max is rounded once, so exp(d), within 2 ulp = 4 u of its own argument,
/// has the relative error r = u |d| + 4 u, or is 0 where it is below 1.3e-38. Sums in any order add gamma(classes) of
/// the sum S; together S is off by dS, and relatively by q = dS / (S - dS). The logarithm is then off by q, and by its
/// own 2 ulp = 4 u |log S|. A softmax e / S has the relative error r + q + 2 u (reciprocal and product), and the
/// subtraction of 1 and the product with the rounded 1 / rows add u |softmax - onehot| and 2 u of the result.
/// First-order sums are enlarged by 1 % to cover the products of errors, and in S, at least 1, exponentials that are 0.
/// Of a loss, or a sum of losses, that may overflow nothing is said; that of a label at minus infinity is infinite.
/// </para>
/// </remarks>
public static class SoftmaxCrossEntropyReference
{
    private const double U = Bounded.UnitRoundoff;
    private const double Flushed = Bounded.Flushed;
    private const double Slack = 1.01;

    /// <summary>The losses, their mean, and the gradient of the mean.</summary>
    /// <param name="logits">[rows, classes], row-major.</param>
    /// <param name="labels">[rows]; one out of range makes its row NaN.</param>
    /// <param name="classes">Classes, at least 1.</param>
    /// <returns>Losses [rows], their mean (NaN of none), gradient [rows, classes].</returns>
    /// <exception cref="ArgumentException">The logits are not rows times classes.</exception>
    public static (Bounded[] Losses, Bounded Mean, Bounded[] Gradient) Evaluate(
        ReadOnlySpan<float> logits, ReadOnlySpan<int> labels, int classes)
    {
        int rows = labels.Length;
        if (classes < 1 || logits.Length != rows * classes)
        {
            throw new ArgumentException("There must be rows times classes logits.", nameof(logits));
        }

        var losses = new Bounded[rows];
        var gradient = new Bounded[rows * classes];
        for (int i = 0; i < rows; i++)
        {
            losses[i] = Row(logits.Slice(i * classes, classes), labels[i], rows, gradient.AsSpan(i * classes, classes));
        }

        return (losses, rows == 0 ? double.NaN : Bounded.Sum(losses) / rows, gradient);
    }

    private static Bounded Row(ReadOnlySpan<float> x, int label, int rows, Span<Bounded> gradient)
    {
        double max = double.NegativeInfinity;
        foreach (float value in x)
        {
            max = Math.Max(max, value);
        }

        double total = 0;
        double error = 0;
        foreach (float value in x)
        {
            double d = value - max;
            double e = Math.Exp(d);
            total += e;
            error += e > 0 ? e * Relative(d) : 0;
        }

        error = Slack * (error + (Bounded.Gamma(x.Length) * total));
        double q = error / (total - error);
        bool known = label >= 0 && label < x.Length;
        double factor = known ? 1.0 / rows : double.NaN;
        for (int c = 0; c < x.Length; c++)
        {
            double d = x[c] - max;
            double share = Math.Exp(d) / total;
            double difference = share - (c == label ? 1 : 0);
            double evaluation = share > 0 ? share * (Relative(d) + q + (2 * U)) : 0;
            evaluation += Flushed + (3 * U * Math.Abs(difference));
            gradient[c] = new Bounded(difference * factor, (Slack * evaluation / rows) + Bounded.LeastSubnormal);
        }

        if (!known)
        {
            return double.NaN;
        }

        double log = Math.Log(total);
        var logarithm = new Bounded(log, Slack * (q + (4 * U * log)));
        Bounded loss = logarithm - ((Bounded)x[label] - max);
        return double.IsPositiveInfinity(loss.Value) ? loss.Value : loss;
    }

    private static double Relative(double d) => U * (Math.Abs(d) + 4);
}
