using System.Numerics;

namespace Kernels.References.Dct;

/// <summary>The columns of a transformed gradient that carry most of it.</summary>
/// <remarks>
/// Source: Modoranu et al. 2025, arXiv:2505.17967, section 3: S = G Q^T, a score for each column of S, its largest r.
/// The squares' sum makes the choice optimal: |G - S_r Q_r|^2 = |G|^2 - sum of the chosen |S_j|^2. The sum of magnitudes is
/// what the authors' code uses unless told.
/// <para>Ties: the lowest index; the chosen are in ascending order.</para>
/// <para>
/// Bound: scores are sums in any order of transformed numbers with their bounds. A choice is admitted if no column left
/// out is above one chosen by more than the bounds of both.
/// </para>
/// </remarks>
public sealed class SelectReference
{
    private readonly Bounded[] _transformed;
    private readonly int _columns;

    /// <summary>Transforms and scores.</summary>
    /// <param name="basis">The transform of a row.</param>
    /// <param name="g">The gradient, [rows, n], row-major.</param>
    /// <param name="squares">Whether a column's score is its sum of squares; if not, of magnitudes.</param>
    /// <exception cref="ArgumentNullException">The basis is null.</exception>
    /// <exception cref="ArgumentException">The numbers are not rows of the basis.</exception>
    public SelectReference(TransformReference basis, ReadOnlySpan<float> g, bool squares)
        : this(basis, BoundedMatrix.Widen(g), squares)
    {
    }

    /// <summary>Transforms and scores what a binary32 computation has its own version of.</summary>
    /// <param name="basis">The transform of a row.</param>
    /// <param name="g">The gradient with its bounds, [rows, n], row-major.</param>
    /// <param name="squares">Whether a column's score is its sum of squares; if not, of magnitudes.</param>
    /// <exception cref="ArgumentNullException">The basis is null.</exception>
    /// <exception cref="ArgumentException">The numbers are not rows of the basis.</exception>
    public SelectReference(TransformReference basis, ReadOnlySpan<Bounded> g, bool squares)
    {
        ArgumentNullException.ThrowIfNull(basis);
        _columns = basis.Length;
        _transformed = basis.Apply(g);
        Rows = g.Length / _columns;
        var scores = new Bounded[_columns];
        var energies = new Bounded[_columns];
        var terms = new Bounded[Rows];
        for (int j = 0; j < _columns; j++)
        {
            for (int row = 0; row < Rows; row++)
            {
                Bounded s = _transformed[(row * _columns) + j];
                terms[row] = s * s;
            }

            energies[j] = Bounded.Sum(terms);
            for (int row = 0; row < Rows && !squares; row++)
            {
                terms[row] = Bounded.Abs(_transformed[(row * _columns) + j]);
            }

            scores[j] = squares ? energies[j] : Bounded.Sum(terms);
        }

        Scores = scores;
        Energies = energies;
    }

    /// <summary>Rows of the gradient.</summary>
    public int Rows { get; }

    /// <summary>The score of each column.</summary>
    public IReadOnlyList<Bounded> Scores { get; }

    /// <summary>The sum of squares of each column.</summary>
    public IReadOnlyList<Bounded> Energies { get; }

    /// <summary>The columns with the largest scores, ascending.</summary>
    /// <param name="rank">r, 1 to n.</param>
    /// <returns>The indices; NaN scores are below all others.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The rank is not between 1 and n.</exception>
    public int[] Choose(int rank)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rank, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rank, _columns);
        return [.. Enumerable.Range(0, _columns)
            .OrderByDescending(j => double.IsNaN(Scores[j].Value) ? double.NegativeInfinity : Scores[j].Value)
            .ThenBy(j => j).Take(rank).Order()];
    }

    /// <summary>Whether a binary32 computation may choose these columns.</summary>
    /// <param name="index">Ascending indices below n.</param>
    /// <returns>Whether they ascend, and none left out is surely above one of them, or equals one with a higher index.</returns>
    public bool Admits(ReadOnlySpan<int> index)
    {
        var chosen = new bool[_columns];
        int last = -1;
        foreach (int j in index)
        {
            if (j <= last || j >= _columns)
            {
                return false;
            }

            chosen[j] = true;
            last = j;
        }

        for (int inside = 0; inside < _columns; inside++)
        {
            for (int outside = 0; chosen[inside] && outside < _columns; outside++)
            {
                if (!chosen[outside] && IsSurelyBefore(outside, inside))
                {
                    return false;
                }
            }
        }

        return true;
    }

    /// <summary>All that a binary32 computation may choose.</summary>
    /// <param name="rank">r, 1 to n.</param>
    /// <param name="most">The most choices that are of use.</param>
    /// <returns>Ascending indices below n; null if there are more choices, or it takes too long to find them.</returns>
    internal IReadOnlyList<int[]>? Choices(int rank, int most)
    {
        var sure = new List<int>();
        var open = new List<int>();
        for (int j = 0; j < _columns; j++)
        {
            int before = 0;
            int behind = 0;
            for (int other = 0; other < _columns; other++)
            {
                before += other != j && IsSurelyBefore(other, j) ? 1 : 0;
                behind += other != j && IsSurelyBefore(j, other) ? 1 : 0;
            }

            if (behind >= _columns - rank)
            {
                sure.Add(j);
            }
            else if (before < rank)
            {
                open.Add(j);
            }
        }

        int missing = rank - sure.Count;
        if (missing == 0)
        {
            return [[.. sure]];
        }

        // Each set of so many of the open ones.
        const int Few = 12;
        if (open.Count > Few)
        {
            return null;
        }

        var choices = new List<int[]>();
        for (int set = 0; set < 1 << open.Count && choices.Count <= most; set++)
        {
            if (BitOperations.PopCount((uint)set) == missing)
            {
                int[] index = [.. sure.Concat(open.Where((_, i) => (set >> i & 1) != 0)).Order()];
                if (Admits(index))
                {
                    choices.Add(index);
                }
            }
        }

        return choices.Count <= most ? choices : null;
    }

    /// <summary>The chosen columns of the transformed gradient.</summary>
    /// <param name="index">Indices below n.</param>
    /// <returns>[rows, r], row-major.</returns>
    /// <exception cref="IndexOutOfRangeException">An index is not one of a column.</exception>
    public Bounded[] Project(ReadOnlySpan<int> index)
    {
        var result = new Bounded[Rows * index.Length];
        for (int row = 0; row < Rows; row++)
        {
            for (int i = 0; i < index.Length; i++)
            {
                result[(row * index.Length) + i] = _transformed[(row * _columns) + index[i]];
            }
        }

        return result;
    }

    /// <summary>The share of |G|^2 that columns carry; 1 of a gradient that is 0.</summary>
    /// <param name="index">Indices below n.</param>
    /// <returns>The share, in [0, 1].</returns>
    public Bounded Energy(ReadOnlySpan<int> index)
    {
        var chosen = new Bounded[index.Length];
        for (int i = 0; i < index.Length; i++)
        {
            chosen[i] = Energies[index[i]];
        }

        Bounded all = Bounded.Sum([.. Energies]);
        return all is { Value: 0, Bound: 0 } ? 1 : Bounded.Sum(chosen) / all;
    }

    private bool IsSurelyBefore(int a, int b)
    {
        Bounded one = Scores[a];
        Bounded other = Scores[b];
        if (double.IsNaN(one.Bound) || double.IsNaN(other.Bound))
        {
            // A NaN that must be there is below all numbers; of what may be one nothing is said.
            return double.IsNaN(other.Bound) && (one.IsInDomain || (double.IsNaN(one.Bound) && a < b));
        }

        return one.Value - other.Value > one.Bound + other.Bound || (one == other && one.Bound == 0 && a < b);
    }
}
