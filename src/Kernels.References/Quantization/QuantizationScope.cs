namespace Kernels.References.Quantization;

/// <summary>Which weights share a codebook, or a scale: all of them, the rows of a group, or a block.</summary>
/// <remarks>
/// Weights are counted in row-major order. A share is a run of them, so that no weight needs to say which one it
/// belongs to.
/// </remarks>
public sealed class QuantizationScope
{
    private readonly int[] _starts;

    private QuantizationScope(int[] starts) => _starts = starts;

    /// <summary>The number of shares.</summary>
    public int Count => _starts.Length - 1;

    /// <summary>The number of weights.</summary>
    public int Weights => _starts[^1];

    /// <summary>One share for all.</summary>
    /// <param name="weights">The number of weights.</param>
    /// <exception cref="ArgumentOutOfRangeException">The number is negative.</exception>
    public static QuantizationScope Tensor(int weights)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(weights);
        return new([0, weights]);
    }

    /// <summary>A share for each group of rows.</summary>
    /// <param name="boundaries">The first row of each group, and the number of rows: [g + 1], from 0, not descending. A
    /// group may be empty.</param>
    /// <param name="columns">The number of columns.</param>
    /// <exception cref="ArgumentException">The boundaries are not such.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The number of columns is negative.</exception>
    public static QuantizationScope Groups(ReadOnlySpan<int> boundaries, int columns)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(columns);
        bool isValid = boundaries.Length > 1 && boundaries[0] == 0;
        for (int group = 1; isValid && group < boundaries.Length; group++)
        {
            isValid = boundaries[group] >= boundaries[group - 1];
        }

        return isValid
            ? new(Array.ConvertAll(boundaries.ToArray(), row => checked(row * columns)))
            : throw new ArgumentException("Must begin with 0, not descend, and end a group.", nameof(boundaries));
    }

    /// <summary>A share for each block of consecutive weights; the last may be shorter.</summary>
    /// <param name="block">The weights of a block, at least 1. Blocks do not end with rows.</param>
    /// <param name="weights">The number of weights.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is too small.</exception>
    public static QuantizationScope Blocks(int block, int weights)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(block, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(weights);
        int count = (weights / block) + (weights % block == 0 ? 0 : 1);
        var starts = new int[count + 1];
        for (int i = 0; i < count; i++)
        {
            starts[i] = i * block;
        }

        starts[count] = weights;
        return new(starts);
    }

    /// <summary>The share of a weight.</summary>
    /// <param name="weight">The weight.</param>
    /// <returns>0 to count - 1.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such weight.</exception>
    public int Of(int weight)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(weight);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(weight, Weights);
        int low = 0;
        int high = Count;
        while (high - low > 1)
        {
            int middle = (low + high) / 2;
            (low, high) = _starts[middle] <= weight ? (middle, high) : (low, middle);
        }

        return low;
    }

    /// <summary>The weights of a share.</summary>
    /// <param name="share">0 to count - 1.</param>
    /// <returns>The first, and how many.</returns>
    /// <exception cref="IndexOutOfRangeException">There is no such share.</exception>
    public (int Start, int Length) Run(int share) => (_starts[share], _starts[share + 1] - _starts[share]);

    internal bool AreMultiplesOf(int length) => Array.TrueForAll(_starts, start => start % length == 0);
}
