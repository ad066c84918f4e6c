namespace Kernels.References.Fuzzing.Quantization;

/// <summary>Codebooks: the search of codes, packing, weights and products from codes, fits, groups of rows, NF4 and the
/// learned mapping.</summary>
internal static class CodebookTargets
{
    internal static IReadOnlyList<FuzzTarget> All { get; } =
    [
        new AssignTarget(),
        new PackTarget(),
        new UnpackTarget(),
        new DequantizeTarget(),
        new CodebookMatMulTarget(),
        new CodebookFitTarget(),
        new RowGroupTarget(),
        new Nf4Target(),
        new ProximalTarget(),
    ];
}
