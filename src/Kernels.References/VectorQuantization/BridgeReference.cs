namespace Kernels.References.VectorQuantization;

/// <summary>VQBridge: a small transformer over the codebook, forward and backward.</summary>
/// <remarks>
/// Source: FVQ, arXiv:2509.10140, and its code (qbridge_ViT.py), with 1-D patches as the paper's text has them. With T
/// = K / p
/// tokens: x = W_c patch + b_c; in each block x += attention(LN(x)), x += MLP(LN(x)); projected patch = W_e LN(x) +
/// b_e.
/// LN without affine part, GELU in its tanh form, scale 1 / sqrt(H / heads), no positions, no residual from the
/// codes to the output. Zero-initialised W_e and b_e project every code to exactly 0.
/// <para>
/// Bound: a worst-case bound through softmax and layer normalisation says nothing, so this one is measured, as Monte
/// Carlo arithmetic does (Parker 1997): the whole network runs several times in binary64 with an error of random sign
/// added to every result of every operation, and what the outputs move by is enlarged. The errors added are, with
/// u = 2^-24: for a sum of k products 2 (1 + sqrt k) u sum |a b|, the rule of Higham and Mary (2019, SIAM J. Sci.
/// Comput.
/// 41, A2815) with factor 2, always at its full size; for an elementary operation its whole u; for exp 2 ulp and its
/// argument's rounding; for GELU the bounds of <see cref="Linear.ActivationReference"/>. With the root mean square r_i
/// of the deviations of an element, and r over its tensor, the bound is 8 (r_i + r / 4). It is not a proof: it fails
/// with small
/// probability where roundings do not act as independent, and it knows no underflow. Variances by E x^2 - (E x)^2 and
/// products
/// in less than binary32 are not covered.
/// </para>
/// </remarks>
public static class BridgeReference
{
    private const int Samples = 8;

    /// <summary>The network in binary64.</summary>
    /// <param name="shape">The shape.</param>
    /// <param name="weights">The weights, by the names of <see cref="BridgeShape"/>.</param>
    /// <param name="codes">The codes, [k, d].</param>
    /// <param name="grad">The gradient to the projected codes, [k, d]; null for the forward pass alone.</param>
    /// <returns>The projected codes [k, d]; the gradients of the weights by name, and of the codes as
    /// <c>codes</c>.</returns>
    /// <exception cref="ArgumentNullException">Shape, weights or codes are missing.</exception>
    /// <exception cref="ArgumentException">A weight is missing, or a length does not fit.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The shape is not valid.</exception>
    public static (double[] Projected, IReadOnlyDictionary<string, double[]> Gradients) Evaluate(
        BridgeShape shape, IReadOnlyDictionary<string, double[]> weights, double[] codes, double[]? grad = null) =>
        Run(shape, weights, codes, grad, new BridgeArithmetic(BridgeRounding.None, 0));

    /// <summary>The network in binary32 in the plainest order: what the bound must admit, and no more than
    /// that.</summary>
    /// <param name="shape">The shape.</param>
    /// <param name="weights">The weights.</param>
    /// <param name="codes">The codes, [k, d].</param>
    /// <param name="grad">The gradient to the projected codes, [k, d]; null for the forward pass alone.</param>
    /// <returns>As <see cref="Evaluate"/>; every number is one of binary32.</returns>
    /// <exception cref="ArgumentNullException">Shape, weights or codes are missing.</exception>
    /// <exception cref="ArgumentException">A weight is missing, or a length does not fit.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The shape is not valid.</exception>
    public static (double[] Projected, IReadOnlyDictionary<string, double[]> Gradients) EvaluateSingle(
        BridgeShape shape, IReadOnlyDictionary<string, float[]> weights, float[] codes, float[]? grad = null) =>
        Run(shape, Widen(weights), Widen(codes)!, Widen(grad), new BridgeArithmetic(BridgeRounding.Single, 0));

    /// <summary>The network in binary64, and how far a binary32 kernel may be from it.</summary>
    /// <param name="shape">The shape.</param>
    /// <param name="weights">The weights.</param>
    /// <param name="codes">The codes, [k, d].</param>
    /// <param name="grad">The gradient to the projected codes, [k, d]; null for the forward pass alone.</param>
    /// <returns>As <see cref="Evaluate"/>, with bounds. The same for the same input, always.</returns>
    /// <exception cref="ArgumentNullException">Shape, weights or codes are missing.</exception>
    /// <exception cref="ArgumentException">A weight is missing, or a length does not fit.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The shape is not valid.</exception>
    public static (Bounded[] Projected, IReadOnlyDictionary<string, Bounded[]> Gradients) EvaluateBounded(
        BridgeShape shape, IReadOnlyDictionary<string, float[]> weights, float[] codes, float[]? grad = null)
    {
        Dictionary<string, double[]> wide = Widen(weights);
        double[] wideCodes = Widen(codes)!;
        double[]? wideGrad = Widen(grad);
        (double[] projected, IReadOnlyDictionary<string, double[]> gradients) = Evaluate(
            shape, wide, wideCodes, wideGrad);
        var samples = new (double[] Projected, IReadOnlyDictionary<string, double[]> Gradients)[Samples];
        for (int s = 0; s < Samples; s++)
        {
            var noise = new BridgeArithmetic(BridgeRounding.Noise, (ulong)s + 1);
            samples[s] = Run(shape, wide, wideCodes, wideGrad, noise);
        }

        var bounded = new Dictionary<string, Bounded[]>(StringComparer.Ordinal);
        foreach ((string name, double[] values) in gradients)
        {
            bounded[name] = Bound(values, Array.ConvertAll(samples, sample => sample.Gradients[name]));
        }

        return (Bound(projected, Array.ConvertAll(samples, sample => sample.Projected)), bounded);
    }

    /// <summary>
    /// The order that turns the authors' square patches into patches of codes in a row: code k of a square of side h is
    /// at row k / h,
    /// column k mod h.
    /// </summary>
    /// <param name="h">The side of the square of codes, K = h h.</param>
    /// <param name="side">The side P of a patch, a divisor of h; our patch is P P.</param>
    /// <returns>[K]: which of the authors' codes comes to each place; patches row by row, and the codes in
    /// them.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A side is less than 1, or P does not divide h.</exception>
    public static int[] SquareOrder(int h, int side)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(h, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(side, 1);
        ArgumentOutOfRangeException.ThrowIfNotEqual(h % side, 0, nameof(side));
        int across = h / side;
        int[] order = new int[h * h];
        for (int place = 0; place < order.Length; place++)
        {
            int patch = place / (side * side);
            int within = place % (side * side);
            int row = (patch / across * side) + (within / side);
            int column = (patch % across * side) + (within % side);
            order[place] = (row * h) + column;
        }

        return order;
    }

    /// <summary>The authors' compression, a convolution with channel, row, column; ours has row, column,
    /// channel.</summary>
    /// <param name="weight">Their weight, [H, d, P, P].</param>
    /// <param name="d">The dimension of a code.</param>
    /// <param name="side">The side P of a patch.</param>
    /// <returns>[H, P P d]. Their recovery already has our order: row, column, channel.</returns>
    /// <exception cref="ArgumentException">The weight has not rows of d P P numbers.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The dimension or the side is less than 1.</exception>
    public static float[] ImportCompress(ReadOnlySpan<float> weight, int d, int side)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(d, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(side, 1);
        int patch = side * side;
        int rows = Check.Rows(weight, d * patch);
        float[] ours = new float[weight.Length];
        for (int i = 0; i < ours.Length; i++)
        {
            int row = i / (d * patch);
            int channel = i / patch % d;
            ours[(((row * patch) + (i % patch)) * d) + channel] = weight[i];
        }

        return rows == 0 ? [] : ours;
    }

    private static (double[] Projected, IReadOnlyDictionary<string, double[]> Gradients) Run(
        BridgeShape shape, IReadOnlyDictionary<string, double[]> weights, double[] codes, double[]? grad,
        BridgeArithmetic math)
    {
        ArgumentNullException.ThrowIfNull(shape);
        ArgumentNullException.ThrowIfNull(weights);
        ArgumentNullException.ThrowIfNull(codes);
        var network = new BridgeNetwork(shape, weights, codes, math);
        double[] projected = network.Forward();
        if (grad is null)
        {
            return (projected, new Dictionary<string, double[]>(StringComparer.Ordinal));
        }

        Check.Length<double>(grad, codes.Length, nameof(grad));
        return (projected, network.Backward(grad));
    }

    private static Bounded[] Bound(double[] values, double[][] samples)
    {
        double[] squares = new double[values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            foreach (double[] sample in samples)
            {
                squares[i] += (sample[i] - values[i]) * (sample[i] - values[i]) / samples.Length;
            }
        }

        double all = values.Length == 0 ? 0 : Math.Sqrt(squares.Average());
        var bounded = new Bounded[values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            double bound = 8 * (Math.Sqrt(squares[i]) + (all / 4));
            bool isLost = !double.IsNaN(values[i]) && !(Math.Abs(values[i]) + bound <= float.MaxValue);
            bounded[i] = new Bounded(
                values[i], double.IsNaN(values[i]) ? double.NaN : isLost ? double.PositiveInfinity : bound);
        }

        return bounded;
    }

    private static Dictionary<string, double[]> Widen(IReadOnlyDictionary<string, float[]> weights)
    {
        ArgumentNullException.ThrowIfNull(weights);
        return weights.ToDictionary(weight => weight.Key, weight => Widen(weight.Value)!, StringComparer.Ordinal);
    }

    private static double[]? Widen(float[]? values) => values is null ? null : Array.ConvertAll(values, x => (double)x);
}
