using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Dct;

/// <summary>A complex number of lanes.</summary>
internal struct ComplexLane<T>
    where T : struct, ILinearLane<T>
{
    public T Re;
    public T Im;

    public static ComplexLane<T> operator +(ComplexLane<T> a, ComplexLane<T> b) => Of(a.Re + b.Re, a.Im + b.Im);

    public static ComplexLane<T> operator -(ComplexLane<T> a, ComplexLane<T> b) => Of(a.Re - b.Re, a.Im - b.Im);

    public static ComplexLane<T> Of(T re, T im) => new() { Re = re, Im = im };

    /// <summary>Times re + i im.</summary>
    public readonly ComplexLane<T> Times(float re, float im) => Of(Re * re - Im * im, Re * im + Im * re);

    /// <summary>Its conjugate times re + i im.</summary>
    public readonly ComplexLane<T> ConjugateTimes(float re, float im) => Of(Re * re + Im * im, Re * im - Im * re);

    /// <summary>Each part times a factor.</summary>
    public readonly ComplexLane<T> Scaled(float factor) => Of(Re * factor, Im * factor);

    /// <summary>This - i b.</summary>
    public readonly ComplexLane<T> MinusITimes(ComplexLane<T> b) => Of(Re + b.Im, Im - b.Re);

    /// <summary>This + i b.</summary>
    public readonly ComplexLane<T> PlusITimes(ComplexLane<T> b) => Of(Re - b.Im, Im + b.Re);
}
