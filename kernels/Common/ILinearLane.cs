namespace Kernels.DeviceCode.Common;

/// <summary>Sums and multiples, of one float or of several at once: what linear mathematics is written in, once.</summary>
internal interface ILinearLane<T>
    where T : struct, ILinearLane<T>
{
    static abstract T operator +(T left, T right);

    static abstract T operator -(T left, T right);

    static abstract T operator *(T left, float right);

    /// <summary>left right + addend, rounded once or twice.</summary>
    static abstract T MultiplyAdd(T left, float right, T addend);
}
