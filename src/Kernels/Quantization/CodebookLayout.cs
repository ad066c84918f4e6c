using Kernels.Validation;

namespace Kernels.Quantization;

/// <summary>What a quantized matrix consists of: W = s C[I], with codes I of one weight or of a few neighbours of a
/// row.</summary>
/// <remarks>
/// <para>
/// Source: JLCM (Yvinec, Dapogny, Bailly 2024, arXiv:2309.17361): rows of similar distribution lie together, and a group of
/// them shares a scale (with one codebook for all) or a codebook, so that a weight needs nothing but its code. Of the paper
/// only the abstract was to be had; what it leaves open is our own.
/// </para>
/// <para>
/// Indices are [rows, columns / length], bytes of 0 to k - 1, or packed as <see cref="Format"/> says; codebooks are
/// [codebooks, k, length], F32; scales are [scales]. In linear order all codes are packed as one run, in planar order each
/// row is a run of its own.
/// </para>
/// </remarks>
public sealed class CodebookLayout
{
    /// <summary>Describes a matrix.</summary>
    /// <param name="rows">Rows, at least 1.</param>
    /// <param name="columns">Columns, at least 1 and a multiple of the length of a code; fewer than 2^31 weights in
    /// all.</param>
    /// <param name="format">The number of codes of a codebook, and how they are packed.</param>
    /// <param name="length">Weights of a code: 1, 2, 4 or 8.</param>
    /// <param name="codebooks">Which weights share a codebook; all if null.</param>
    /// <param name="scales">Which weights share a scale; there are no scales if null.</param>
    /// <param name="scaleStorage">How scales are kept.</param>
    /// <exception cref="ArgumentNullException"><paramref name="format"/> is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is out of range.</exception>
    /// <exception cref="ArgumentException">The columns are no multiple of the length, or a scope does not fit.</exception>
    public CodebookLayout(
        int rows, int columns, CodeFormat format, int length = 1, WeightScope? codebooks = null, WeightScope? scales = null,
        Storage scaleStorage = Storage.F32)
    {
        Require.NotNull(format);
        Require.AtLeast(rows, 1);
        Require.AtLeast(columns, 1);
        Require.InRange((double)rows * columns, 1, int.MaxValue + 1.0, nameof(columns));
        if (length is not (1 or 2 or 4 or 8))
        {
            throw new ArgumentOutOfRangeException(nameof(length), length, "length must be 1, 2, 4 or 8.");
        }

        if (columns % length != 0)
        {
            throw new ArgumentException($"The columns must be a multiple of {length}, and are {columns}.", nameof(columns));
        }

        Require.Defined(scaleStorage);
        Rows = rows;
        Columns = columns;
        Format = format;
        Length = length;
        Codebooks = codebooks ?? WeightScope.Tensor;
        Scales = scales;
        ScaleStorage = scaleStorage;
        CodebookCount = Shares(Codebooks, nameof(codebooks));
        ScaleCount = scales is null ? 0 : Shares(scales, nameof(scales));
        Require.InRange((double)CodebookCount * format.Codes * length, 0, int.MaxValue + 1.0, nameof(codebooks));
    }

    /// <summary>Rows.</summary>
    public int Rows { get; }

    /// <summary>Columns.</summary>
    public int Columns { get; }

    /// <summary>The number of codes of a codebook, and how they are packed.</summary>
    public CodeFormat Format { get; }

    /// <summary>The number k of codes of a codebook.</summary>
    public int Codes => Format.Codes;

    /// <summary>Weights of a code.</summary>
    public int Length { get; }

    /// <summary>Which weights share a codebook.</summary>
    public WeightScope Codebooks { get; }

    /// <summary>Which weights share a scale; null if there are no scales.</summary>
    public WeightScope? Scales { get; }

    /// <summary>How scales are kept.</summary>
    public Storage ScaleStorage { get; }

    /// <summary>The number of codebooks.</summary>
    public int CodebookCount { get; }

    /// <summary>The number of scales; 0 if there are none.</summary>
    public int ScaleCount { get; }

    /// <summary>The number of weights.</summary>
    public int WeightCount => Rows * Columns;

    /// <summary>The number of codes of a row.</summary>
    public int RowCodes => Columns / Length;

    /// <summary>The number of codes.</summary>
    public int CodeCount => Rows * RowCodes;

    /// <summary>The number of numbers of all codebooks.</summary>
    public int CodebookLength => CodebookCount * Codes * Length;

    /// <summary>Bytes of all packed codes.</summary>
    public long PackedBytes => Format.Order == PackingOrder.Linear
        ? Format.ByteCount(CodeCount)
        : Rows * Format.ByteCount(RowCodes);

    /// <summary>Bytes of all codebooks.</summary>
    public long CodebookBytes => 4L * CodebookLength;

    /// <summary>Bytes of all scales.</summary>
    public long ScaleBytes => (ScaleStorage == Storage.F32 ? 4L : 2L) * ScaleCount;

    /// <summary>Bytes of the matrix: packed codes, codebooks and scales.</summary>
    public long Bytes => PackedBytes + CodebookBytes + ScaleBytes;

    /// <summary>Bits of a weight, codebooks and scales among them.</summary>
    public double BitsPerWeight => 8.0 * Bytes / WeightCount;

    private int Shares(WeightScope scope, string name)
    {
        if (scope.Kind == WeightScopeKind.Groups && scope.Boundaries[^1] != Rows)
        {
            throw new ArgumentException($"The groups must have {Rows} rows, and have {scope.Boundaries[^1]}.", name);
        }

        if (!scope.AreMultiplesOf(Length))
        {
            throw new ArgumentException($"A block must be a multiple of {Length} weights, and has {scope.Block}.", name);
        }

        return scope.Count(Rows, Columns);
    }
}
