namespace Kernels.References.Quantization;

/// <summary>The mapping of weights to codes as something that learns: logits for each weight, the code with the largest
/// forward, and a gradient to the logits.</summary>
/// <remarks>
/// <para>
/// Source: JLCM, arXiv:2309.17361. Its text that is public says that the usual gradient to a code's logit grows with
/// the distance to the code in use, and that a decreasing function of the distance makes a proximal search; not which
/// function. The definitions here are ours. With p = softmax(l / t), j the first of the largest logits, and
/// d_i = |c_i - c_j|:
/// v_i = sgn(c_i - c_j) phi(d_i), and dl_i = g p_i v_i / t; or, centred, dl_i = g p_i (v_i - sum p v) / t, which sums
/// to 0.
/// </para>
/// <para>
/// <see cref="MappingDecay.Distance"/>, phi = d, centred, is the default gradient: exactly that of the soft weight sum
/// p c, since c_j cancels. Not centred it is p_i (c_i - c_j), and each proximal one has its sign there for every i. The
/// proximal functions are those of <see cref="MappingDecay"/>, with the mean gap u = (c_max - c_min) / (k - 1) for a
/// length, or one of the caller's. Codebooks ascend.
/// </para>
/// <para>
/// Hardening, a weight that a loss may add: sum over weights of 1 - sum p^2 (Gini's impurity, Tsallis's entropy of
/// order 2), 0 for one certain code and most for equal ones; its gradient is -2 p_i (p_i - sum p^2) / t. Unlike p log
/// p it needs no logarithm, and no care where p is 0.
/// </para>
/// <para>
/// Bound, u = 2^-24: the exponent x = (l - l_max) / t, the difference first and then divided or times the reciprocal,
/// is off by 3 u |x|, and by u |x| for t = 1. e = exp(x) has that as a relative error and 2 ulp = 4 u of its own, both
/// enlarged by 1 % to cover products of errors, or is 0 where it is below 1.3e-38. What follows is in
/// <see cref="Bounded"/> numbers, sums in any order, and for the default with the weighted mean of c_i as well as of
/// v_i.
/// </para>
/// <para>
/// A logit that is NaN is never the largest, and the gradient is NaN then. Where g / t, the range of the codebook
/// or a sum of e v overflows, nothing else is stated.
/// </para>
/// </remarks>
public sealed class MappingReference
{
    private const double U = Bounded.UnitRoundoff;
    private const double Flushed = Bounded.Flushed;
    private const double Slack = 1.01;

    private readonly MappingDecay _decay;
    private readonly Func<Bounded, Bounded, Bounded>? _phi;
    private readonly bool _isCentred;
    private readonly double _temperature;

    /// <summary>A rule of the gradient.</summary>
    /// <param name="decay">How the gradient depends on the distance.</param>
    /// <param name="isCentred">Whether it sums to 0.</param>
    /// <param name="temperature">The temperature t.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such rule, or the temperature is not
    /// positive.</exception>
    public MappingReference(MappingDecay decay, bool isCentred, double temperature)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)decay, (uint)MappingDecay.Adjacent, nameof(decay));
        _decay = decay;
        _isCentred = isCentred;
        _temperature = Check.Positive(temperature);
    }

    /// <summary>A rule with a function of the caller's.</summary>
    /// <param name="phi">phi of the distance d, greater than 0, and of the mean gap u.</param>
    /// <param name="isCentred">Whether the gradient sums to 0.</param>
    /// <param name="temperature">The temperature t.</param>
    /// <exception cref="ArgumentNullException">The function is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The temperature is not positive.</exception>
    public MappingReference(Func<Bounded, Bounded, Bounded> phi, bool isCentred, double temperature)
    {
        ArgumentNullException.ThrowIfNull(phi);
        _phi = phi;
        _isCentred = isCentred;
        _temperature = Check.Positive(temperature);
    }

    /// <summary>The codes in use.</summary>
    /// <param name="logits">[m, k].</param>
    /// <param name="k">The number of codes.</param>
    /// <returns>[m]: the first of the largest logits; 0 if all are NaN. The weight is the code, exactly.</returns>
    /// <exception cref="ArgumentException">These are not whole rows.</exception>
    public static int[] Hard(ReadOnlySpan<float> logits, int k)
    {
        var index = new int[Check.Rows(logits, k)];
        for (int m = 0; m < index.Length; m++)
        {
            index[m] = Hard(logits.Slice(m * k, k));
        }

        return index;
    }

    /// <summary>The probabilities of the codes.</summary>
    /// <param name="logits">[m, k].</param>
    /// <param name="k">The number of codes.</param>
    /// <returns>[m, k].</returns>
    /// <exception cref="ArgumentException">These are not whole rows.</exception>
    public Bounded[] Probabilities(ReadOnlySpan<float> logits, int k)
    {
        var all = new Bounded[logits.Length];
        for (int m = 0; m < Check.Rows(logits, k); m++)
        {
            Softmax(logits.Slice(m * k, k)).CopyTo(all, m * k);
        }

        return all;
    }

    /// <summary>The gradient to the logits.</summary>
    /// <param name="logits">[m, k].</param>
    /// <param name="codebook">The codes of all these weights, [k], ascending, finite.</param>
    /// <param name="grad">The gradient g to the weights, [m]. (With scales, the one to the weight times its
    /// scale.)</param>
    /// <returns>[m, k]; exactly 0 for k = 1, and for the code in use if not centred.</returns>
    /// <exception cref="ArgumentException">A length does not fit, or the codes are not such.</exception>
    public Bounded[] Gradient(ReadOnlySpan<float> logits, ReadOnlySpan<float> codebook, ReadOnlySpan<float> grad)
    {
        _ = new AssignReference(codebook); // refuses codes that are not such
        int k = codebook.Length;
        Check.Length(logits, grad.Length * k);
        var gradient = new Bounded[logits.Length];
        for (int m = 0; m < grad.Length; m++)
        {
            ReadOnlySpan<float> row = logits.Slice(m * k, k);
            Bounded[] p = Softmax(row);
            Bounded[] v = Directions(codebook, Hard(row));
            Bounded[] centred = _isCentred && k > 1 ? Centre(p, v, codebook) : v;
            for (int i = 0; i < k; i++)
            {
                gradient[(m * k) + i] = Product(grad[m], p[i], centred[i]);
            }
        }

        return gradient;
    }

    /// <summary>What hardening adds to a loss, and to the gradient.</summary>
    /// <param name="logits">[m, k].</param>
    /// <param name="k">The number of codes.</param>
    /// <param name="weight">Its weight, exact in binary32 or rounded once.</param>
    /// <returns>weight (1 - sum p^2) of each weight, [m], and the gradient to the logits, [m, k].</returns>
    /// <exception cref="ArgumentException">These are not whole rows.</exception>
    public (Bounded[] Value, Bounded[] GradLogits) Harden(ReadOnlySpan<float> logits, int k, double weight = 1)
    {
        var value = new Bounded[Check.Rows(logits, k)];
        var gradient = new Bounded[logits.Length];
        for (int m = 0; m < value.Length; m++)
        {
            Bounded[] p = Softmax(logits.Slice(m * k, k));
            Bounded sum = Bounded.Sum(Array.ConvertAll(p, q => q * q));
            value[m] = k == 1 ? 0 : Bounded.Rounded(weight) * (1 - sum);
            for (int i = 0; i < k; i++)
            {
                gradient[(m * k) + i] = k == 1 ? 0 : Product(Bounded.Rounded(-2 * weight), p[i], p[i] - sum);
            }
        }

        return (value, gradient);
    }

    private static int Hard(ReadOnlySpan<float> logits)
    {
        int best = -1;
        for (int i = 0; i < logits.Length; i++)
        {
            if (!float.IsNaN(logits[i]) && (best < 0 || logits[i] > logits[best]))
            {
                best = i;
            }
        }

        return Math.Max(best, 0);
    }

    /// <summary>v - sum p v.</summary>
    private Bounded[] Centre(Bounded[] p, Bounded[] v, ReadOnlySpan<float> codebook)
    {
        Bounded mean = Mean(p, v);
        Bounded[] codes = Array.ConvertAll(codebook.ToArray(), c => (Bounded)c);
        Bounded soft = Mean(p, codes);
        var centred = new Bounded[v.Length];
        for (int i = 0; i < v.Length; i++)
        {
            centred[i] = v[i] - mean;
            if (_phi is null && _decay == MappingDecay.Distance)
            {
                centred[i] = Bounded.Either(centred[i], codes[i] - soft);
            }
        }

        return centred;

        static Bounded Mean(Bounded[] p, Bounded[] values)
        {
            var terms = new Bounded[p.Length];
            for (int i = 0; i < terms.Length; i++)
            {
                terms[i] = p[i] * values[i];
            }

            // Before the division by sum e, a term is e v, and e is p over the largest p.
            double most = p.Max(share => share.Value);
            Bounded[] before = Array.ConvertAll(terms, term => (Bounded)(term.Value / most));
            Bounded sum = Bounded.Sum(terms);
            return double.IsPositiveInfinity(Bounded.Sum(before).Bound)
                ? sum with { Bound = double.PositiveInfinity }
                : sum;
        }
    }

    /// <summary>g p v / t, in any order, with t or its reciprocal.</summary>
    private Bounded Product(Bounded g, Bounded p, Bounded v)
    {
        // In some order g meets 1 / t before a factor that is small, or 0.
        bool overflows = !Bounded.Rounded(g.Value / _temperature).IsInDomain;
        if (g is { Value: 0, Bound: 0 } || v is { Value: 0, Bound: 0 })
        {
            return double.IsNaN(p.Value) ? p : overflows || !v.IsInDomain ? new Bounded(0, double.PositiveInfinity) : 0;
        }

        Bounded product = g * p * v * (_temperature == 1 ? 1 : Bounded.Rounded(1 / _temperature));
        if (overflows && !double.IsNaN(product.Bound))
        {
            return product with { Bound = double.PositiveInfinity };
        }

        double sizes = (1 + Math.Abs(g.Value)) * (1 + Math.Abs(v.Value) + v.Bound) * (1 + (1 / _temperature));
        double roundings = 2 * U * Math.Abs(product.Value);
        return product with { Bound = product.Bound + roundings + (2 * Bounded.LeastSubnormal * sizes) };
    }

    private Bounded[] Directions(ReadOnlySpan<float> codebook, int hard)
    {
        int k = codebook.Length;
        float own = codebook[hard];
        float below = float.NegativeInfinity;
        float above = float.PositiveInfinity;
        foreach (float c in codebook)
        {
            below = c < own ? Math.Max(below, c) : below;
            above = c > own ? Math.Min(above, c) : above;
        }

        Bounded range = (Bounded)codebook[^1] - codebook[0];
        Bounded gap = k < 3 ? range : Bounded.Either(range / (k - 1), range * Bounded.Rounded(1.0 / (k - 1)));
        var v = new Bounded[k];
        for (int i = 0; i < k; i++)
        {
            Bounded difference = (Bounded)codebook[i] - own;
            if (codebook[i] != own)
            {
                Bounded distance = Bounded.Abs(difference);
                bool isAdjacent = codebook[i] == below || codebook[i] == above;
                Bounded phi = _phi is not null ? _phi(distance, gap) : Phi(distance, gap, isAdjacent);
                v[i] = codebook[i] < own ? -phi : phi;
            }
        }

        return v;
    }

    private Bounded Phi(Bounded d, Bounded gap, bool isAdjacent) => _decay switch
    {
        MappingDecay.Ratio => Bounded.Either(gap * gap / (d + gap), gap * (gap / (d + gap))),
        MappingDecay.Exponential => gap * Bounded.Exp(-Bounded.Either(d / gap, d * (1 / gap)), 4 * U),
        MappingDecay.Adjacent => gap * (isAdjacent ? 1 : 0),
        _ => d,
    };

    private Bounded[] Softmax(ReadOnlySpan<float> logits)
    {
        int k = logits.Length;
        double largest = logits[Hard(logits)];
        var e = new Bounded[k];
        for (int i = 0; i < k; i++)
        {
            double x = (logits[i] - largest) / _temperature;
            double value = Math.Exp(x);
            double relative = ((_temperature == 1 ? 1 : 3) * Math.Abs(x)) + 4;
            // Where it is 0, x may be infinite.
            e[i] = new Bounded(value, (value == 0 ? 0 : Slack * U * relative * value) + Flushed);
        }

        Bounded total = Bounded.Sum(e);
        return k == 1 && total.Value == 1
            ? [1]
            : Array.ConvertAll(e, each => Bounded.Either(each / total, each * (1 / total)));
    }
}
