using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Quantization;

/// <summary>The first of the largest logits so far, and its code.</summary>
internal struct LargestLogit
{
    public float Value;
    public float Code;
    public int Index;

    /// <summary>Before the first: nothing is there, and NaN is less than everything.</summary>
    internal static LargestLogit Nothing => new() { Value = float.NegativeInfinity, Index = -1 };

    // NaN by its bits, as in StridedSum.
    internal readonly LargestLogit Or(float logit, float code, int index)
    {
        bool isNumber = (Interop.FloatAsInt(logit) & 0x7FFFFFFFu) <= 0x7F800000u;
        bool isLarger = isNumber & ((logit > Value) | (Index < 0));
        return new()
        {
            Value = Utilities.Select(isLarger, logit, Value),
            Code = Utilities.Select(isLarger, code, Code),
            Index = Utilities.Select(isLarger, index, Index),
        };
    }

    /// <summary>The first logit where all are NaN.</summary>
    internal readonly LargestLogit OrFirst(float logit, float code) => new()
    {
        Value = Utilities.Select(Index < 0, logit, Value),
        Code = Utilities.Select(Index < 0, code, Code),
        Index = IntrinsicMath.Max(Index, 0),
    };
}

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

    LargestLogit Largest(LargestLogit before, T codes, int first);

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

    public readonly LargestLogit Largest(LargestLogit before, MappingOne codes, int first) =>
        before.Or(Value, codes.Value, first);

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
internal struct MappingPair<TLow, THigh> : IMappingRow<MappingPair<TLow, THigh>>
    where TLow : struct, IMappingRow<TLow>
    where THigh : struct, IMappingRow<THigh>
{
    public TLow Low;
    public THigh High;

    public static int Width => TLow.Width + THigh.Width;

    public static MappingPair<TLow, THigh> Load(ArrayView<float> view, long at) =>
        new() { Low = TLow.Load(view, at), High = THigh.Load(view, at + TLow.Width) };

    public readonly LargestLogit Largest(LargestLogit before, MappingPair<TLow, THigh> codes, int first) =>
        High.Largest(Low.Largest(before, codes.Low, first), codes.High, first + TLow.Width);

    public readonly float First() => Low.First();

    public readonly float Last() => High.Last();

    public readonly MappingCodes Neighbours(MappingCodes codes) => High.Neighbours(Low.Neighbours(codes));

    public readonly MappingPair<TLow, THigh> Exp(float largest, float inverse) =>
        new() { Low = Low.Exp(largest, inverse), High = High.Exp(largest, inverse) };

    public readonly MappingPair<TLow, THigh> Directions<TDecay>(MappingCodes codes)
        where TDecay : struct, IMappingDecay =>
        new() { Low = Low.Directions<TDecay>(codes), High = High.Directions<TDecay>(codes) };

    public readonly float Sum() => Low.Sum() + High.Sum();

    public readonly float Dot(MappingPair<TLow, THigh> other) => Low.Dot(other.Low) + High.Dot(other.High);

    public readonly void Store(
        ArrayView<float> view, long at, MappingPair<TLow, THigh> directions, MappingSlope slope)
    {
        Low.Store(view, at, directions.Low, slope);
        High.Store(view, at + TLow.Width, directions.High, slope);
    }
}
