using Kernels.DeviceCode.Quantization;

namespace Kernels.Quantization;

/// <summary>Scales as kernels see them.</summary>
internal static class ScaleTables
{
    /// <summary>The scales of a layout.</summary>
    internal static ScaleTable Of(CodebookLayout layout, in ScopeTable scope, TensorView scale)
    {
        if (layout.ScaleCount == 0)
        {
            return default;
        }

        return layout.ScaleStorage switch
        {
            Storage.F32 => new ScaleTable
            {
                Floats = scale.As<float>(),
                Scope = scope,
                Kind = ScaleTable.Binary32,
            },
            Storage.F16 => new ScaleTable
            {
                Halves = scale.As<ushort>(),
                Scope = scope,
                Kind = ScaleTable.Binary16,
            },
            _ => new ScaleTable
            {
                Halves = scale.As<ushort>(),
                Scope = scope,
                Kind = ScaleTable.BFloat16,
            },
        };
    }
}
