using System.Runtime.CompilerServices;

namespace Kernels.References;

/// <summary>Range checks of hyper-parameters, and of shapes.</summary>
internal static class Check
{
    internal static double NotNegative(double value, [CallerArgumentExpression(nameof(value))] string? name = null) =>
        value >= 0 ? value : throw new ArgumentOutOfRangeException(name, value, "Must be at least 0.");

    internal static double Positive(double value, [CallerArgumentExpression(nameof(value))] string? name = null) =>
        value > 0 ? value : throw new ArgumentOutOfRangeException(name, value, "Must be greater than 0.");

    internal static double Fraction(double value, [CallerArgumentExpression(nameof(value))] string? name = null) =>
        value is >= 0 and < 1 ? value : throw new ArgumentOutOfRangeException(name, value, "Must be in [0, 1).");

    /// <summary>The number of rows of this width; the width is a name of the caller's, checked by it.</summary>
    internal static int Rows<T>(
        ReadOnlySpan<T> values, int width, [CallerArgumentExpression(nameof(values))] string? name = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        return values.Length % width == 0
            ? values.Length / width
            : throw new ArgumentException($"Expected rows of {width} numbers, got {values.Length} numbers.", name);
    }

    internal static void Length<T>(
        ReadOnlySpan<T> values, int length, [CallerArgumentExpression(nameof(values))] string? name = null)
    {
        if (values.Length != length)
        {
            throw new ArgumentException($"Expected {length} numbers, got {values.Length}.", name);
        }
    }

    internal static void SameLength<T>(
        ReadOnlySpan<T> a, ReadOnlySpan<T> b, [CallerArgumentExpression(nameof(b))] string? name = null) =>
        Length(b, a.Length, name);

    /// <summary>An index of a code, or -1 for a row that has none.</summary>
    internal static int Index(int index, int k, [CallerArgumentExpression(nameof(index))] string? name = null) =>
        index >= -1 && index < k
            ? index
            : throw new ArgumentOutOfRangeException(name, index, $"Must be -1 or the index of one of {k} codes.");
}
