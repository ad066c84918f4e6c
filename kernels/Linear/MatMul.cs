using ILGPU;

namespace Kernels.DeviceCode.Linear;

/// <summary>A product C = act(C0 + bias + op(A) op(B)), row-major and dense.</summary>
internal struct MatMulArguments
{
    public ArrayView<float> A;
    public ArrayView<float> B;
    public ArrayView<float> C;
    public ArrayView<float> Bias;
    public int M;
    public int N;
    public int K;
    public int HasBias;    // 0 or 1
    public int Accumulate; // 1: C0 is what C holds, 0: C0 is zero
}

/// <summary>
/// How an operand lies in memory. Both operands are seen alike, as lines across the depth k: rows of op(A), columns of
/// op(B).
/// </summary>
internal interface ISide
{
    /// <summary>Whether neighbours in depth are neighbours in memory: A as it is, B transposed.</summary>
    static abstract bool DepthContiguous { get; }
}

/// <summary>[across, depth]: A as it is, B transposed.</summary>
internal readonly struct AlongDepth : ISide
{
    public static bool DepthContiguous => true;
}

/// <summary>[depth, across]: A transposed, B as it is.</summary>
internal readonly struct AcrossDepth : ISide
{
    public static bool DepthContiguous => false;
}

/// <summary>Whether 128-bit accesses are allowed.</summary>
internal interface IAccess
{
    static abstract bool Packets { get; }
}

/// <summary>One float at a time.</summary>
internal readonly struct ScalarAccess : IAccess
{
    public static bool Packets => false;
}

/// <summary>Four floats at a time: every view is aligned, and every contiguous dimension is a multiple of four.</summary>
internal readonly struct PacketAccess : IAccess
{
    public static bool Packets => true;
}
