using Kernels.Validation;

namespace Kernels.Quantization;

/// <summary>Which weights of a matrix share a codebook, or a scale: all of them, the rows of a group, or a block.</summary>
/// <remarks>Weights are counted in row-major order. A share is a run of them, so that no weight needs to say which one it
/// belongs to.</remarks>
public sealed class WeightScope
{
    private readonly int[] _boundaries;

    private WeightScope(WeightScopeKind kind, int[] boundaries, int block)
    {
        Kind = kind;
        _boundaries = boundaries;
        Block = block;
    }

    /// <summary>One share for all weights.</summary>
    public static WeightScope Tensor { get; } = new(WeightScopeKind.Tensor, [], 0);

    /// <summary>A share for each row.</summary>
    public static WeightScope Rows { get; } = new(WeightScopeKind.Rows, [], 0);

    /// <summary>How the weights are shared out.</summary>
    public WeightScopeKind Kind { get; }

    /// <summary>Weights of a block; 0 if there are no blocks.</summary>
    public int Block { get; }

    /// <summary>The first row of each group, and the number of rows; empty if there are no groups.</summary>
    public ReadOnlySpan<int> Boundaries => _boundaries;

    /// <summary>A share for each group of rows.</summary>
    /// <param name="boundaries">The first row of each group, and the number of rows: [g + 1], from 0, not descending. A
    /// group may be empty.</param>
    /// <returns>The scope.</returns>
    /// <exception cref="ArgumentException">The boundaries are not such.</exception>
    public static WeightScope Groups(ReadOnlySpan<int> boundaries)
    {
        if (boundaries.Length < 2)
        {
            throw new ArgumentException(
                $"There must be a first row for each group and the number of rows, and there are {boundaries.Length} numbers.",
                nameof(boundaries));
        }

        if (boundaries[0] != 0)
        {
            throw new ArgumentException($"The first group must begin with row 0, and begins with {boundaries[0]}.", nameof(boundaries));
        }

        for (int group = 1; group < boundaries.Length; group++)
        {
            if (boundaries[group] < boundaries[group - 1])
            {
                throw new ArgumentException(
                    $"The rows must not descend; {boundaries[group]} follows {boundaries[group - 1]} at {group}.",
                    nameof(boundaries));
            }
        }

        return new(WeightScopeKind.Groups, boundaries.ToArray(), 0);
    }

    /// <summary>A share for each block of consecutive weights; the last may be shorter.</summary>
    /// <param name="block">The weights of a block, at least 1. Blocks do not end with rows.</param>
    /// <returns>The scope.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The block is empty.</exception>
    public static WeightScope Blocks(int block)
    {
        Require.AtLeast(block, 1);
        return new(WeightScopeKind.Blocks, [], block);
    }

    /// <summary>The number of shares of a matrix.</summary>
    /// <param name="rows">Its rows.</param>
    /// <param name="columns">Its columns.</param>
    /// <returns>The number of shares.</returns>
    /// <exception cref="ArgumentException">The groups have another number of rows.</exception>
    public int Count(int rows, int columns)
    {
        Require.AtLeast(rows, 0);
        Require.AtLeast(columns, 0);
        switch (Kind)
        {
            case WeightScopeKind.Tensor:
                return 1;
            case WeightScopeKind.Rows:
                return rows;
            case WeightScopeKind.Groups when _boundaries[^1] != rows:
                throw new ArgumentException(
                    $"The groups must have {rows} rows, and have {_boundaries[^1]}.", nameof(rows));
            case WeightScopeKind.Groups:
                return _boundaries.Length - 1;
            default:
                return checked((int)((((long)rows * columns) + Block - 1) / Block));
        }
    }

    /// <summary>Whether no share begins or ends within a vector code.</summary>
    internal bool AreMultiplesOf(int length) => Kind != WeightScopeKind.Blocks || Block % length == 0;

    /// <summary>The same of codes of so many weights, in place of weights.</summary>
    internal WeightScope OfCodes(int length) => Kind == WeightScopeKind.Blocks && length > 1 ? Blocks(Block / length) : this;
}
