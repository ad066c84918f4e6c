namespace Kernels.References.Dct;

/// <summary>What DCT-AdamW keeps of one matrix; updated in place.</summary>
public sealed class DctAdamWState
{
    internal DctAdamWState(int lowLength, int rank, int errorLength)
    {
        Mean = new Bounded[lowLength];
        MeanSquare = new Bounded[lowLength];
        Index = [.. Enumerable.Range(0, rank)];
        Error = new Bounded[errorLength];
    }

    /// <summary>A state that goes on by itself.</summary>
    internal DctAdamWState(DctAdamWState other)
    {
        Mean = [.. other.Mean];
        MeanSquare = [.. other.MeanSquare];
        Index = [.. other.Index];
        Error = [.. other.Error];
    }

    /// <summary>exp_avg: [rows, r] of a projection from the right, [r, columns] of one from the left.</summary>
    public Bounded[] Mean { get; }

    /// <summary>exp_avg_sq, of the same shape.</summary>
    public Bounded[] MeanSquare { get; }

    /// <summary>The columns of the basis that the states belong to, [r], ascending.</summary>
    public int[] Index { get; }

    /// <summary>The error that the next gradient takes up, [rows, columns]; empty without error feedback.</summary>
    public Bounded[] Error { get; }
}
