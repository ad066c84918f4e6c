namespace Kernels.ML;

/// <summary>How the weights of a linear predictor are kept.</summary>
public sealed record QuantizedLinearOptions
{
    /// <summary>Values that a weight can have, 2 to 256: 16 are 4 bits a weight.</summary>
    public int Codes { get; init; } = 16;

    /// <summary>Whether each output has values of its own; else all weights share them.</summary>
    public bool CodebookPerOutput { get; init; }

    /// <summary>The most of Lloyd's steps, 0 to 10,000.</summary>
    public int Iterations { get; init; } = 30;

    internal void Validate(string name)
    {
        Columns.InRange(Codes, 2, 256, name);
        Columns.InRange(Iterations, 0, 10_000, name);
    }
}
