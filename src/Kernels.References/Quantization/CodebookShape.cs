namespace Kernels.References.Quantization;

/// <summary>The shape of a quantized matrix: Q_ij = s C[I], with codes of one number or of a few neighbours of a
/// row.</summary>
/// <remarks>
/// Source: JLCM (Yvinec, Dapogny, Bailly 2024, arXiv:2309.17361), of which the abstract is followed: rows of similar
/// distribution lie together, and a group of them shares a scale (with one codebook for all) or a codebook. Indices are
/// [rows, columns / length], codebooks [codebooks, k, length], scales [scales].
/// </remarks>
public sealed class CodebookShape
{
    /// <summary>The shape.</summary>
    /// <param name="rows">The number of rows.</param>
    /// <param name="columns">The number of columns, a multiple of the length of a code.</param>
    /// <param name="codes">The number k of codes of a codebook, at least 1.</param>
    /// <param name="length">The length of a code, at least 1.</param>
    /// <param name="codebooks">Which weights share a codebook; all if null.</param>
    /// <param name="scales">Which weights share a scale; there are no scales if null.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is too small.</exception>
    /// <exception cref="ArgumentException">A scope has another number of weights, or cuts a code.</exception>
    public CodebookShape(
        int rows, int columns, int codes, int length = 1, QuantizationScope? codebooks = null,
        QuantizationScope? scales = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        ArgumentOutOfRangeException.ThrowIfNegative(columns);
        ArgumentOutOfRangeException.ThrowIfLessThan(codes, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        if (columns % length != 0)
        {
            throw new ArgumentException($"{columns} columns are no multiple of {length}.", nameof(columns));
        }

        Rows = rows;
        Columns = columns;
        Codes = codes;
        Length = length;
        Codebooks = Checked(codebooks ?? QuantizationScope.Tensor(Weights), nameof(codebooks));
        Scales = scales is null ? null : Checked(scales, nameof(scales));
    }

    /// <summary>The number of rows.</summary>
    public int Rows { get; }

    /// <summary>The number of columns.</summary>
    public int Columns { get; }

    /// <summary>The number k of codes of a codebook.</summary>
    public int Codes { get; }

    /// <summary>The length of a code.</summary>
    public int Length { get; }

    /// <summary>Which weights share a codebook.</summary>
    public QuantizationScope Codebooks { get; }

    /// <summary>Which weights share a scale; null if there are no scales.</summary>
    public QuantizationScope? Scales { get; }

    /// <summary>The number of weights.</summary>
    public int Weights => checked(Rows * Columns);

    /// <summary>The number of indices.</summary>
    public int Indices => Weights / Length;

    /// <summary>The number of numbers of all codebooks.</summary>
    public int CodebookNumbers => Codebooks.Count * Codes * Length;

    /// <summary>Where the number that a weight is taken from lies in the codebooks.</summary>
    internal int Entry(int weight, ReadOnlySpan<int> index)
    {
        int code = index[weight / Length];
        return code >= 0 && code < Codes
            ? (((Codebooks.Of(weight) * Codes) + code) * Length) + (weight % Length)
            : throw new ArgumentOutOfRangeException(nameof(index), code, $"Must be the index of one of {Codes} codes.");
    }

    internal float Scale(int weight, ReadOnlySpan<float> scale) => Scales is null ? 1 : scale[Scales.Of(weight)];

    internal void CheckCodebook(ReadOnlySpan<float> codebook, ReadOnlySpan<float> scale)
    {
        Check.Length(codebook, CodebookNumbers);
        Check.Length(scale, Scales?.Count ?? 0);
    }

    internal void CheckAll(ReadOnlySpan<int> index, ReadOnlySpan<float> codebook, ReadOnlySpan<float> scale)
    {
        Check.Length(index, Indices);
        CheckCodebook(codebook, scale);
    }

    private QuantizationScope Checked(QuantizationScope scope, string name) =>
        scope.Weights == Weights && scope.AreMultiplesOf(Length)
            ? scope
            : throw new ArgumentException(
                $"Expected a scope of {Weights} weights that cuts no code of {Length}, got one of {scope.Weights}.",
                name);
}
