using Kernels.VectorQuantization;

namespace Kernels.ML;

/// <summary>How a vector quantizer is fitted, and what it adds.</summary>
public sealed record VectorQuantizerOptions
{
    /// <summary>Codes of the codebook, 1 to 2^30.</summary>
    public int Codes { get; init; } = 256;

    /// <summary>What is smallest at the nearest code.</summary>
    public CodeMetric Metric { get; init; }

    /// <summary>Steps and seed of the k-means that the codes are fitted by.</summary>
    public KMeansOptions KMeans { get; init; } = new();

    /// <summary>The first rows of the data, which k-means is given, at least 1.</summary>
    public int SampleRows { get; init; } = 1 << 16;

    /// <summary>
    /// Passes over all rows in which the codes follow as moving means, for more rows than a sample. At least 0.
    /// </summary>
    public int Passes { get; init; }

    /// <summary>Decay and smoothing of the moving means.</summary>
    public EmaOptions MovingMeans { get; init; } = new();

    /// <summary>The column of the code in each vector's place; null: there is none.</summary>
    public string? QuantizedColumnName { get; init; }

    internal void Validate(string name)
    {
        ArgumentNullException.ThrowIfNull(KMeans, name);
        ArgumentNullException.ThrowIfNull(MovingMeans, name);
        Columns.InRange(Codes, 1, 1 << 30, name);
        Columns.InRange(SampleRows, 1, int.MaxValue, name);
        Columns.InRange(Passes, 0, int.MaxValue, name);
    }
}
