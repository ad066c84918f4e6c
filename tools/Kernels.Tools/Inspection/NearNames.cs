namespace Kernels.Tools.Inspection;

/// <summary>Names that someone may have meant.</summary>
internal static class NearNames
{
    private const int Most = 5;

    /// <summary>Those that have the name in them, then those a few letters away, the nearest first; at most five.</summary>
    internal static IReadOnlyList<string> Of(string name, IEnumerable<string> all) =>
    [
        .. all.Select(candidate => (Name: candidate, Distance: candidate.Contains(name, StringComparison.OrdinalIgnoreCase)
                ? 0
                : Distance(name, candidate)))
            .Where(candidate => candidate.Distance <= Math.Max(2, name.Length / 3))
            .OrderBy(candidate => candidate.Distance)
            .ThenBy(candidate => candidate.Name, StringComparer.Ordinal)
            .Take(Most)
            .Select(candidate => candidate.Name),
    ];

    /// <summary>Levenshtein's distance: letters to insert, to delete and to replace.</summary>
    internal static int Distance(string from, string to)
    {
        int[] row = [.. Enumerable.Range(0, to.Length + 1)];
        for (int i = 1; i <= from.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= to.Length; j++)
            {
                int replaced = diagonal + (char.ToUpperInvariant(from[i - 1]) == char.ToUpperInvariant(to[j - 1]) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(replaced, Math.Min(row[j - 1], diagonal) + 1);
            }
        }

        return row[^1];
    }
}
