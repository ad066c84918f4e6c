namespace Kernels.Mutation;

/// <summary>What must see that a file was changed.</summary>
/// <param name="Operations">Operations to fuzz, the one that is nearest to the file first.</param>
/// <param name="Tests">Classes of tests, for mutants that all operations pass.</param>
internal sealed record Judges(string[] Operations, params string[] Tests)
{
    /// <inheritdoc/>
    public override string ToString() => string.Join(", ", [.. Operations, .. Tests]);
}
