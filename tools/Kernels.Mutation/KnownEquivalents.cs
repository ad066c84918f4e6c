namespace Kernels.Mutation;

/// <summary>A mutant of which it is known that it computes the same.</summary>
/// <param name="File">As in <c>kernels/Optimizers/Adam.cs</c>.</param>
/// <param name="Member">As in <c>AdamRule.Apply</c>.</param>
/// <param name="Old">The lines that change, in one line.</param>
/// <param name="New">The same lines changed.</param>
/// <param name="Reason">Why it computes the same.</param>
internal sealed record KnownEquivalent(string File, string Member, string Old, string New, string Reason)
{
    internal bool Fits(string file, Mutant mutant) =>
        string.Equals(File, file, StringComparison.Ordinal)
        && string.Equals(Member, mutant.Member, StringComparison.Ordinal)
        && string.Equals(Old, mutant.Old, StringComparison.Ordinal)
        && string.Equals(New, mutant.New, StringComparison.Ordinal);
}

/// <summary>The list of them.</summary>
/// <remarks>
/// Four lines each, and empty lines and lines that begin with # between them: the file and the member; "- " and the old
/// text; "+ " and the new; the reason.
/// </remarks>
internal static class KnownEquivalents
{
    /// <exception cref="InvalidDataException">The text is no list.</exception>
    internal static IReadOnlyList<KnownEquivalent> Parse(string text)
    {
        string[] lines = [.. text.Split('\n').Select(line => line.Trim()).Where(line => line is not ("" or ['#', ..]))];
        return
        [
            .. lines.Chunk(4).Select(entry =>
                entry is [string place, ['-', ' ', .. string old], ['+', ' ', .. string changed], string reason]
                && place.Split(' ') is [string file, string member]
                    ? new KnownEquivalent(file, member, old, changed, reason)
                    : throw new InvalidDataException(
                        $"'{entry[0]}' must be a file and a member, before '- old', '+ new' and a reason.")),
        ];
    }
}
