using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Linear;

/// <summary>A function of one number, and its derivative times what comes back through it.</summary>
internal interface IActivation
{
    /// <summary>The function.</summary>
    static abstract T Apply<T>(T x)
        where T : struct, ILane<T>;

    /// <summary>The derivative at <paramref name="x"/> times <paramref name="dy"/>.</summary>
    static abstract T Back<T>(T x, T dy)
        where T : struct, ILane<T>;
}

/// <summary>x.</summary>
internal readonly struct Identity : IActivation
{
    public static T Apply<T>(T x)
        where T : struct, ILane<T> => x;

    public static T Back<T>(T x, T dy)
        where T : struct, ILane<T> => dy;
}

/// <summary>max(x, 0); NaN stays NaN. The derivative at 0 is 0.</summary>
internal readonly struct Relu : IActivation
{
    public static T Apply<T>(T x)
        where T : struct, ILane<T> => T.IfLess(x, T.Of(0f), T.Of(0f), x);

    public static T Back<T>(T x, T dy)
        where T : struct, ILane<T>
    {
        T y = Apply(x);
        return T.IfGreater(y, T.Of(0f), dy, y); // y is 0 or NaN where it is not greater
    }
}

/// <summary>GELU in its tanh form: x (1 + tanh(v)) / 2 with v = sqrt(2 / pi) (x + 0.044715 x^3).</summary>
/// <remarks>
/// Source: Hendrycks, Gimpel 2016, arXiv:1606.08415, section 2. Since (1 + tanh(v)) / 2 = 1 / (1 + exp(-2 v)), one
/// exponential of a number that is not positive is enough, and nothing cancels.
/// Domain: minus infinity gives NaN, as x (1 + tanh(x)) does; the derivative there is 0. NaN stays NaN.
/// Error: derived in the reference.
/// </remarks>
internal readonly struct Gelu : IActivation
{
    private const float Scale = 1.59576912f;       // 2 sqrt(2 / pi)
    private const float Cubic = 0.0713548162f;     // 2 sqrt(2 / pi) 0.044715
    private const float CubicSlope = 0.214064449f; // three times Cubic
    private const float Saturated = 20f;           // exp(-2 v) is below the least normal number from 10 on

    public static T Apply<T>(T x)
        where T : struct, ILane<T>
    {
        T w = x * (x * x * Cubic + Scale);
        T e = Exponential.OfNegative(T.Of(0f) - T.Abs(w));
        return x * (T.IfLess(w, T.Of(0f), e, T.Of(1f)) / (e + 1f));
    }

    public static T Back<T>(T x, T dy)
        where T : struct, ILane<T>
    {
        // Beyond 20 the derivative is 0 or 1 to the last bit; the square of x must not overflow.
        x = T.IfGreater(x, T.Of(Saturated), T.Of(Saturated), x);
        x = T.IfLess(x, T.Of(-Saturated), T.Of(-Saturated), x);
        T square = x * x;
        T w = x * (square * Cubic + Scale);
        T e = Exponential.OfNegative(T.Of(0f) - T.Abs(w));
        T share = 1f / (e + 1f);
        T sigmoid = T.IfLess(w, T.Of(0f), e, T.Of(1f)) * share;
        return dy * (sigmoid + x * (e * share * share) * (square * CubicSlope + Scale));
    }
}
