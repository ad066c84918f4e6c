namespace Kernels.References.Fuzzing.VectorQuantization;

/// <summary>The search of codes, and all that is done with rows and their codes.</summary>
internal static class VectorQuantizationTargets
{
    internal static IReadOnlyList<FuzzTarget> All { get; } =
    [
        new NearestTarget(),
        new QuantizeTarget(),
        new SegmentSumTarget(),
        new EmaTarget(),
        new RotateTarget(),
        new SoftmaxCodesTarget(),
        new SimVqTarget(),
        new BridgeTarget(),
    ];
}
