namespace Kernels.References.Dct;

/// <summary>From which side a matrix is projected.</summary>
public enum ProjectionSide
{
    /// <summary>
    /// From the right if there are at least as many rows as columns, else from the left: the shorter side.
    /// </summary>
    Auto,

    /// <summary>Rows become shorter: the basis has the length of a row, and a state is [rows, r].</summary>
    Right,

    /// <summary>Columns become shorter: the basis has the length of a column, and a state is [r, columns].</summary>
    Left,
}
