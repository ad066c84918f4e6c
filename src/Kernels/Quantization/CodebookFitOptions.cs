namespace Kernels.Quantization;

/// <summary>What codes start from.</summary>
public enum CodebookStart
{
    /// <summary>Quantiles of some weights that lie evenly in a group, of at most max(256, 4 k); where a code has several
    /// weights, what <see cref="VectorQuantization.KMeans"/> finds for as many codes.</summary>
    Quantiles = 0,

    /// <summary>The codebook as it is given, put in order.</summary>
    Given = 1,
}

/// <summary>Options of <see cref="CodebookFit"/>.</summary>
public sealed record CodebookFitOptions
{
    /// <summary>The most steps, 0 to 10,000. A group whose codes no longer move takes no more.</summary>
    public int Iterations { get; init; } = 30;

    /// <summary>What codes start from.</summary>
    public CodebookStart Start { get; init; }
}
