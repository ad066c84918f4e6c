using Kernels.Validation;

namespace Kernels.VectorQuantization;

/// <summary>How k-means begins and how long it goes on.</summary>
public sealed record KMeansOptions
{
    /// <summary>Steps of Lloyd's after the first centres, at least 0.</summary>
    public int Iterations { get; init; } = 10;

    /// <summary>Whether the first centres are chosen among the rows by k-means++; else they are what the codes hold.</summary>
    public bool ChooseCentres { get; init; } = true;

    /// <summary>The key of the random numbers.</summary>
    public ulong Seed { get; init; }

    internal void Validate(string name) => Require.AtLeast(Iterations, 0, $"{name}.{nameof(Iterations)}");
}

/// <summary>How far k-means has come.</summary>
/// <param name="Iteration">Steps of Lloyd's done; 0 while centres are chosen.</param>
/// <param name="Centres">Centres chosen.</param>
/// <param name="Error">The sum of the squared distances before the step, over all heads; NaN while centres are chosen.</param>
public readonly record struct KMeansProgress(int Iteration, int Centres, double Error);
