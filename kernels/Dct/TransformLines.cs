using ILGPU;

namespace Kernels.DeviceCode.Dct;

/// <summary>What a transform goes over, and what it does with the result. A line is a row or a column.</summary>
internal struct TransformLines
{
    /// <summary>
    /// [rows, columns], row-major, only read, unless y is the same view. If the input is sparse [rows, r] or [r, columns].
    /// </summary>
    public ArrayView<float> X;

    /// <summary>Added to x if <see cref="HasAddend"/>.</summary>
    public ArrayView<float> Addend;

    /// <summary>[rows, columns], written. If the output is sparse [rows, r] or [r, columns].</summary>
    public ArrayView<float> Y;

    /// <summary>[r], ascending: the numbers of a line that a sparse input or output has; what is none is 0 and goes nowhere.</summary>
    public ArrayView<int> Index;

    /// <summary>If wanted, [segments, n]: of each segment of lines the sums of squares of each number of y.</summary>
    public ArrayView<float> Squares;

    /// <summary>Likewise the sums of magnitudes.</summary>
    public ArrayView<float> Magnitudes;

    /// <summary>Number of lines.</summary>
    public int Lines;

    /// <summary>Lines of a segment, a multiple of 16: a unit of work.</summary>
    public int SegmentLines;

    /// <summary>r, if input or output are sparse.</summary>
    public int Rank;

    /// <summary>1 if x has the chosen numbers alone, the others being 0.</summary>
    public int IsInputSparse;

    /// <summary>1 if y gets the chosen numbers alone.</summary>
    public int IsOutputSparse;

    /// <summary>1 if there is an addend.</summary>
    public int HasAddend;

    /// <summary>1 for y = keep y + factor result, without a sparse output.</summary>
    public int IsBlended;

    /// <summary>How much of y stays; y is not read if this is 0.</summary>
    public float Keep;

    /// <summary>How much of the result is added to it.</summary>
    public float Factor;

    /// <summary>1 if the sums of squares are wanted, without a sparse output and not blended.</summary>
    public int HasSquares;

    /// <summary>Likewise for the sums of magnitudes.</summary>
    public int HasMagnitudes;

    /// <summary>Sixteens of scratch of a group, where a group has any.</summary>
    public long UnitsOfGroup;

    /// <summary>Whether sums are wanted.</summary>
    public readonly bool IsScored => (HasSquares | HasMagnitudes) != 0;
}
