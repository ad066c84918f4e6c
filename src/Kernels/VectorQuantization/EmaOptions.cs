using Kernels.Validation;

namespace Kernels.VectorQuantization;

/// <summary>How a codebook follows the rows that choose its codes.</summary>
/// <remarks>Defaults as in lucidrains/vector-quantize-pytorch; van den Oord et al. 2017 use a decay of 0.99.</remarks>
public sealed record EmaOptions
{
    /// <summary>The weight of the past, in [0, 1].</summary>
    public double Decay { get; init; } = 0.8;

    /// <summary>What Laplace smoothing adds to the size of each code, in rows; at least 0.</summary>
    public double Epsilon { get; init; } = 1e-5;

    internal void Validate(string name)
    {
        if (!(Decay is >= 0 and <= 1))
        {
            throw new ArgumentOutOfRangeException(name, Decay, "Decay must be in [0, 1].");
        }

        Require.NotNegative(Epsilon, $"{name}.{nameof(Epsilon)}");
    }
}
