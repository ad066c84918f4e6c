namespace Kernels.References.VectorQuantization;

/// <summary>Usage as FVQ and LlamaGen count it: the different codes among the last assignments.</summary>
/// <remarks>
/// Source: the code of arXiv:2509.10140. The window holds 65,536 assignments, or K + 1 if K is at least that, and
/// starts full of zeros: code 0 counts as used until the zeros have left.
/// </remarks>
public sealed class UsageWindowReference
{
    private readonly int[] _window;
    private readonly int[] _counts;
    private int _next;

    /// <summary>An empty window, which means one full of zeros.</summary>
    /// <param name="k">The number of codes, at least 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no code.</exception>
    public UsageWindowReference(int k)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 1);
        _window = new int[k < 65536 ? 65536 : k + 1];
        _counts = new int[k];
        _counts[0] = _window.Length;
    }

    /// <summary>The number of assignments in the window.</summary>
    public int Length => _window.Length;

    /// <summary>The number of different codes in the window.</summary>
    public int Used => _counts.Count(count => count > 0);

    /// <summary>The part of the codes in the window, in (0, 1].</summary>
    public double Usage => (double)Used / _counts.Length;

    /// <summary>Takes in assignments; as many of the oldest leave.</summary>
    /// <param name="index">Codes in the order of the rows; -1 is passed over.</param>
    /// <exception cref="ArgumentOutOfRangeException">An index is below -1 or not below k.</exception>
    public void Add(ReadOnlySpan<int> index)
    {
        foreach (int code in index)
        {
            if (Check.Index(code, _counts.Length, nameof(index)) >= 0)
            {
                _counts[_window[_next]]--;
                _counts[code]++;
                _window[_next] = code;
                _next = (_next + 1) % _window.Length;
            }
        }
    }
}
