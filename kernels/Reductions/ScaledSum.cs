using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Util;

namespace Kernels.DeviceCode.Reductions;

/// <summary>
/// A sum of squares that neither overflows nor underflows: Sum * Size^2, where Size is a power of two.
/// </summary>
/// <remarks>
/// Source: after Blue 1978, ACM TOMS 4(1), and LAPACK's dnrm2, which keep three sums, one for each range of sizes. Here
/// a run of values is scaled together by the power of two of its largest, and only where the plain sum is out of range.
/// Domain: a NaN or an infinity makes the sum NaN or infinite, and nothing else does.
/// Error: scaling by powers of two is exact, and what underflows when two sums are added is below 2^-40 of the other.
/// </remarks>
internal struct ScaledSum
{
    private const uint Least = 0x00800000;   // 2^-126
    private const uint Largest = 0x7E800000; // 2^126

    public float Sum;

    public float Size;

    internal static ScaledSum Of(float sum, float size) => new() { Sum = sum, Size = size };

    /// <summary>The power of two at or below a number given by its bits, held within 2^-126 and 2^126.</summary>
    internal static float PowerOf(uint magnitude)
    {
        uint power = magnitude & 0x7F800000;
        power = Utilities.Select(power > Least, power, Least);
        return Interop.IntAsFloat(Utilities.Select(power < Largest, power, Largest));
    }

    /// <summary>1 / a power of two within 2^-126 and 2^126; exact.</summary>
    internal static float InverseOf(float power) => Interop.IntAsFloat(Least + Largest - Interop.FloatAsInt(power));

    /// <summary>The sum of both.</summary>
    internal readonly ScaledSum Plus(ScaledSum other)
    {
        float size = Utilities.Select(Size > other.Size, Size, other.Size);
        float inverse = InverseOf(size);
        float left = Size * inverse;
        float right = other.Size * inverse;
        // One factor after the other: their product may underflow where the term does not.
        return Of(Sum * left * left + other.Sum * right * right, size);
    }

    /// <summary>The root of the sum; infinite if it is above the largest number.</summary>
    internal readonly float Root() => XMath.Sqrt(Sum) * Size;

    /// <summary>The sum itself; infinite or 0 where it is out of range.</summary>
    internal readonly float Value() => Sum * Size * Size;
}
