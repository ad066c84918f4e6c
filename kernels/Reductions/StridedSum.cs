using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Reductions;

/// <summary>
/// Plain sums or maxima, at most 64 to 1: output i is that of the inputs i, i + outputs, i + 2 outputs, ..., in this
/// order. Squares in them are not scaled.
/// </summary>
/// <remarks>Order: fixed by the length. Ties: a NaN wins every maximum.</remarks>
internal struct StridedSum : IItemWork
{
    /// <summary>How many inputs make one output, at most.</summary>
    internal const int Fold = 64;

    public ArrayView<float> From;
    public ArrayView<float> To;
    public long Inputs;
    public long Outputs;

    /// <summary>Not 0: the largest instead of the sum.</summary>
    public int Largest;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        float result = From[i];
        for (long j = i + Outputs; j < Inputs; j += Outputs)
        {
            float next = From[j];
            result = Utilities.Select(Largest != 0, LargerOf(result, next), result + next);
        }

        To[i] = result;
    }

    /// <summary>The larger; a NaN if one is.</summary>
    // NaN by its bits: ILGPU's OpenCL knows no unordered comparison, so that !(x <= y) is false for a NaN.
    internal static float LargerOf(float left, float right)
    {
        bool isNaN = (Interop.FloatAsInt(right) & 0x7FFFFFFFu) > 0x7F800000u;
        return Utilities.Select((right > left) | isNaN, right, left);
    }
}
