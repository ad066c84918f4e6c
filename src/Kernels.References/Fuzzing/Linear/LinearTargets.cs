namespace Kernels.References.Fuzzing.Linear;

/// <summary>What networks of dense layers are made of.</summary>
internal static class LinearTargets
{
    internal static IReadOnlyList<FuzzTarget> All { get; } =
    [
        new MatMulTarget(),
        new ActivationTarget(),
        new ColumnSumTarget(),
        new SoftmaxCrossEntropyTarget(),
        new PredictionTarget(),
        new LayerNormTarget(),
        new AttentionTarget(),
    ];
}
