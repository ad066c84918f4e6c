namespace Kernels.References.VectorQuantization;

/// <summary>The nearest codes of one row, and which answers of a binary32 kernel are right.</summary>
public sealed class NearestRow
{
    private readonly NearestReference _reference;
    private readonly NearestReference.Row _row;
    private readonly (double Upper, int Index)[] _least;
    private readonly int[] _index;
    private readonly Bounded[] _distance;

    internal NearestRow(
        NearestReference reference, NearestReference.Row row, int[] index, Bounded[] distance,
        (double Upper, int Index)[] least, int admitted, Bounded margin)
    {
        _reference = reference;
        _row = row;
        _index = index;
        _distance = distance;
        _least = least;
        AdmittedCount = least.Length == 0 ? 0 : admitted;
        Margin = margin;
    }

    /// <summary>The exact indices, nearest first, lowest index first among ties; -1 where there is none. What a
    /// certified search returns.</summary>
    public IReadOnlyList<int> Index => _index;

    /// <summary>
    /// Their exact distances (rounded to binary64), with the bound of a binary32 computation: from differences for L2,
    /// g(d + 2) of itself; from the products for dot and cosine.
    /// </summary>
    public IReadOnlyList<Bounded> Distance => _distance;

    /// <summary>
    /// How much farther the second nearest code is than the nearest, with the bound of a difference of binary32 scores;
    /// infinite where one code alone is a candidate, NaN where none is.
    /// </summary>
    public Bounded Margin { get; }

    /// <summary>How many codes a binary32 search may return as the nearest; 1 if roundings cannot matter.</summary>
    public int AdmittedCount { get; }

    /// <summary>Whether a binary32 search that is right may return this code as the nearest.</summary>
    /// <param name="index">The index found.</param>
    /// <returns>Whether its distance is least within the bound of the scores. -1 is right if there is no candidate, or
    /// if every score may overflow.</returns>
    public bool Admits(int index) => AdmitsTop([index]);

    /// <summary>Whether a binary32 search that is right may return these codes, in this order.</summary>
    /// <param name="index">The indices found; not more than were searched for.</param>
    /// <returns>Whether each may be the nearest of those that are left when it comes.</returns>
    /// <exception cref="ArgumentException">More indices than were searched for.</exception>
    public bool AdmitsTop(ReadOnlySpan<int> index)
    {
        if (index.Length > _index.Length)
        {
            throw new ArgumentException($"Searched for {_index.Length} codes, got {index.Length}.", nameof(index));
        }

        if (_row.IsShort)
        {
            return index.SequenceEqual(_index.AsSpan(0, index.Length));
        }

        var taken = new HashSet<int>();
        foreach (int i in index)
        {
            double limit = double.NaN; // no candidate is left
            foreach ((double upper, int candidate) in _least)
            {
                if (!taken.Contains(candidate))
                {
                    limit = upper;
                    break;
                }
            }

            if (i == -1)
            {
                if (double.IsFinite(limit))
                {
                    return false;
                }

                continue;
            }

            if (!_reference.IsCandidate(i) || _least.Length == 0 || taken.Contains(i)
                || (_reference.Previous(i) >= 0 && !taken.Contains(_reference.Previous(i)))
                || !(_reference.Measure(_row, i).Lower <= limit))
            {
                return false;
            }

            taken.Add(i);
        }

        return true;
    }

    /// <summary>The distance of any code, with the bound of a binary32 computation.</summary>
    /// <param name="index">The index of the code.</param>
    /// <returns>The distance; NaN if the row or the code is not finite, or the index is -1.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such code.</exception>
    public Bounded DistanceOf(int index)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(index, -1);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, _reference.Count);
        return _reference.Distance(_row, index);
    }
}
