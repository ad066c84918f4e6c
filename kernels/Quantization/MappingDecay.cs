using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Quantization;

/// <summary>How the gradient to a code's logit depends on the distance to the code in use. Another one is a struct like
/// these.</summary>
internal interface IMappingDecay
{
    /// <summary>Whether it is told which codes are next to the one in use.</summary>
    static abstract bool WantsNeighbours { get; }

    /// <summary>phi.</summary>
    /// <param name="distance">The distance d, greater than 0.</param>
    /// <param name="gap">The mean gap u of the codebook.</param>
    /// <param name="isNext">1 for the next greater and the next lesser number of the codebook, else 0; 0 unless wanted.</param>
    static abstract T Phi<T>(T distance, T gap, T isNext)
        where T : struct, ILane<T>;
}

/// <summary>d: what a softmax has.</summary>
internal readonly struct DistanceDecay : IMappingDecay
{
    public static bool WantsNeighbours => false;

    public static T Phi<T>(T distance, T gap, T isNext)
        where T : struct, ILane<T> => distance;
}

/// <summary>u^2 / (d + u).</summary>
internal readonly struct RatioDecay : IMappingDecay
{
    public static bool WantsNeighbours => false;

    public static T Phi<T>(T distance, T gap, T isNext)
        where T : struct, ILane<T> => gap * (gap / (distance + gap));
}

/// <summary>u exp(-d / u).</summary>
internal readonly struct ExponentialDecay : IMappingDecay
{
    public static bool WantsNeighbours => false;

    public static T Phi<T>(T distance, T gap, T isNext)
        where T : struct, ILane<T> => gap * Exponential.OfNegative(distance * -1f / gap);
}

/// <summary>u for the next codes.</summary>
internal readonly struct AdjacentDecay : IMappingDecay
{
    public static bool WantsNeighbours => true;

    public static T Phi<T>(T distance, T gap, T isNext)
        where T : struct, ILane<T> => gap * isNext;
}
