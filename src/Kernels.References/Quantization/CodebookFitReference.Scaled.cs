namespace Kernels.References.Quantization;

/// <content>Codes with scales, and of several weights.</content>
public static partial class CodebookFitReference
{
    /// <summary>The best codes for given indices: sum h s^2 (w / s) / sum h s^2, over the weights of a code, in binary32 and
    /// any order of the sums.</summary>
    /// <param name="shape">The matrix.</param>
    /// <param name="index">The codes, [indices].</param>
    /// <param name="w">The weights.</param>
    /// <param name="scale">The scales; empty if there are none.</param>
    /// <param name="h">How much the weights of each code count, [indices]; all 1 if empty.</param>
    /// <param name="before">The codes as they were. One without weights stays.</param>
    /// <param name="isMoved">Whether a code moves by sum h s^2 (w / s - c) / sum h s^2 in place of the quotient.</param>
    /// <returns>[codebooks, k, length].</returns>
    public static Bounded[] Best(
        CodebookShape shape, ReadOnlySpan<int> index, ReadOnlySpan<float> w, ReadOnlySpan<float> scale,
        ReadOnlySpan<float> h, ReadOnlySpan<float> before, bool isMoved)
    {
        ArgumentNullException.ThrowIfNull(shape);
        var terms = new List<Bounded>[before.Length];
        var masses = new List<Bounded>[before.Length];
        for (int i = 0; i < before.Length; i++)
        {
            (terms[i], masses[i]) = ([], []);
        }

        for (int i = 0; i < shape.Weights; i++)
        {
            (Bounded number, Bounded mass) = Normal(shape, i, w, scale, h);
            if (mass.Value > 0)
            {
                int entry = shape.Entry(i, index);
                terms[entry].Add(mass * (isMoved ? number - before[entry] : number));
                masses[entry].Add(mass);
            }
        }

        var best = new Bounded[before.Length];
        for (int i = 0; i < best.Length; i++)
        {
            Bounded move = masses[i].Count == 0 ? 0 : Bounded.Sum([.. terms[i]]) / Bounded.Sum([.. masses[i]]);
            best[i] = masses[i].Count == 0 ? before[i] : isMoved ? before[i] + move : move;
        }

        return best;
    }

    /// <summary>sum h s^2 (w / s - c)^2, in binary32 and any order of the sum.</summary>
    /// <param name="shape">The matrix.</param>
    /// <param name="index">The codes, [indices].</param>
    /// <param name="w">The weights.</param>
    /// <param name="scale">The scales; empty if there are none.</param>
    /// <param name="h">How much the weights of each code count, [indices]; all 1 if empty.</param>
    /// <param name="codebook">[codebooks, k, length].</param>
    /// <returns>The error.</returns>
    public static Bounded ScaledError(
        CodebookShape shape, ReadOnlySpan<int> index, ReadOnlySpan<float> w, ReadOnlySpan<float> scale,
        ReadOnlySpan<float> h, ReadOnlySpan<float> codebook)
    {
        ArgumentNullException.ThrowIfNull(shape);
        var terms = new Bounded[shape.Weights];
        for (int i = 0; i < terms.Length; i++)
        {
            (Bounded number, Bounded mass) = Normal(shape, i, w, scale, h);
            Bounded distance = number - codebook[shape.Entry(i, index)];
            terms[i] = mass * (distance * distance);
        }

        return Bounded.Sum(terms);
    }

    /// <summary>A weight over its scale, and what it counts; both 0 if one of the weights of its code does not.</summary>
    private static (Bounded Number, Bounded Mass) Normal(
        CodebookShape shape, int weight, ReadOnlySpan<float> w, ReadOnlySpan<float> scale, ReadOnlySpan<float> h)
    {
        int code = weight / shape.Length;
        float s = shape.Scale(weight, scale);
        float own = h.IsEmpty ? 1 : h[code];
        bool counts = own > 0 && float.IsFinite(own) && s != 0 && float.IsFinite(s);
        foreach (float number in w.Slice(code * shape.Length, shape.Length))
        {
            counts &= float.IsFinite(number);
        }

        return counts ? ((Bounded)w[weight] / s, (Bounded)s * s * own) : (0, 0);
    }
}
