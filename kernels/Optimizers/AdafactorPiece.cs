using ILGPU;
using Kernels.DeviceCode.Reductions;

namespace Kernels.DeviceCode.Optimizers;

/// <summary>How second moments are kept.</summary>
internal interface ISecondMoments
{
    /// <summary>Row means and column means of matrices, instead of one number for each element.</summary>
    static abstract bool IsFactored { get; }

    /// <summary>Whether all elements of a piece are of one row of one matrix.</summary>
    static abstract bool IsOfOneRow { get; }

    /// <summary>What all elements of a piece share.</summary>
    static abstract float Shared(ArrayView<float> rows, ArrayView<float> scales, AdafactorPiece piece);

    /// <summary>The second moment of element <paramref name="k"/> of a piece.</summary>
    static abstract float Of(
        ArrayView<float> rows, ArrayView<float> columns, ArrayView<float> scales, AdafactorPiece piece, long k,
        float shared);
}

/// <summary>Matrices with long rows: A holds the rows, B the columns.</summary>
internal readonly struct FactoredMoments : ISecondMoments
{
    public static bool IsFactored => true;

    public static bool IsOfOneRow => true;

    public static float Shared(ArrayView<float> rows, ArrayView<float> scales, AdafactorPiece piece) =>
        rows[piece.Row] * scales[piece.Matrix];

    public static float Of(
        ArrayView<float> rows, ArrayView<float> columns, ArrayView<float> scales, AdafactorPiece piece, long k,
        float shared) => shared * columns[piece.Column + k];
}

/// <summary>Matrices with short rows, of which a piece has several, or has several matrices: A and B as above.</summary>
internal readonly struct NarrowMoments : ISecondMoments
{
    public static bool IsFactored => true;

    public static bool IsOfOneRow => false;

    public static float Shared(ArrayView<float> rows, ArrayView<float> scales, AdafactorPiece piece) => 0f;

    public static float Of(
        ArrayView<float> rows, ArrayView<float> columns, ArrayView<float> scales, AdafactorPiece piece, long k,
        float shared)
    {
        int row = AdafactorPiece.Over((int)k, piece.OverColumns);
        int matrix = AdafactorPiece.Over((int)k, piece.OverMatrix);
        int column = (int)k - row * piece.Columns + matrix * piece.Columns;
        return rows[piece.Row + row] * scales[piece.Matrix + matrix] * columns[piece.Column + column];
    }
}

/// <summary>Vectors: A holds one number for each element.</summary>
internal readonly struct WholeMoments : ISecondMoments
{
    public static bool IsFactored => false;

    public static bool IsOfOneRow => false;

    public static float Shared(ArrayView<float> rows, ArrayView<float> scales, AdafactorPiece piece) => 0f;

    public static float Of(
        ArrayView<float> rows, ArrayView<float> columns, ArrayView<float> scales, AdafactorPiece piece, long k,
        float shared) => rows[piece.Row + k];
}

/// <summary>
/// Up to 256 consecutive elements of a tensor: of a vector, of one long row of a matrix, or several short rows of one
/// matrix, or several small matrices.
/// </summary>
internal struct AdafactorPiece
{
    internal const int Length = Pieces.Length;

    /// <summary>Rows are short up to here: of longer ones each has pieces of its own.</summary>
    internal const int NarrowColumns = 32;

    /// <summary>The first element.</summary>
    public long First;

    /// <summary>Where the second moment of its row is; of a vector that of the element itself.</summary>
    public long Row;

    /// <summary>Where the second moment of its column is.</summary>
    public long Column;

    /// <summary>Its matrix, of all matrices.</summary>
    public long Matrix;
    public int Tensor;

    /// <summary>Where among all pieces this one stands.</summary>
    public int Index;
    public int Count;

    /// <summary>Elements of a short row.</summary>
    public int Columns;

    /// <summary>2^16 / columns of a short row, rounded up; else 0.</summary>
    public int OverColumns;

    /// <summary>2^16 / elements of a small matrix, rounded up; else 0.</summary>
    public int OverMatrix;

    /// <summary>2^16 / <paramref name="n"/>, rounded up, for 1 to 256.</summary>
    internal static int Reciprocal(int n) => (65535 + n) / n;

    /// <summary>k / n from the reciprocal of n: exact for both up to 256, since the error of k / n is then below 1 / n.</summary>
    internal static int Over(int k, int reciprocal) => k * reciprocal >> 16;
}
