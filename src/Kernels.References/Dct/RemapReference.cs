namespace Kernels.References.Dct;

/// <summary>The state of an optimizer on its way from one choice of columns to the next.</summary>
/// <remarks>
/// Source: Modoranu et al. 2025, arXiv:2505.17967, rotate the state by R = Q_previous Q_current^T. The rows of Q are
/// orthonormal, so R has a one where a column is in both choices and nothing else: a column that stays takes its state with
/// it, a new one begins at 0. Exact.
/// </remarks>
public static class RemapReference
{
    /// <summary>Moves the columns of a state.</summary>
    /// <param name="state">[rows, r], row-major.</param>
    /// <param name="previous">The r columns that the state belongs to, ascending.</param>
    /// <param name="current">The r columns that it shall belong to, ascending.</param>
    /// <returns>[rows, r].</returns>
    /// <exception cref="ArgumentException">A length does not fit, or indices do not ascend.</exception>
    public static float[] Apply(ReadOnlySpan<float> state, ReadOnlySpan<int> previous, ReadOnlySpan<int> current) =>
        Move(state, previous, current);

    /// <summary>Moves the columns of a state with their bounds.</summary>
    /// <param name="state">[rows, r], row-major.</param>
    /// <param name="previous">The r columns that the state belongs to, ascending.</param>
    /// <param name="current">The r columns that it shall belong to, ascending.</param>
    /// <returns>[rows, r].</returns>
    /// <exception cref="ArgumentException">A length does not fit, or indices do not ascend.</exception>
    public static Bounded[] Apply(
        ReadOnlySpan<Bounded> state, ReadOnlySpan<int> previous, ReadOnlySpan<int> current) =>
        Move(state, previous, current);

    private static T[] Move<T>(ReadOnlySpan<T> state, ReadOnlySpan<int> previous, ReadOnlySpan<int> current)
    {
        int rows = Check.Rows(state, previous.Length);
        Check.SameLength(previous, current);
        Ascending(previous, nameof(previous));
        Ascending(current, nameof(current));
        var result = new T[state.Length];
        for (int i = 0; i < current.Length; i++)
        {
            int from = previous.BinarySearch(current[i]);
            for (int row = 0; row < rows && from >= 0; row++)
            {
                result[(row * current.Length) + i] = state[(row * current.Length) + from];
            }
        }

        return result;
    }

    private static void Ascending(ReadOnlySpan<int> index, string name)
    {
        for (int i = 1; i < index.Length; i++)
        {
            if (index[i] <= index[i - 1])
            {
                throw new ArgumentException($"Must ascend, and {index[i]} does not.", name);
            }
        }
    }
}
