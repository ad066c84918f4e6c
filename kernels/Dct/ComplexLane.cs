using System.Runtime.CompilerServices;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Dct;

/// <summary>A complex number of lanes.</summary>
internal struct ComplexLane<T>
    where T : struct, ILinearLane<T>
{
    public T Re;
    public T Im;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ComplexLane<T> operator +(ComplexLane<T> a, ComplexLane<T> b) => new() { Re = a.Re + b.Re, Im = a.Im + b.Im };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ComplexLane<T> operator -(ComplexLane<T> a, ComplexLane<T> b) => new() { Re = a.Re - b.Re, Im = a.Im - b.Im };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ComplexLane<T> Of(T re, T im) => new() { Re = re, Im = im };

    /// <summary>Times re + i im.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ComplexLane<T> Times(float re, float im) => new()
    {
        Re = T.MultiplyAdd(Im, -im, Re * re),
        Im = T.MultiplyAdd(Im, re, Re * im),
    };

    /// <summary>Its conjugate times re + i im.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ComplexLane<T> ConjugateTimes(float re, float im) => new()
    {
        Re = T.MultiplyAdd(Im, im, Re * re),
        Im = T.MultiplyAdd(Im, -re, Re * im),
    };

    /// <summary>Each part times a factor.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ComplexLane<T> Scaled(float factor) => new() { Re = Re * factor, Im = Im * factor };

    /// <summary>This - i b.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ComplexLane<T> MinusITimes(ComplexLane<T> b) => new() { Re = Re + b.Im, Im = Im - b.Re };

    /// <summary>This + i b.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ComplexLane<T> PlusITimes(ComplexLane<T> b) => new() { Re = Re - b.Im, Im = Im + b.Re };
}
