using Kernels.Validation;

namespace Kernels.Quantization;

/// <summary>The gradient to the logits of a mapping.</summary>
public enum MappingRule
{
    /// <summary>p_i (c_i - w): that of a softmax, which grows with the distance to the code in use.</summary>
    Default = 0,

    /// <summary>p_i sgn(c_i - c_j) phi(|c_i - c_j|) with a function that fades: a search among near codes.</summary>
    Proximal = 1,
}

/// <summary>phi(d), how the proximal gradient fades with the distance d of a code to the one in use; u is the mean gap
/// (c_max - c_min) / (k - 1) of the codebook.</summary>
public enum MappingDecay
{
    /// <summary>u^2 / (d + u): u at 0, half of it at u.</summary>
    Ratio = 0,

    /// <summary>u exp(-d / u).</summary>
    Exponential = 1,

    /// <summary>u for the next greater and the next lesser number of the codebook, 0 for others.</summary>
    Adjacent = 2,
}

/// <summary>How logits learn.</summary>
public sealed record MappingOptions
{
    /// <summary>Which gradient.</summary>
    public MappingRule Rule { get; init; } = MappingRule.Proximal;

    /// <summary>How the proximal gradient fades; the other rule has none.</summary>
    public MappingDecay Decay { get; init; } = MappingDecay.Ratio;

    /// <summary>Whether the gradient of a weight sums to 0. Null: with the default rule, where w is sum p c then, and is
    /// c_j else; not with the proximal one.</summary>
    public bool? IsCentred { get; init; }

    internal bool Centres => IsCentred ?? Rule == MappingRule.Default;

    internal void Validate(string name)
    {
        Require.Defined(Rule, $"{name}.{nameof(Rule)}");
        Require.Defined(Decay, $"{name}.{nameof(Decay)}");
    }
}
