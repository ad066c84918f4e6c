using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;
using Sixteen = Kernels.DeviceCode.Linear.Sixteen;

namespace Kernels.DeviceCode.VectorQuantization;

/// <summary>What certifying needs besides a search.</summary>
internal struct CertifyArguments
{
    /// <summary>The reach of each code, [heads, codes]: see <see cref="CodeTermWork{TCode, TMetric}"/>.</summary>
    public ArrayView<float> Reaches;

    /// <summary>The largest of each strip of the codes of a head, [heads, <see cref="Strips"/>].</summary>
    public ArrayView<float> Limits;

    /// <summary>The score that a code must reach to be nearest, [heads, rows]; NaN: the search was certain.</summary>
    public ArrayView<float> Thresholds;

    /// <summary>Strips of the codes of a head.</summary>
    internal const int Strips = 64;
}

/// <summary>The largest reach of the codes of a strip, every 64th code of a head; one strip of a head per item.</summary>
internal struct CodeLimitWork : IItemWork
{
    /// <summary>[heads, codes], as <see cref="CodeTermWork{TCode, TMetric}"/> leaves them.</summary>
    public ArrayView<float> Reaches;
    public ArrayView<float> Limits;
    public int CodeCount;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        long head = i / CertifyArguments.Strips;
        float limit = 0f;
        for (long k = i - head * CertifyArguments.Strips; k < CodeCount; k += CertifyArguments.Strips)
        {
            float reach = Reaches[head * CodeCount + k];
            limit = Utilities.Select(reach > limit, reach, limit);
        }

        Limits[i] = limit;
    }
}

/// <summary>
/// Decides whether the roundings leave a row's nearest code open, and merges its splits if not; one row of a head per item.
/// </summary>
/// <remarks>
/// Open is a row whose best score is not above the second by more than 2 B, where B bounds the rounding of any score.
/// Bound: with u = 2^-24, n products in any order and contracted or not, g(n) = n u / (1 - n u): the products cost
/// g(d + 1) |z| |e|, the term g(2 d) |e|^2 / 2 or, of the cosine, g(1.5 d + 4) |z|. B is (2.5 d + 16) u (|z| |e| + |e|^2)
/// or that times |z|, and (2.5 d + 16) u is above g(2 d + 8) up to d = 2^20, with the largest |e| of the head.
/// The norms are computed: up to g(d) &lt; 7 % too small, and d 2^-126 more where squares may have vanished.
/// Infinite, so that every code is looked at, where a score may have left the range of floats.
/// </remarks>
internal struct CertifyOpenWork<TRow, TMetric> : IItemWork
    where TRow : struct, IStorage
    where TMetric : struct, ICodeMetric
{
    private const float Least = 1.1754944e-38f; // 2^-126

    public TRow Rows;
    public NearestArguments Arguments;
    public CertifyArguments Certify;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        long head = i / Arguments.Rows;
        long row = i - head * Arguments.Rows;
        BestCode best = BestCode.OfSplits(Arguments, row, head, withSecond: 1);
        float codeSquares = 0f;
        for (int strip = 0; strip < CertifyArguments.Strips; strip++)
        {
            float limit = Certify.Limits[head * CertifyArguments.Strips + strip];
            codeSquares = Utilities.Select(limit > codeSquares, limit, codeSquares);
        }

        float rowSquares = 0f;
        for (int d = 0; d < Arguments.Dimension; d++)
        {
            float x = Rows.Decode(Rows.Read(row * Arguments.RowStride + head * Arguments.Dimension + d));
            rowSquares += x * x;
        }

        float lost = Arguments.Dimension * Least;
        float z = XMath.Sqrt((rowSquares + lost) * 1.1f);
        float e = XMath.Sqrt((codeSquares + lost) * 1.1f);
        float share = (2.5f * Arguments.Dimension + 16f) * (1f / 16777216f);
        float bound = share * TMetric.Size(z, e) * 1.1f + lost;
        // A comparison that a NaN makes false: then the row is open.
        bool certain = best.Score - best.Second > 2f * bound & z * e + e * e < 1e38f;
        float threshold = Utilities.Select(z * e + e * e < 1e38f, best.Score - 2f * bound, float.NegativeInfinity);
        Certify.Thresholds[i] = Utilities.Select(certain, float.NaN, threshold);
        if (certain)
        {
            Arguments.Scores[i] = best.Score;
            Arguments.Seconds[i] = best.Second;
            Arguments.Indices[i] = best.Index;
        }
    }
}

/// <summary>The exact nearest code of the rows that the search left open; merges their splits.</summary>
/// <remarks>
/// Source: ours. A split whose best score is below the row's threshold is passed over, and of one whose second score is
/// below it only the best code is looked at; of the others all. Barriers stand here themselves: ILGPU copies one in a
/// method of its own into both branches of an if before it.
/// Shapes: rows [n, heads, d], codes [heads, k, d], finite; thresholds and indices [heads, n].
/// Storage: rows and codes F32, F16, BF16. No rounding decides: scores are integers, see <see cref="ExactDigits"/>.
/// Traffic: 32 bytes for 8 rows that are certain; for an open one the codes of the splits that are not passed over once,
/// and those that reach its threshold as often as a number has digits.
/// Needs: at most 64 items a group, 4,536 bytes of shared memory.
/// Order: which scores reach the threshold may depend on roundings, the code that is chosen does not.
/// Ties: lowest index. Domain: a code with a NaN or an infinity never wins; nor does any against such a row.
/// </remarks>
internal static class NearestCertify
{
    internal const int GroupSize = 64;

    /// <summary>Rows of a group on a device, one after the other.</summary>
    internal const int RowsOfGroup = 8;

    // A code's place: the score; for the cosine z.e without its sign, the square of that, |e|^2, and the sign.
    private const int Square = ExactDigits.Count;
    private const int Norm = 3 * ExactDigits.Count;
    private const int Sign = 4 * ExactDigits.Count;
    private const int Place = Sign + 1;
    private const int Products = 2 * Place;

    /// <summary>Longs for the digits: of two codes, and of two products that compare them.</summary>
    private const int DigitRoom = Products + 2 * Norm;

    /// <summary>Ints for a flag of each item, their number, and the outcome of a comparison.</summary>
    private const int FlagRoom = GroupSize + 2;

    [DeviceKernel("vq/nearest.certify")]
    internal static void Rows<TRow, TCode, TMetric>(
        TRow rows, TCode codes, NearestArguments t, CertifyArguments c, int rowsOfGroup)
        where TRow : struct, IStorage
        where TCode : struct, IStorage
        where TMetric : struct, ICodeMetric
    {
        ArrayView<long> digits = SharedMemory.Allocate<long>(DigitRoom);
        ArrayView<int> flags = SharedMemory.Allocate<int>(FlagRoom);
        long begin = (long)Grid.IdxX * rowsOfGroup;
        long end = IntrinsicMath.Min(begin + rowsOfGroup, (long)t.Rows * t.Heads);
        for (long i = begin; i < end; i++)
        {
            float threshold = c.Thresholds[i];
            Group.Barrier();
            if ((Interop.FloatAsInt(threshold) & 0x7FFFFFFF) <= 0x7F800000)
            {
                long head = i / t.Rows;
                long row = i - head * t.Rows;
                BestCode best = BestCode.OfSplits(t, row, head, withSecond: 1);
                best.Index = One<TRow, TCode, TMetric>(rows, codes, t, digits, flags, row, head, threshold);
                Group.Barrier();
                if (Group.IdxX == 0)
                {
                    // A score of minus infinity never wins, and this one has: its code is the nearest all the same.
                    t.Scores[i] = Utilities.Select(best.Score < -float.MaxValue, -float.MaxValue, best.Score);
                    t.Seconds[i] = best.Second;
                    t.Indices[i] = best.Index;
                }

                Group.Barrier();
            }
        }
    }

    private static int One<TRow, TCode, TMetric>(
        TRow rows, TCode codes, NearestArguments t, ArrayView<long> digits, ArrayView<int> flags, long row, long head,
        float threshold)
        where TRow : struct, IStorage
        where TCode : struct, IStorage
        where TMetric : struct, ICodeMetric
    {
        long z = row * t.RowStride + head * t.Dimension;
        long codeBase = head * t.Codes;
        int champion = -1;
        int place = 0;
        for (int split = 0; split < t.Splits; split++)
        {
            long best = ((long)split * t.Heads + head) * t.Rows + row;
            int end = IntrinsicMath.Min((split + 1) * t.SplitCodes, t.Codes);
            int code = split * t.SplitCodes;
            if (AtLeast(t.Scores[best], threshold) == 0)
            {
                code = end;
            }
            else if (AtLeast(t.Seconds[best], threshold) == 0)
            {
                code = t.Indices[best];
                end = code + 1;
            }

            for (; code < end; code += Group.DimX)
            {
                if (Group.IdxX == 0)
                {
                    flags[GroupSize] = 0;
                }

                Group.Barrier();
                int own = code + Group.IdxX;
                int reaches = 0;
                if (own < end)
                {
                    reaches = Reaches<TRow, TCode, TMetric>(rows, codes, t, z, codeBase + own, threshold);
                }

                flags[Group.IdxX] = reaches;
                if (reaches != 0)
                {
                    Atomic.Add(ref flags[GroupSize], 1);
                }

                Group.Barrier();
                int count = flags[GroupSize];
                Group.Barrier();
                for (int item = 0; count > 0 & item < Group.DimX; item++)
                {
                    if (flags[item] != 0)
                    {
                        int challenger = code + item;
                        int order = champion < 0
                            ? Enter<TRow, TCode, TMetric>(rows, codes, t, digits, z, codeBase + challenger, place)
                            : Challenge<TRow, TCode, TMetric>(
                                rows, codes, t, digits, flags, z, codeBase + challenger, codeBase + champion, place);
                        if (order > 0)
                        {
                            place = champion < 0 ? place : Place - place;
                            champion = challenger;
                        }
                    }
                }

                Group.Barrier();
            }
        }

        return champion;
    }

    /// <summary>1 if a score is at least the threshold, by a number: OpenCL takes a branch on a comparison for NaN.</summary>
    private static int AtLeast(float score, float threshold) => Utilities.Select(score >= threshold, 1, 0);

    /// <summary>1 for a finite code whose score, to within its rounding, reaches the threshold, or is NaN.</summary>
    private static int Reaches<TRow, TCode, TMetric>(
        TRow rows, TCode codes, NearestArguments t, long z, long code, float threshold)
        where TRow : struct, IStorage
        where TCode : struct, IStorage
        where TMetric : struct, ICodeMetric
    {
        float term = t.Terms[code];
        long at = code * t.Dimension;
        Sixteen sums = Sixteen.Of(0f);
        int d = 0;
        for (; d + Sixteen.Width <= t.Dimension; d += Sixteen.Width)
        {
            sums += Sixteen.Decoded(rows, z + d).Times(Sixteen.Decoded(codes, at + d));
        }

        float sum = sums.Sum();
        for (; d < t.Dimension; d++)
        {
            sum += rows.Decode(rows.Read(z + d)) * codes.Decode(codes.Read(at + d));
        }

        float score = TMetric.EndsWithTerm ? sum * term : sum + term;
        uint magnitude = Interop.FloatAsInt(score) & 0x7FFFFFFF;
        int reaches = Utilities.Select(score >= threshold, 1, 0);
        reaches = Utilities.Select(magnitude > 0x7F800000, 1, reaches);
        // The term of a code that is not finite is NaN; that of no other is.
        return Utilities.Select((Interop.FloatAsInt(term) & 0x7FFFFFFF) > 0x7F800000, 0, reaches);
    }

    /// <summary>The score of a code into a place. 1.</summary>
    private static int Enter<TRow, TCode, TMetric>(
        TRow rows, TCode codes, NearestArguments t, ArrayView<long> digits, long z, long code, int place)
        where TRow : struct, IStorage
        where TCode : struct, IStorage
        where TMetric : struct, ICodeMetric
    {
        for (int digit = Group.IdxX; digit < ExactDigits.Count; digit += Group.DimX)
        {
            long score = 0;
            long squares = 0;
            for (int d = 0; d < t.Dimension; d++)
            {
                float x = rows.Decode(rows.Read(z + d));
                float e = codes.Decode(codes.Read(code * t.Dimension + d));
                score += TMetric.ExactDigit(x, e, digit);
                if (TMetric.EndsWithTerm)
                {
                    squares += ExactDigits.Of(e, e, 0, digit);
                }
            }

            digits[place + digit] = score;
            if (TMetric.EndsWithTerm)
            {
                digits[place + Norm + digit] = squares;
            }
        }

        Group.Barrier();
        if (Group.IdxX == 0)
        {
            ExactDigits.Carry(digits, place, ExactDigits.Count);
            if (TMetric.EndsWithTerm)
            {
                Prepare(digits, place);
            }
        }

        Group.Barrier();
        if (TMetric.EndsWithTerm)
        {
            for (int digit = Group.IdxX; digit < 2 * ExactDigits.Count; digit += Group.DimX)
            {
                digits[place + Square + digit] = ExactDigits.ProductDigit(
                    digits, place, ExactDigits.Count, place, ExactDigits.Count, digit);
            }

            Group.Barrier();
            if (Group.IdxX == 0)
            {
                ExactDigits.Carry(digits, place + Square, 2 * ExactDigits.Count);
            }

            Group.Barrier();
        }

        return 1;
    }

    /// <summary>The cosine's parts: |z.e| and its sign, and |e|^2, which may be anything but 0 for a code of zeros.</summary>
    private static void Prepare(ArrayView<long> digits, int place)
    {
        ExactDigits.Carry(digits, place + Norm, ExactDigits.Count);
        if (ExactDigits.Sign(digits, place + Norm, ExactDigits.Count) == 0)
        {
            digits[place + Norm] = 1;
        }

        int sign = ExactDigits.Sign(digits, place, ExactDigits.Count);
        digits[place + Sign] = sign;
        if (sign < 0)
        {
            for (int i = 0; i < ExactDigits.Count; i++)
            {
                digits[place + i] = -digits[place + i];
            }

            ExactDigits.Carry(digits, place, ExactDigits.Count);
        }
    }

    /// <summary>Whether a code's score is above that of the champion: 1, or not.</summary>
    private static int Challenge<TRow, TCode, TMetric>(
        TRow rows, TCode codes, NearestArguments t, ArrayView<long> digits, ArrayView<int> flags, long z, long code,
        long champion, int place)
        where TRow : struct, IStorage
        where TCode : struct, IStorage
        where TMetric : struct, ICodeMetric
    {
        // Equal codes are many where most are dead, and need no digits.
        if (Group.IdxX == 0)
        {
            flags[GroupSize] = 0;
        }

        Group.Barrier();
        int differs = 0;
        for (int d = Group.IdxX; d < t.Dimension; d += Group.DimX)
        {
            uint mine = Interop.FloatAsInt(codes.Decode(codes.Read(code * t.Dimension + d)));
            uint theirs = Interop.FloatAsInt(codes.Decode(codes.Read(champion * t.Dimension + d)));
            differs = Utilities.Select(mine == theirs, differs, 1);
        }

        if (differs != 0)
        {
            Atomic.Add(ref flags[GroupSize], 1);
        }

        Group.Barrier();
        int differences = flags[GroupSize];
        Group.Barrier();
        if (differences == 0)
        {
            return 0;
        }

        int other = Place - place;
        Enter<TRow, TCode, TMetric>(rows, codes, t, digits, z, code, other);
        if (TMetric.EndsWithTerm)
        {
            // (z.e)^2 |f|^2 against (z.f)^2 |e|^2.
            for (int digit = Group.IdxX; digit < Norm; digit += Group.DimX)
            {
                digits[Products + digit] = ExactDigits.ProductDigit(
                    digits, other + Square, 2 * ExactDigits.Count, place + Norm, ExactDigits.Count, digit);
                digits[Products + Norm + digit] = ExactDigits.ProductDigit(
                    digits, place + Square, 2 * ExactDigits.Count, other + Norm, ExactDigits.Count, digit);
            }

            Group.Barrier();
        }

        if (Group.IdxX == 0)
        {
            flags[GroupSize + 1] = TMetric.EndsWithTerm
                ? CompareSquares(digits, other, place)
                : ExactDigits.Compare(digits, other, place, ExactDigits.Count);
        }

        Group.Barrier();
        int order = flags[GroupSize + 1];
        Group.Barrier();
        return order;
    }

    /// <summary>The order of two cosines.</summary>
    private static int CompareSquares(ArrayView<long> digits, int a, int b)
    {
        ExactDigits.Carry(digits, Products, Norm);
        ExactDigits.Carry(digits, Products + Norm, Norm);
        int signA = (int)digits[a + Sign];
        int signB = (int)digits[b + Sign];
        return signA == signB ? signA * ExactDigits.Compare(digits, Products, Products + Norm, Norm) : signA - signB;
    }
}
