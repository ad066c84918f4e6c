namespace Kernels.Quantization;

/// <summary>How a product with a packed matrix is computed.</summary>
internal enum QuantizedProductWay
{
    /// <summary>Rows are dequantized into scratch memory and multiplied as a dense matrix.</summary>
    Slabs,

    /// <summary>Weights are looked up where they are multiplied.</summary>
    Looked,

    /// <summary>Partial sums of a vector's activations are looked up and added.</summary>
    PartialSums,
}
