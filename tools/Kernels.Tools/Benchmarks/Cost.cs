namespace Kernels.Tools.Benchmarks;

/// <summary>What a call must do at least, whatever the algorithm.</summary>
/// <param name="Read">Bytes that must be read once.</param>
/// <param name="Written">Bytes that must be written once.</param>
/// <param name="Operations">
/// Multiplications, additions and the like; of a product two for each triple, of a transform of n numbers 2.5 n log2(n).
/// </param>
/// <param name="InPlace">Whether what is written is what was read.</param>
internal readonly record struct Cost(double Read, double Written, double Operations, bool InPlace = false)
{
    /// <summary>All bytes.</summary>
    internal double Bytes => Read + Written;

    /// <summary>Of tensors of binary32, in elements.</summary>
    internal static Cost Floats(double read, double written, double operations, bool inPlace = false) =>
        new(sizeof(float) * read, sizeof(float) * written, operations, inPlace);
}
