namespace Kernels.Optimizers;

/// <summary>What an orthogonal update of a matrix of R rows and C columns is multiplied by.</summary>
public enum UpdateScale
{
    /// <summary>Jordan 2024: max(1, R / C)^(1/2).</summary>
    Jordan,

    /// <summary>Liu et al. 2025, arXiv:2502.16982, as large as an update of AdamW: 0.2 max(R, C)^(1/2).</summary>
    Kimi,

    /// <summary>Ahn et al. 2025, arXiv:2504.05295, the ratio of the norms: (R / C)^(1/2).</summary>
    Dion,

    /// <summary>1.</summary>
    None,
}

/// <summary>The factors of <see cref="UpdateScale"/>.</summary>
internal static class UpdateScales
{
    /// <summary>The factor of a matrix of this shape.</summary>
    internal static double Of(UpdateScale scale, IReadOnlyList<long> shape)
    {
        (double rows, double columns) = (shape[0], shape[1]);
        return scale switch
        {
            UpdateScale.Jordan => Math.Sqrt(Math.Max(1, rows / columns)),
            UpdateScale.Kimi => 0.2 * Math.Sqrt(Math.Max(rows, columns)),
            UpdateScale.Dion => Math.Sqrt(rows / columns),
            _ => 1,
        };
    }
}
