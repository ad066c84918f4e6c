using System.Numerics;
using Kernels.References.VectorQuantization;

namespace Kernels.References.Quantization;

/// <summary>The nearest code of a weight, exactly: the least |w - s c| over the real numbers, the lowest index of a
/// tie.</summary>
/// <remarks>
/// <para>
/// With x = w / s this is the code nearest to x. A codebook of numbers ascends, and may repeat one; the boundary
/// between two codes is their middle, and a weight on it has the lower code, as in bitsandbytes; of equal codes, the
/// first one. (A search among the middles finds some of several equal codes, so it must go to the first.) A negative
/// scale turns the order of the weights, and the rule stays. For codes of several numbers the squared distance counts.
/// </para>
/// <para>
/// Not finite: a weight that is infinite has the last code or the first one (of its kind), by the sign of w s. Where
/// the scale is 0 or infinite, x is 0 for a finite weight, so that its code is the one nearest to 0: with scale 0 any
/// code would give 0, and this one gives next to nothing if the scale is later stored with an error. Everything else,
/// NaN among it, has code 0, and so has a vector with a number that is not finite, unless the scale is 0.
/// </para>
/// <para>
/// Bound: a binary32 kernel compares x, from a division or a product with 1 / s, to middles (a + b) / 2, or w to s
/// times those, or to middles of s a and s b. Two codes are then taken for each other only if w is within
/// |s| (dx + dm) + u |s m| + u (|s a| + |s b|) / 2 of s m, dx the error of x and dm that of m, u = 2^-24. Without a
/// scale dm is left, which is 0 where a + b is a binary32 number. For several numbers, distances are sums of squares of
/// differences in any order. Codes that are equal are never taken for each other.
/// </para>
/// </remarks>
public sealed class AssignReference
{
    private readonly float[] _codebook;
    private readonly int[] _first;

    /// <summary>Prepares a codebook.</summary>
    /// <param name="codebook">The codes, [k, length], finite; ascending if the length is 1.</param>
    /// <param name="length">The length of a code.</param>
    /// <exception cref="ArgumentException">There is no code, or the codes are not such.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The length is less than 1.</exception>
    public AssignReference(ReadOnlySpan<float> codebook, int length = 1)
    {
        Codes = Check.Rows(codebook, length);
        Length = length;
        _codebook = codebook.ToArray();
        if (Codes == 0 || !Array.TrueForAll(_codebook, float.IsFinite))
        {
            throw new ArgumentException("Expected finite codes, at least one.", nameof(codebook));
        }

        for (int code = 1; length == 1 && code < Codes; code++)
        {
            if (codebook[code] < codebook[code - 1])
            {
                throw new ArgumentException(
                    $"Must ascend: code {code} is {codebook[code]} after {codebook[code - 1]}.", nameof(codebook));
            }
        }

        _first = new int[Codes];
        for (int code = 0; code < Codes; code++)
        {
            // Numbers that ascend are equal side by side.
            int other = length == 1 && code > 0 ? code - 1 : 0;
            while (!AreEqual(code, other))
            {
                other++;
            }

            _first[code] = other < code ? _first[other] : code;
        }
    }

    /// <summary>The number k of codes.</summary>
    public int Codes { get; }

    /// <summary>The length of a code.</summary>
    public int Length { get; }

    /// <summary>The nearest codes of a matrix.</summary>
    /// <param name="shape">Its shape.</param>
    /// <param name="w">The weights, [rows, columns].</param>
    /// <param name="codebook">The codebooks, [codebooks, k, length].</param>
    /// <param name="scale">The scales, or empty if the shape has none.</param>
    /// <returns>[rows, columns / length].</returns>
    /// <exception cref="ArgumentException">A length does not fit, or a codebook is not such.</exception>
    /// <exception cref="ArgumentNullException">The shape is null.</exception>
    public static int[] Assign(
        CodebookShape shape, ReadOnlySpan<float> w, ReadOnlySpan<float> codebook, ReadOnlySpan<float> scale)
    {
        AssignReference[] books = Books(shape, w, codebook, scale);
        var index = new int[shape.Indices];
        for (int i = 0; i < index.Length; i++)
        {
            int weight = i * shape.Length;
            index[i] = books[shape.Codebooks.Of(weight)].Nearest(
                w.Slice(weight, shape.Length), shape.Scale(weight, scale));
        }

        return index;
    }

    /// <summary>Looks for a code that no right binary32 computation finds.</summary>
    /// <param name="shape">The shape of the matrix.</param>
    /// <param name="w">The weights, [rows, columns].</param>
    /// <param name="codebook">The codebooks, [codebooks, k, length].</param>
    /// <param name="scale">The scales, or empty if the shape has none.</param>
    /// <param name="index">The codes found, [rows, columns / length].</param>
    /// <returns>The first place with such a code; -1 if there is none.</returns>
    /// <exception cref="ArgumentException">A length does not fit, or a codebook is not such.</exception>
    /// <exception cref="ArgumentNullException">The shape is null.</exception>
    public static int FirstWrong(
        CodebookShape shape, ReadOnlySpan<float> w, ReadOnlySpan<float> codebook, ReadOnlySpan<float> scale,
        ReadOnlySpan<int> index)
    {
        AssignReference[] books = Books(shape, w, codebook, scale);
        Check.Length(index, shape.Indices);
        for (int i = 0; i < index.Length; i++)
        {
            int weight = i * shape.Length;
            if (!books[shape.Codebooks.Of(weight)].Admits(
                w.Slice(weight, shape.Length), shape.Scale(weight, scale), index[i]))
            {
                return i;
            }
        }

        return -1;
    }

    /// <summary>The nearest code of a number.</summary>
    /// <param name="w">The weight; the length of a code is 1.</param>
    /// <param name="scale">The scale.</param>
    /// <returns>0 to k - 1.</returns>
    /// <exception cref="ArgumentException">A code has several numbers.</exception>
    public int Nearest(float w, float scale) => Nearest([w], scale);

    /// <summary>The nearest code.</summary>
    /// <param name="w">As many weights as a code has numbers.</param>
    /// <param name="scale">The scale.</param>
    /// <returns>0 to k - 1.</returns>
    /// <exception cref="ArgumentException">There are more weights, or less.</exception>
    public int Nearest(ReadOnlySpan<float> w, float scale)
    {
        Check.Length(w, Length);
        Span<float> x = stackalloc float[Length];
        return Special(w, scale, x) is { } code ? code : scale is 0 or float.PositiveInfinity or float.NegativeInfinity
            ? Finite(x, 1)
            : Finite(w, scale);
    }

    /// <summary>Whether a binary32 computation that is right may find this code.</summary>
    /// <param name="w">As many weights as a code has numbers.</param>
    /// <param name="scale">The scale.</param>
    /// <param name="code">The code found.</param>
    /// <returns>Whether it is the nearest one, or one that the bounds allow instead.</returns>
    /// <exception cref="ArgumentException">There are more weights, or less.</exception>
    public bool Admits(ReadOnlySpan<float> w, float scale, int code)
    {
        if (code == Nearest(w, scale))
        {
            return true;
        }

        if (code < 0 || code >= Codes || _first[code] != code)
        {
            return false;
        }

        Span<float> x = stackalloc float[Length];
        if (Special(w, scale, x) is not null)
        {
            return false;
        }

        bool isZero = scale == 0 || float.IsInfinity(scale);
        ReadOnlySpan<float> numbers = isZero ? x : w;
        scale = isZero ? 1 : scale;
        if (Length > 1)
        {
            return AdmitsVector(numbers, scale, code);
        }

        int above = code + 1;
        while (above < Codes && _first[above] == code)
        {
            above++;
        }

        return (code == 0 || Excess(numbers[0], scale, _codebook[code - 1], _codebook[code]) >= 0)
            && (above == Codes || Excess(-numbers[0], scale, -_codebook[above], -_codebook[code]) >= 0);
    }

    private static AssignReference[] Books(
        CodebookShape shape, ReadOnlySpan<float> w, ReadOnlySpan<float> codebook, ReadOnlySpan<float> scale)
    {
        ArgumentNullException.ThrowIfNull(shape);
        Check.Length(w, shape.Weights);
        shape.CheckCodebook(codebook, scale);
        var books = new AssignReference[shape.Codebooks.Count];
        int size = shape.Codes * shape.Length;
        for (int book = 0; book < books.Length; book++)
        {
            books[book] = new AssignReference(codebook.Slice(book * size, size), shape.Length);
        }

        return books;
    }

    /// <summary>How far x may be above the middle of two codes; negative if no rounding leads above it.</summary>
    private static double Excess(float w, float scale, double below, double above)
    {
        Bounded middle = Middle(below, above);
        double half = middle.Value;
        Bounded x = Bounded.Either((Bounded)w / scale, w * (Bounded.FromDouble(1) / scale));
        double size = Math.Abs((double)scale);
        double scaled = scale == 1 ? 0 : Bounded.UnitRoundoff * size * (Math.Abs(below) + Math.Abs(above)) / 2;
        double allowed = (size * (x.Bound + middle.Bound)) + (scale * middle).Bound + scaled;

        double excess = Math.Sign(scale) * (w - (scale * half));

        // Without any error a number on the middle has the lower code, which is known as the nearest one.
        return allowed == 0 && excess == 0 ? -1 : excess + (allowed * (1 + 1e-6));
    }

    /// <summary>The middle of two codes as a kernel computes it.</summary>
    internal static Bounded Middle(Bounded below, Bounded above)
    {
        double sum = below.Value + above.Value;
        double half = sum / 2;
        double bounds = (below.Bound + above.Bound) / 2;
        // Also where binary64 takes a code that is far smaller than the other for nothing.
        double part = sum - below.Value;
        bool isSum = below.Value - (sum - part) + (above.Value - part) == 0;
        bool isExact = isSum && (float)sum == sum && (float)half == half && bounds == 0;
        double rounding = (Bounded.UnitRoundoff * (Math.Abs(half) + bounds)) + Bounded.LeastSubnormal;
        bool overflows = Math.Abs(sum) + (2 * bounds) > float.MaxValue;
        return new Bounded(half, overflows ? double.PositiveInfinity : isExact ? 0 : bounds + rounding);
    }

    private static BigInteger Exactly(ReadOnlySpan<float> w, float scale, ReadOnlySpan<float> code)
    {
        BigInteger sum = 0;
        for (int i = 0; i < w.Length; i++)
        {
            BigInteger difference = (Dyadic.Integer(w[i]) << -Dyadic.LeastExponent)
                - (Dyadic.Integer(scale) * Dyadic.Integer(code[i]));
            sum += difference * difference;
        }

        return sum;
    }

    private ReadOnlySpan<float> Code(int code) => _codebook.AsSpan(code * Length, Length);

    private bool AreEqual(int a, int b)
    {
        for (int i = 0; i < Length; i++)
        {
            if (Code(a)[i] != Code(b)[i])
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The code of what is no number; x is left at 0 for a scale that makes it so.</summary>
    private int? Special(ReadOnlySpan<float> w, float scale, Span<float> x)
    {
        x.Clear();
        bool isFinite = true;
        foreach (float number in w)
        {
            isFinite &= float.IsFinite(number);
        }

        if (scale == 0 || (isFinite && !float.IsNaN(scale)))
        {
            return null;
        }

        return Length == 1 && float.IsInfinity(w[0]) && float.IsFinite(scale) && w[0] > 0 == scale > 0
            ? _first[^1]
            : 0;
    }

    private int Finite(ReadOnlySpan<float> w, float scale)
    {
        Span<double> distances = stackalloc double[Codes];
        double least = double.PositiveInfinity;
        for (int code = 0; code < Codes; code++)
        {
            double sum = 0;
            for (int i = 0; i < w.Length; i++)
            {
                // The product is exact; a difference, its square and their sum each have a relative error of 2^-53.
                double difference = w[i] - ((double)scale * Code(code)[i]);
                sum += difference * difference;
            }

            distances[code] = sum;
            least = Math.Min(least, sum);
        }

        int best = -1;
        double limit = least * (1 + (4 * (Length + 4) * 1.2e-16));
        BigInteger exact = 0;
        for (int code = 0; code < Codes; code++)
        {
            if (!(distances[code] <= limit) || _first[code] != code)
            {
                continue;
            }

            if (best < 0)
            {
                best = code;
                continue;
            }

            exact = exact.IsZero ? Exactly(w, scale, Code(best)) : exact;
            BigInteger other = Exactly(w, scale, Code(code));
            if (other < exact)
            {
                best = code;
                exact = other;
            }
        }

        return best;
    }

    private bool AdmitsVector(ReadOnlySpan<float> w, float scale, int code)
    {
        double own = 0;
        double least = double.PositiveInfinity;
        var terms = new Bounded[Length];
        for (int other = 0; other < Codes; other++)
        {
            double bound = 0;
            Bounded distance = default;
            foreach (bool divides in new[] { false, true })
            {
                double unit = divides ? (double)scale * scale : 1;
                for (int i = 0; i < Length; i++)
                {
                    Bounded difference = divides
                        ? Bounded.Either((Bounded)w[i] / scale, w[i] * (Bounded.FromDouble(1) / scale)) - Code(other)[i]
                        : w[i] - ((Bounded)scale * Code(other)[i]);
                    terms[i] = difference * difference;
                }

                Bounded sum = Bounded.Sum(terms);
                bound = Math.Max(bound, sum.Bound * unit);
                distance = divides ? distance : sum;
            }

            own = other == code ? distance.Value - bound : own;
            least = Math.Min(least, distance.Value + bound);
        }

        return own <= least;
    }
}
