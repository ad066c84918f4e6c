using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Quantization;

/// <summary>What the directions to the codes need of a codebook and the code in use.</summary>
internal struct MappingCodes
{
    public float Own;

    /// <summary>The mean gap u.</summary>
    public float Gap;

    /// <summary>The next lesser and the next greater number; where wanted.</summary>
    public float Below;
    public float Above;

    internal static MappingCodes Of(float own, float first, float last, float inverse) => new()
    {
        Own = own,
        Gap = (last - first) * inverse,
        Below = float.NegativeInfinity,
        Above = float.PositiveInfinity,
    };

    internal readonly MappingCodes With(float code)
    {
        MappingCodes with = this;
        with.Below = Utilities.Select((code < Own) & (code > Below), code, Below);
        with.Above = Utilities.Select((code > Own) & (code < Above), code, Above);
        return with;
    }

    /// <summary>sgn(c - own) phi(|c - own|).</summary>
    internal readonly float Direction<TDecay>(float code)
        where TDecay : struct, IMappingDecay
    {
        float difference = code - Own;
        Lane isNext = Lane.Of(Utilities.Select((code == Below) | (code == Above), 1f, 0f));
        float phi = TDecay.Phi(Lane.Abs(Lane.Of(difference)), Lane.Of(Gap), isNext).Value;
        return Utilities.Select(code == Own, 0f, Utilities.Select(code < Own, -phi, phi));
    }
}

/// <summary>What makes a gradient of p and of the directions.</summary>
internal struct MappingSlope
{
    /// <summary>1 / sum e.</summary>
    public float Share;

    /// <summary>sum p v, or 0.</summary>
    public float Mean;

    /// <summary>g s / t.</summary>
    public float Factor;

    /// <summary>sum p^2.</summary>
    public float Squares;

    /// <summary>-2 weight / t.</summary>
    public float Hardening;

    /// <summary>Without hardening a term less: 0 times infinity is not 0.</summary>
    internal readonly float Of(float e, float direction)
    {
        float p = e * Share;
        float slope = p * (direction - Mean) * Factor;
        return Utilities.Select(Hardening == 0f, slope, slope + p * (p - Squares) * Hardening);
    }
}

/// <summary>As many numbers as there are codes, each in a register.</summary>
internal interface IMappingRow<T>
    where T : struct, IMappingRow<T>
{
    static abstract int Width { get; }

    static abstract T Load(ArrayView<float> view, long at);

    /// <summary>The largest number; NaN counts as -infinity.</summary>
    float Largest();

    /// <summary>The first that is equal to a number, counted from <paramref name="first"/> on, or more than any.</summary>
    int IndexOf(float number, int first);

    float First();

    float Last();

    MappingCodes Neighbours(MappingCodes codes);

    /// <summary>exp((x - largest) inverse).</summary>
    T Exp(float largest, float inverse);

    T Directions<TDecay>(MappingCodes codes)
        where TDecay : struct, IMappingDecay;

    float Sum();

    float Dot(T other);

    /// <summary>Stores the gradients; these are e.</summary>
    void Store(ArrayView<float> view, long at, T directions, MappingSlope slope);
}

/// <summary>One.</summary>
internal struct MappingOne : IMappingRow<MappingOne>
{
    public float Value;

    public static int Width => 1;

    public static MappingOne Load(ArrayView<float> view, long at) => new() { Value = view[at] };

    public readonly float Largest() => Utilities.Select(Value > float.NegativeInfinity, Value, float.NegativeInfinity);

    public readonly int IndexOf(float number, int first) => Utilities.Select(Value == number, first, MappingArguments.NoCode);

    public readonly float First() => Value;

    public readonly float Last() => Value;

    public readonly MappingCodes Neighbours(MappingCodes codes) => codes.With(Value);

    public readonly MappingOne Exp(float largest, float inverse) =>
        new() { Value = Exponential.OfNegative(Lane.Of((Value - largest) * inverse)).Value };

    public readonly MappingOne Directions<TDecay>(MappingCodes codes)
        where TDecay : struct, IMappingDecay => new() { Value = codes.Direction<TDecay>(Value) };

    public readonly float Sum() => Value;

    public readonly float Dot(MappingOne other) => Value * other.Value;

    public readonly void Store(ArrayView<float> view, long at, MappingOne directions, MappingSlope slope) =>
        view[at] = slope.Of(Value, directions.Value);
}

/// <summary>Some, and some more.</summary>
/// <remarks>
/// ILGPU 1.5.3 takes structures with the same numbers at the same places for one type, however they are nested, and cuts
/// parts out of the nesting that it met first: (float, float), float after float, (float, float) does not compile. A field
/// before each pair, which no code keeps, spells the nesting out.
/// </remarks>
internal struct MappingPair<TLow, THigh> : IMappingRow<MappingPair<TLow, THigh>>
    where TLow : struct, IMappingRow<TLow>
    where THigh : struct, IMappingRow<THigh>
{
    public int IsPair;
    public TLow Low;
    public THigh High;

    public static int Width => TLow.Width + THigh.Width;

    public static MappingPair<TLow, THigh> Load(ArrayView<float> view, long at) =>
        new() { IsPair = 1, Low = TLow.Load(view, at), High = THigh.Load(view, at + TLow.Width) };

    public readonly float Largest()
    {
        float low = Low.Largest();
        float high = High.Largest();
        return Utilities.Select(high > low, high, low);
    }

    public readonly int IndexOf(float number, int first) =>
        IntrinsicMath.Min(Low.IndexOf(number, first), High.IndexOf(number, first + TLow.Width));

    public readonly float First() => Low.First();

    public readonly float Last() => High.Last();

    public readonly MappingCodes Neighbours(MappingCodes codes) => High.Neighbours(Low.Neighbours(codes));

    public readonly MappingPair<TLow, THigh> Exp(float largest, float inverse) =>
        new() { IsPair = 1, Low = Low.Exp(largest, inverse), High = High.Exp(largest, inverse) };

    public readonly MappingPair<TLow, THigh> Directions<TDecay>(MappingCodes codes)
        where TDecay : struct, IMappingDecay =>
        new() { IsPair = 1, Low = Low.Directions<TDecay>(codes), High = High.Directions<TDecay>(codes) };

    public readonly float Sum() => Low.Sum() + High.Sum();

    public readonly float Dot(MappingPair<TLow, THigh> other) => Low.Dot(other.Low) + High.Dot(other.High);

    public readonly void Store(
        ArrayView<float> view, long at, MappingPair<TLow, THigh> directions, MappingSlope slope)
    {
        Low.Store(view, at, directions.Low, slope);
        High.Store(view, at + TLow.Width, directions.High, slope);
    }
}
