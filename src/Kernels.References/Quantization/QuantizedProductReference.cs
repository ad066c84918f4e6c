namespace Kernels.References.Quantization;

/// <summary>y = act(C0 + bias + x Q^T), Q a quantized matrix: what <see cref="Linear.MatMulReference"/> does, from
/// codes.</summary>
/// <remarks>
/// <para>
/// Bound, for each way to compute it: weights are looked up, x (s c) or s (x c); or activations of one code are
/// summed, and the sum is multiplied by the code; or, for codes of several numbers, partial sums of x c over the columns
/// of a code are made for each code there is, looked up and added, and the sum is multiplied by s. With s of a run of
/// weights at each of them, or at their sum, a term has two roundings of products, or one without scales, and goes
/// through at most as many additions as there are terms that are not 0, bias and C0 among them, less one: m terms in c
/// parts are m - c additions within the parts and c - 1 between them, whether a part is what has one code or what lies
/// side by side. So the error is at most gamma(terms + 1) (|C0| + |bias| + sum |x s c|), and a least subnormal times
/// 1 + |x| + |s| + |x s|
/// for each product that may underflow. One single term x = 1 or -1 has but the rounding of s c: the identity gives
/// what <see cref="DequantizeReference"/> gives.
/// </para>
/// <para>
/// Infinite where sums of |x| or of terms may overflow, and where a number is not finite or a weight s c overflows.
/// </para>
/// </remarks>
public static class QuantizedProductReference
{
    /// <summary>The product.</summary>
    /// <param name="shape">The shape of the matrix.</param>
    /// <param name="x">[n, columns].</param>
    /// <param name="index">The indices, [rows, columns / length].</param>
    /// <param name="codebook">The codes, [codebooks, k, length].</param>
    /// <param name="scale">The scales, or empty if the shape has none.</param>
    /// <param name="bias">[rows], or empty.</param>
    /// <param name="c0">[n, rows], or empty.</param>
    /// <param name="activation">The activation with its bound, such as
    /// <see cref="Linear.ActivationReference.Gelu"/>; null for none.</param>
    /// <returns>[n, rows].</returns>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    /// <exception cref="ArgumentNullException">The shape is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no such code, or there are no columns.</exception>
    public static Bounded[] Multiply(
        CodebookShape shape, ReadOnlySpan<float> x, ReadOnlySpan<int> index, ReadOnlySpan<float> codebook,
        ReadOnlySpan<float> scale, ReadOnlySpan<float> bias = default, ReadOnlySpan<float> c0 = default,
        Func<Bounded, Bounded>? activation = null)
    {
        ArgumentNullException.ThrowIfNull(shape);
        shape.CheckAll(index, codebook, scale);
        int n = Check.Rows(x, shape.Columns);
        Check.Length(bias, bias.IsEmpty ? 0 : shape.Rows);
        Check.Length(c0, c0.IsEmpty ? 0 : n * shape.Rows);
        var y = new Bounded[n * shape.Rows];
        for (int i = 0; i < y.Length; i++)
        {
            int row = i % shape.Rows;
            ReadOnlySpan<float> own = x.Slice(i / shape.Rows * shape.Columns, shape.Columns);
            Bounded sum = Sum(
                shape, row, own, index, codebook, scale, bias.IsEmpty ? 0 : bias[row], c0.IsEmpty ? 0 : c0[i]);
            y[i] = activation is null ? sum : activation(sum);
        }

        return y;
    }

    private static Bounded Sum(
        CodebookShape shape, int row, ReadOnlySpan<float> x, ReadOnlySpan<int> index, ReadOnlySpan<float> codebook,
        ReadOnlySpan<float> scale, float bias, float c0)
    {
        double sum = (double)bias + c0;
        double size = Math.Abs(bias) + Math.Abs((double)c0);
        int terms = (bias == 0 ? 0 : 1) + (c0 == 0 ? 0 : 1);
        double largest = 0;
        double underflow = 0;
        bool isFinite = true;
        Bounded? single = sum; // bias or C0 alone
        for (int j = 0; j < x.Length; j++)
        {
            int weight = (row * shape.Columns) + j;
            double c = codebook[shape.Entry(weight, index)];
            double s = shape.Scale(weight, scale);
            // Also where x is 0: 0 times a weight that overflows is no number.
            isFinite &= double.IsFinite(c) && double.IsFinite(s) && Math.Abs(s * c) <= float.MaxValue;
            if (x[j] == 0)
            {
                continue;
            }

            terms++;
            single = Math.Abs(x[j]) == 1 ? s * (Bounded)(x[j] * c) : null;
            sum += x[j] * c * s;
            size += Math.Abs(x[j] * c * s);
            // What some way of computing may hold on its way: sums of x, and products without one of the factors.
            largest += Math.Abs(x[j]) * (1 + Math.Abs(c));
            largest = Math.Max(largest, Math.Abs(s * c));
            underflow += (1 + Math.Abs(x[j])) * (1 + Math.Abs(s)) * Bounded.LeastSubnormal;
        }

        if (terms == 1 && isFinite && single is { IsInDomain: true } one)
        {
            return one;
        }

        bool isInRange = isFinite && !(size > float.MaxValue / 2) && !(largest > float.MaxValue / 2);
        int roundings = terms + (shape.Scales is null ? 0 : 1);
        // The last term: what binary64 itself may have lost.
        double bound = (Bounded.Gamma(roundings) * size) + underflow + ((terms + 3) * size * 1.2e-16);
        return new Bounded(sum, isInRange ? bound : double.PositiveInfinity);
    }
}
