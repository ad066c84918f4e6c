using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Reductions;

/// <summary>
/// A sum of squares that neither overflows nor underflows: Sum * Size^2, where Size is 2^-90, 1 or 2^90.
/// </summary>
/// <remarks>
/// Source: after Blue 1978, ACM TOMS 4(1), and LAPACK's dnrm2: three ranges of size. Here eight values choose their
/// range together by the largest of them, so that one sum is kept instead of three.
/// Domain: fewer than 2^36 values. A NaN or an infinity makes the sum NaN or infinite.
/// Error: scaling by powers of two is exact. The largest scaled value of a block that is not zero lies in
/// (2^-59, 2^45], so its square is normal and the sum of fewer than 2^36 blocks is finite; what underflows is below
/// 2^-149 beside at least 2^-90. So one rounding for the square and one for each addition that it goes through remain:
/// gamma(depth + 1), and less than 2^-59 for each value that underflows.
/// </remarks>
internal struct ScaledSum<T>
    where T : struct, ILane<T>
{
    private const float Large = 1.2379400392853803e27f;     // 2^90
    private const float Small = 8.0779356694631609e-28f;    // 2^-90
    private const float LargeFrom = 35184372088832f;        // 2^45
    private const float SmallBelow = 2.8421709430404007e-14f; // 2^-45

    public T Sum;

    public T Size;

    /// <summary>The sum of nothing.</summary>
    internal static ScaledSum<T> Zero => new() { Sum = T.Of(0f), Size = T.Of(Small) };

    /// <summary>The sum of eight squares, first to last.</summary>
    internal static ScaledSum<T> OfSquares(T a, T b, T c, T d, T e, T f, T g, T h)
    {
        T largest = Larger(T.Abs(a), Larger(T.Abs(b), Larger(T.Abs(c), T.Abs(d))));
        largest = Larger(T.Abs(e), Larger(T.Abs(f), Larger(T.Abs(g), Larger(T.Abs(h), largest))));
        T size = T.IfGreater(
            largest, T.Of(LargeFrom), T.Of(Large), T.IfGreater(T.Of(SmallBelow), largest, T.Of(Small), T.Of(1f)));
        T inverse = InverseOf(size);
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
        T size = Larger(Size, other.Size);
        T inverse = InverseOf(size);
        T left = Size * inverse;
        T right = other.Size * inverse;
        // One factor after the other: their product may underflow where the term does not.
        return new ScaledSum<T> { Sum = Sum * left * left + other.Sum * right * right, Size = size };
    }

    /// <summary>The root of the sum; infinite if it is above the largest number.</summary>
    internal readonly T Root() => T.Sqrt(Sum) * Size;

    /// <summary>The sum itself; infinite or 0 where it is out of range.</summary>
    internal readonly T Value() => Sum * Size * Size;

    private static T InverseOf(T size) => T.IfGreater(
        size, T.Of(1f), T.Of(Small), T.IfGreater(T.Of(1f), size, T.Of(Large), T.Of(1f)));

    private static T Larger(T left, T right) => T.IfGreater(left, right, left, right);
}
