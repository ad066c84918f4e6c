using Kernels.Validation;

namespace Kernels.VectorQuantization;

/// <summary>How a codebook learns from the rows that choose its codes.</summary>
public enum CodebookLearning
{
    /// <summary>Not at all.</summary>
    None,

    /// <summary>By the gradient of the codebook loss, which an optimizer steps along.</summary>
    Gradient,

    /// <summary>As moving means of the rows, see <see cref="Ema"/>.</summary>
    MovingMeans,
}

/// <summary>What a codebook searches, and how it learns.</summary>
public sealed record CodebookSettings
{
    /// <summary>What is smallest at the nearest code.</summary>
    public CodeMetric Metric { get; init; }

    /// <summary>
    /// Parts of a row, each quantized by a codebook of its own: product quantization, or multi-head. 1 to 65,536.
    /// </summary>
    public int Heads { get; init; } = 1;

    /// <summary>Whether all parts of a row have one codebook in common.</summary>
    public bool SharedHeads { get; init; }

    /// <summary>How the codes learn.</summary>
    public CodebookLearning Learning { get; init; }

    /// <summary>Decay and smoothing of <see cref="CodebookLearning.MovingMeans"/>.</summary>
    public EmaOptions MovingMeans { get; init; } = new();

    /// <summary>
    /// When codes that few rows choose start again from rows of the batch, under <see cref="CodebookLearning.MovingMeans"/>;
    /// null: never.
    /// </summary>
    public RestartOptions? Restart { get; init; }

    /// <summary>The weight beta of the commitment loss, not negative.</summary>
    public double Commitment { get; init; } = 0.25;

    /// <summary>
    /// Whether the gradient to the rows turns and scales as a row does on its way to its code, see <see cref="Rotate"/>;
    /// else it goes straight through.
    /// </summary>
    public bool Rotation { get; init; }

    /// <summary>Whether the index is proven to be that of the nearest code, see <see cref="NearestCode"/>.</summary>
    public bool Certified { get; init; }

    /// <summary>The key of the codes that the codebook starts with.</summary>
    public ulong Seed { get; init; }

    /// <summary>Codebooks in memory.</summary>
    internal int Books => SharedHeads ? 1 : Heads;

    internal void Validate(string name)
    {
        Require.Defined(Metric, $"{name}.{nameof(Metric)}");
        Require.InRange(Heads, 1, 65_537, $"{name}.{nameof(Heads)}");
        Require.Defined(Learning, $"{name}.{nameof(Learning)}");
        Require.InRange(Commitment, 0, float.MaxValue, $"{name}.{nameof(Commitment)}");
        Require.NotNull(MovingMeans, $"{name}.{nameof(MovingMeans)}");
        MovingMeans.Validate(name);
        if (Restart is not null && Learning != CodebookLearning.MovingMeans)
        {
            throw new ArgumentException(
                $"Codes restart by their moving counts: {nameof(Learning)} must be {CodebookLearning.MovingMeans}, and is "
                + $"{Learning}.",
                name);
        }

        Restart?.Validate(name);
    }
}
