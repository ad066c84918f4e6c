namespace Kernels.References.Fuzzing.Dct;

/// <summary>Transforms, and the choice of columns that carry most of a gradient.</summary>
internal static class DctTargets
{
    internal static IReadOnlyList<FuzzTarget> All { get; } =
    [
        new TransformTarget(),
        new SelectTarget(),
        new BackProjectTarget(),
        new RemapTarget(),
    ];
}
