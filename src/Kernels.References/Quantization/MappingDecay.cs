namespace Kernels.References.Quantization;

/// <summary>phi(d): how much of the gradient to the logit of a code depends on its distance d to the code in use; u is
/// the mean gap of the codebook.</summary>
public enum MappingDecay
{
    /// <summary>d: what a softmax has, growing with the distance.</summary>
    Distance = 0,

    /// <summary>u^2 / (d + u): u at 0, half of it at u.</summary>
    Ratio = 1,

    /// <summary>u exp(-d / u).</summary>
    Exponential = 2,

    /// <summary>u for the next greater and the next lesser number of the codebook, 0 for others.</summary>
    Adjacent = 3,
}
