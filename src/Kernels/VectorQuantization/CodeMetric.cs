namespace Kernels.VectorQuantization;

/// <summary>How near a code e is to a row z.</summary>
public enum CodeMetric
{
    /// <summary>Squared L2 distance, |z - e|^2.</summary>
    L2,

    /// <summary>Negative dot product, -z.e.</summary>
    Dot,

    /// <summary>1 - z.e / (|z| |e|); the cosine with a vector of zeros counts as 0.</summary>
    Cosine,
}
