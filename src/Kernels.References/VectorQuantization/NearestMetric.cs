namespace Kernels.References.VectorQuantization;

/// <summary>What the nearest code is the least of.</summary>
public enum NearestMetric
{
    /// <summary>Squared Euclidean distance, sum (z - e)^2.</summary>
    L2,

    /// <summary>Negative inner product, -z.e.</summary>
    Dot,

    /// <summary>1 - z.e / (|z| |e|). The cosine with a zero vector is 0.</summary>
    Cosine,
}
