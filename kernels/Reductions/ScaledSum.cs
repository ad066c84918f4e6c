namespace Kernels.DeviceCode.Reductions;

/// <summary>
/// A sum of squares that neither overflows nor underflows: Sum * Size^2, where Size is a power of two.
/// </summary>
/// <remarks>
/// Source: after Blue 1978, ACM TOMS 4(1), and LAPACK's dnrm2, which keep three sums, one for each range of sizes. Here
/// eight values are scaled together by the power of two of the largest of them, so that one sum is kept, and no value
/// needs a branch.
/// Domain: a NaN or an infinity makes the sum NaN or infinite, and nothing else does.
/// Error: scaling by powers of two is exact. Of eight values that are not all 0 the largest is scaled into [2^-23, 4),
/// so its square is at least 2^-46; what underflows loses less than 2^-149, which is 2^-103 of that. So one rounding for
/// the square and one for each addition that it goes through remain: gamma(depth + 1), and n 2^-103.
/// </remarks>
internal struct ScaledSum<T>
    where T : struct, INormLane<T>
{
    public T Sum;

    public T Size;

    /// <summary>The sum of eight squares, first to last.</summary>
    internal static ScaledSum<T> OfSquares(T a, T b, T c, T d, T e, T f, T g, T h)
    {
        T low = T.Larger(T.Larger(T.Abs(a), T.Abs(b)), T.Larger(T.Abs(c), T.Abs(d)));
        T high = T.Larger(T.Larger(T.Abs(e), T.Abs(f)), T.Larger(T.Abs(g), T.Abs(h)));
        T size = T.PowerOf(T.Larger(low, high));
        T inverse = T.InverseOf(size);
        a = a * inverse;
        b = b * inverse;
        c = c * inverse;
        d = d * inverse;
        e = e * inverse;
        f = f * inverse;
        g = g * inverse;
        h = h * inverse;
        T sum = a * a;
        sum = sum + b * b;
        sum = sum + c * c;
        sum = sum + d * d;
        sum = sum + e * e;
        sum = sum + f * f;
        sum = sum + g * g;
        sum = sum + h * h;
        return new ScaledSum<T> { Sum = sum, Size = size };
    }

    /// <summary>The sum of both.</summary>
    internal readonly ScaledSum<T> Plus(ScaledSum<T> other)
    {
        T size = T.Larger(Size, other.Size);
        T inverse = T.InverseOf(size);
        T left = Size * inverse;
        T right = other.Size * inverse;
        // One factor after the other: their product may underflow where the term does not.
        return new ScaledSum<T> { Sum = Sum * left * left + other.Sum * right * right, Size = size };
    }

    /// <summary>The root of the sum; infinite if it is above the largest number.</summary>
    internal readonly T Root() => T.Sqrt(Sum) * Size;

    /// <summary>The sum itself; infinite or 0 where it is out of range.</summary>
    internal readonly T Value() => Sum * Size * Size;
}
