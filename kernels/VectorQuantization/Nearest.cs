using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.VectorQuantization;

/// <summary>What decides which code is nearest: the largest score z.e, with something for each code beside it.</summary>
/// <remarks>
/// Source: |z - e|^2 = |z|^2 - 2 (z.e - |e|^2 / 2), as in Johnson, Douze, Jegou 2017, arXiv:1702.08734. Shapes, traffic,
/// ties and domain are with the walks, <see cref="NearestTile"/> and <see cref="NearestRows"/>.
/// </remarks>
internal interface ICodeMetric
{
    /// <summary>Whether the code's term is what the products are added to.</summary>
    static abstract bool StartsWithTerm { get; }

    /// <summary>Whether the sum of products is multiplied by the code's term.</summary>
    static abstract bool EndsWithTerm { get; }

    /// <summary>The term of a code of finite numbers with this sum of squares.</summary>
    static abstract float Term(float squares);

    /// <summary>The distance, from the sums over all dimensions.</summary>
    /// <param name="differences">Sum of (z - e)^2.</param>
    /// <param name="products">Sum of z e.</param>
    /// <param name="rowSquares">Sum of z^2.</param>
    /// <param name="codeSquares">Sum of e^2.</param>
    static abstract float Distance(float differences, float products, float rowSquares, float codeSquares);

    /// <summary>The difference of two distances, from that of their scores.</summary>
    static abstract float Margin(float scores, float rowSquares);

    /// <summary>|e|^2 of a finite code that is not 0; infinite where its term is not right to within its roundings.</summary>
    static abstract float Reach(float squares, int dimension);

    /// <summary>What a score's rounding is proportional to, from the norms of a row and of the longest code.</summary>
    static abstract float Size(float z, float e);

    /// <summary>What a dimension adds to a digit of the exact score; of the cosine, to z.e.</summary>
    static abstract long ExactDigit(float z, float e, int digit);
}

/// <summary>Squared L2: |z - e|^2 = |z|^2 - 2 (z.e - |e|^2 / 2).</summary>
internal readonly struct SquaredL2 : ICodeMetric
{
    public static bool StartsWithTerm => true;

    public static bool EndsWithTerm => false;

    public static float Term(float squares) => -0.5f * squares;

    public static float Distance(float differences, float products, float rowSquares, float codeSquares) => differences;

    public static float Margin(float scores, float rowSquares) => 2f * scores;

    public static float Reach(float squares, int dimension) => squares;

    public static float Size(float z, float e) => z * e + e * e;

    // Twice the score.
    public static long ExactDigit(float z, float e, int digit) =>
        ExactDigits.Of(z, e, 1, digit) - ExactDigits.Of(e, e, 0, digit);
}

/// <summary>The negative dot product.</summary>
internal readonly struct NegativeDot : ICodeMetric
{
    public static bool StartsWithTerm => true;

    public static bool EndsWithTerm => false;

    public static float Term(float squares) => 0f;

    public static float Distance(float differences, float products, float rowSquares, float codeSquares) => -products;

    public static float Margin(float scores, float rowSquares) => scores;

    public static float Reach(float squares, int dimension) => squares;

    public static float Size(float z, float e) => z * e;

    public static long ExactDigit(float z, float e, int digit) => ExactDigits.Of(z, e, 0, digit);
}

/// <summary>1 - z.e / (|z| |e|); the cosine with a vector of zeros is 0.</summary>
internal readonly struct OneMinusCosine : ICodeMetric
{
    public static bool StartsWithTerm => false;

    public static bool EndsWithTerm => true;

    public static float Term(float squares) => Inverse(squares);

    public static float Distance(float differences, float products, float rowSquares, float codeSquares) =>
        1f - products * Inverse(rowSquares) * Inverse(codeSquares);

    // Where there is one code it is infinite, and must stay so though the inverse is 0.
    public static float Margin(float scores, float rowSquares)
    {
        float inverse = Inverse(rowSquares);
        return Utilities.Select(inverse == 0f, scores, scores * inverse);
    }

    // Between d 2^-40 and 1e37 squares neither vanish nor overflow, and what products lose is below d 2^-126.
    public static float Reach(float squares, int dimension) => Utilities.Select(
        squares > dimension * 9.094947e-13f & squares < 1e37f, squares, float.PositiveInfinity);

    public static float Size(float z, float e) => z;

    public static long ExactDigit(float z, float e, int digit) => ExactDigits.Of(z, e, 0, digit);

    private static float Inverse(float squares) => Utilities.Select(squares == 0f, 0f, 1f / XMath.Sqrt(squares));
}

/// <summary>What a search keeps besides the best code.</summary>
internal interface IRunnerUp
{
    /// <summary>Whether the score of the runner-up.</summary>
    static abstract bool Kept { get; }

    /// <summary>Whether the best <see cref="NearestArguments.Top"/> codes, in a <see cref="TopList"/>.</summary>
    static abstract bool Many { get; }
}

/// <summary>The best alone.</summary>
internal readonly struct BestOnly : IRunnerUp
{
    public static bool Kept => false;

    public static bool Many => false;
}

/// <summary>The best, and the score of the next.</summary>
internal readonly struct WithRunnerUp : IRunnerUp
{
    public static bool Kept => true;

    public static bool Many => false;
}

/// <summary>The best few.</summary>
internal readonly struct BestFew : IRunnerUp
{
    public static bool Kept => false;

    public static bool Many => true;
}

/// <summary>The sizes of a search, and where the best of each split goes.</summary>
internal struct NearestArguments
{
    /// <summary>[heads, codes].</summary>
    public ArrayView<float> Terms;

    /// <summary>Out, [splits, heads, top, rows]: the best of each split, in descending order.</summary>
    public ArrayView<float> Scores;
    public ArrayView<int> Indices;

    /// <summary>Out, [splits, heads, rows]: the scores of the runners-up.</summary>
    public ArrayView<float> Seconds;

    /// <summary>Codes to find for each row.</summary>
    public int Top;
    public int Rows;
    public int Codes;
    public int Dimension;
    public int Heads;

    /// <summary>Codes of a split.</summary>
    public int SplitCodes;
    public int Splits;

    /// <summary>Groups that share a split of a head.</summary>
    public int RowGroups;

    /// <summary>Elements from one row to the next.</summary>
    public readonly long RowStride => (long)Heads * Dimension;
}

/// <summary>The best code of a row so far.</summary>
/// <remarks>Scores that are NaN never win. Equal scores go to the lower index.</remarks>
internal struct BestCode
{
    public float Score;
    public float Second;
    public int Index;

    internal static BestCode None => new()
    {
        Score = float.NegativeInfinity,
        Second = float.NegativeInfinity,
        Index = -1,
    };

    /// <summary>Of all splits of a row, in ascending order; no split changes it.</summary>
    internal static BestCode OfSplits(NearestArguments t, long row, long head, int withSecond)
    {
        BestCode best = None;
        for (int split = 0; split < t.Splits; split++)
        {
            long at = (split * (long)t.Heads + head) * t.Rows + row;
            float second = float.NegativeInfinity;
            if (withSecond != 0)
            {
                second = t.Seconds[at];
            }

            best = best.Or(new BestCode { Score = t.Scores[at], Second = second, Index = t.Indices[at] });
        }

        return best;
    }

    /// <summary>With a code above all seen so far.</summary>
    internal void Take<TRunnerUp>(float score, int index)
        where TRunnerUp : struct, IRunnerUp
    {
        bool better = score > Score;
        if (TRunnerUp.Kept)
        {
            float second = Utilities.Select(score > Second, score, Second);
            Second = Utilities.Select(better, Score, second);
        }

        Index = Utilities.Select(better, index, Index);
        Score = Utilities.Select(better, score, Score);
    }

    /// <summary>Of two sets of codes.</summary>
    internal readonly BestCode Or(BestCode other)
    {
        bool theirs = (other.Score > Score) | ((other.Score == Score) & (other.Index < Index));
        float mine = Utilities.Select(other.Score > Second, other.Score, Second);
        float yours = Utilities.Select(Score > other.Second, Score, other.Second);
        return new BestCode
        {
            Score = Utilities.Select(theirs, other.Score, Score),
            Second = Utilities.Select(theirs, yours, mine),
            Index = Utilities.Select(theirs, other.Index, Index),
        };
    }
}

/// <summary>Whether all of some numbers are finite, by their bits: OpenCL drops comparisons that NaN would turn.</summary>
internal static class Finiteness
{
    /// <summary>The larger of a magnitude's bits and those of a number.</summary>
    internal static uint Larger(uint magnitude, float value)
    {
        uint bits = Interop.FloatAsInt(value) & 0x7FFFFFFF;
        return Utilities.Select(bits > magnitude, bits, magnitude);
    }

    /// <summary>Whether the largest magnitude is finite.</summary>
    internal static bool Is(uint magnitude) => magnitude < 0x7F800000;
}

/// <summary>The term of each code, one code per item; NaN, so that it never wins, for one that is not finite.</summary>
internal struct CodeTermWork<TCode, TMetric> : IItemWork
    where TCode : struct, IStorage
    where TMetric : struct, ICodeMetric
{
    public TCode Codes;
    public ArrayView<float> Terms;
    public int Dimension;

    /// <summary>Out, where wanted: <see cref="ICodeMetric.Reach"/>, 0 for a code of zeros or one that is not finite.</summary>
    public ArrayView<float> Reaches;
    public int WantsReach;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        float squares = 0f;
        uint largest = 0;
        for (int d = 0; d < Dimension; d++)
        {
            float e = Codes.Decode(Codes.Read(i * Dimension + d));
            squares += e * e;
            largest = Finiteness.Larger(largest, e);
        }

        Terms[i] = Utilities.Select(Finiteness.Is(largest), TMetric.Term(squares), float.NaN);
        if (WantsReach != 0)
        {
            bool counts = Finiteness.Is(largest) & largest != 0;
            Reaches[i] = Utilities.Select(counts, TMetric.Reach(squares, Dimension), 0f);
        }
    }
}

/// <summary>The best of all splits, its distance and its margin, one code of a row and head per item.</summary>
/// <remarks>
/// Order: lowest index on ties: no split changes the result. Of several codes the splits are merged before. The distance is summed anew
/// over the dimensions, L2 in the form of differences, in ascending order.
/// </remarks>
internal struct NearestResultWork<TRow, TCode, TMetric> : IItemWork
    where TRow : struct, IStorage
    where TCode : struct, IStorage
    where TMetric : struct, ICodeMetric
{
    public TRow Rows;
    public TCode Codes;
    public NearestArguments Arguments;

    /// <summary>Out, [rows, heads, top].</summary>
    public ArrayView<int> Index;

    /// <summary>Out, [rows, heads, top], where wanted.</summary>
    public ArrayView<float> Distance;

    /// <summary>Out, [rows, heads], where wanted.</summary>
    public ArrayView<float> Margin;

    /// <summary>Out, [rows, heads, top], where wanted.</summary>
    public ArrayView<float> Score;
    public int WantsDistance;
    public int WantsMargin;
    public int WantsScore;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        long result = i / Arguments.Top;
        long rank = i - result * Arguments.Top;
        long row = result / Arguments.Heads;
        long head = result - row * Arguments.Heads;
        BestCode best = Arguments.Top > 1
            ? TopList.Ranked(Arguments, row, head, rank)
            : BestCode.OfSplits(Arguments, row, head, WantsMargin);
        long z = row * Arguments.RowStride + head * Arguments.Dimension;
        long e = (head * Arguments.Codes + IntrinsicMath.Max(best.Index, 0)) * Arguments.Dimension;
        float differences = 0f;
        float products = 0f;
        float rowSquares = 0f;
        float codeSquares = 0f;
        uint largest = 0;
        for (int d = 0; d < Arguments.Dimension; d++)
        {
            float x = Rows.Decode(Rows.Read(z + d));
            float y = Codes.Decode(Codes.Read(e + d));
            float difference = x - y;
            differences += difference * difference;
            products += x * y;
            rowSquares += x * x;
            codeSquares += y * y;
            largest = Finiteness.Larger(largest, x);
        }

        // An infinite row has no nearest code, though some of its scores may be infinite.
        best.Index = Utilities.Select(Finiteness.Is(largest), best.Index, -1);
        Index[i] = best.Index;
        if (WantsDistance != 0)
        {
            float distance = TMetric.Distance(differences, products, rowSquares, codeSquares);
            Distance[i] = Utilities.Select(best.Index < 0, float.NaN, distance);
        }

        if (WantsScore != 0)
        {
            Score[i] = Utilities.Select(best.Index < 0, float.NegativeInfinity, best.Score);
        }

        if (WantsMargin != 0 & rank == 0)
        {
            float margin = TMetric.Margin(best.Score - best.Second, rowSquares);
            Margin[result] = Utilities.Select(best.Index < 0, float.NaN, margin);
        }
    }
}
