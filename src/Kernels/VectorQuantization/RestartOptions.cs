using Kernels.Validation;

namespace Kernels.VectorQuantization;

/// <summary>When a code is dead, and how it starts again.</summary>
public sealed record RestartOptions
{
    /// <summary>The least cluster size of a live code, at least 0; 0 lets no code die.</summary>
    public double Threshold { get; init; } = 2;

    /// <summary>The cluster size that a code starts again with, at least 0; the threshold without.</summary>
    public double? Reset { get; init; }

    /// <summary>The key of the random numbers.</summary>
    public ulong Seed { get; init; }

    internal void Validate(string name)
    {
        Require.NotNegative(Threshold, $"{name}.{nameof(Threshold)}");
        Require.NotNegative(Reset ?? 0, $"{name}.{nameof(Reset)}");
    }
}
