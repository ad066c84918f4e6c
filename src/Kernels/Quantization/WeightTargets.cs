using Kernels.DeviceCode.Quantization;
using Kernels.DeviceCode.Storage;
using Kernels.Launching;

namespace Kernels.Quantization;

/// <summary>Weights as targets of a <see cref="Decoder{TTarget}"/>.</summary>
internal static class WeightTargets
{
    internal static WeightTarget<TStorage> Of<TStorage>(
        CodebookLayout layout, TensorView codebook, in ScopeTable scope, in ScaleTable scale, TensorView w,
        int firstRow)
        where TStorage : struct, IStorage => new()
        {
            W = Stored.Of<TStorage>(w),
            Codebook = codebook.As<float>(),
            Scope = scope,
            Scale = scale,
            Codes = layout.Codes,
            Length = layout.Length,
            Columns = layout.Columns,
            First = firstRow * layout.Columns,
        };
}
