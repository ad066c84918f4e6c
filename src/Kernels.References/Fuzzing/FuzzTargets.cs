using Kernels.References.Fuzzing.Dct;
using Kernels.References.Fuzzing.Linear;
using Kernels.References.Fuzzing.Optimizers;
using Kernels.References.Fuzzing.Quantization;
using Kernels.References.Fuzzing.VectorQuantization;

namespace Kernels.References.Fuzzing;

/// <summary>Every operation that can be fuzzed.</summary>
public static class FuzzTargets
{
    /// <summary>All of them, by family.</summary>
    public static IReadOnlyList<FuzzTarget> All { get; } =
    [
        .. OptimizerTargets.All,
        .. MatrixOptimizerTargets.All,
        .. LinearTargets.All,
        .. DctTargets.All,
        .. VectorQuantizationTargets.All,
        .. CodebookTargets.All,
    ];

    /// <summary>The operation of a name.</summary>
    /// <param name="name">As in <c>optimizers/adam</c>.</param>
    /// <returns>The operation.</returns>
    /// <exception cref="ArgumentException">There is none.</exception>
    public static FuzzTarget Find(string name) =>
        All.FirstOrDefault(target => string.Equals(target.Name, name, StringComparison.Ordinal))
        ?? throw new ArgumentException(
            $"There is no operation '{name}' to fuzz. There is: {string.Join(", ", All.Select(target => target.Name))}.",
            nameof(name));
}
