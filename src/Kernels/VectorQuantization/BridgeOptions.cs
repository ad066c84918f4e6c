using System.Diagnostics.CodeAnalysis;
using Kernels.Linear;
using Kernels.Validation;

namespace Kernels.VectorQuantization;

/// <summary>The shape of a <see cref="Bridge"/>; the defaults are the published ones (QBridge-L with 16 codes a patch).</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
public sealed record BridgeOptions
{
    /// <summary>Codes of a patch, which make a token together; at least 1, and a divisor of the number of codes.</summary>
    public int Patch { get; init; } = 16;

    /// <summary>Length of a token, a multiple of the heads; the authors' XS, S, B, L, XL are 32, 64, 128, 256, 512.</summary>
    public int Width { get; init; } = 256;

    /// <summary>Attention heads, at least 1; a head has at most <see cref="Attention.MaxHeadSize"/> numbers.</summary>
    public int Heads { get; init; } = 4;

    /// <summary>Transformer blocks, 0 to 1,024.</summary>
    public int Depth { get; init; } = 2;

    /// <summary>Hidden length of the MLP over the width, 1 to 64.</summary>
    public int MlpRatio { get; init; } = 2;

    /// <summary>Added to the variance in layer normalisation; not negative. It rules at the start, where tokens are tiny.</summary>
    public double Epsilon { get; init; } = 1e-6;

    /// <summary>Whether tokens are normalised after compression, as the paper's text has it and its code has not.</summary>
    public bool CompressNorm { get; init; }

    internal void Validate(string name)
    {
        Require.InRange(Patch, 1, LinearChecks.MaxSize + 1.0, $"{name}.{nameof(Patch)}");
        Require.InRange(Heads, 1, 65_537, $"{name}.{nameof(Heads)}");
        Require.InRange(Width, 1, (1 << 20) + 1, $"{name}.{nameof(Width)}");
        Require.InRange(Depth, 0, 1025, $"{name}.{nameof(Depth)}");
        Require.InRange(MlpRatio, 1, 65, $"{name}.{nameof(MlpRatio)}");
        Require.NotNegative(Epsilon, $"{name}.{nameof(Epsilon)}");
        if (Width % Heads != 0 || Width / Heads > Attention.MaxHeadSize)
        {
            throw new ArgumentOutOfRangeException(
                name, Width,
                $"{nameof(Width)} must be a multiple of the {Heads} heads, and at most {Attention.MaxHeadSize} times "
                + "as many.");
        }
    }
}
