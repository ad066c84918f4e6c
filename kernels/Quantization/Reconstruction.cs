using ILGPU;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;

namespace Kernels.DeviceCode.Quantization;

/// <summary>2 (q - w), one weight per item.</summary>
internal struct ReconstructionErrorWork : IItemWork
{
    public ArrayView<float> W;
    public ArrayView<float> Q;
    public ArrayView<float> Error;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform) => Error[i] = 2f * (Q[i] - W[i]);
}

/// <summary>2 h (q - w) and h (q - w)^2, one weight per item.</summary>
internal struct ReconstructionWeightedWork : IItemWork
{
    public ArrayView<float> W;
    public ArrayView<float> Q;

    /// <summary>Not read unless <see cref="HasImportance"/>.</summary>
    public ArrayView<float> Importance;
    public ArrayView<float> GradQ;
    public ArrayView<float> Square;
    public int HasImportance;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        float error = Q[i] - W[i];
        float weighted = error;
        if (HasImportance != 0)
        {
            weighted = error * Importance[i];
        }

        GradQ[i] = 2f * weighted;
        Square[i] = weighted * error;
    }
}

/// <summary>
/// Sums of products, times a factor, at most 64 to 1: output i is that of the inputs i, i + outputs, i + 2 outputs, ...,
/// in this order.
/// </summary>
internal struct ReconstructionDotWork : IItemWork
{
    public ArrayView<float> A;
    public ArrayView<float> B;
    public ArrayView<float> To;
    public long Inputs;
    public long Outputs;
    public float Factor;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        float sum = 0f;
        for (long j = i; j < Inputs; j += Outputs)
        {
            sum += A[j] * B[j];
        }

        To[i] = sum * Factor;
    }
}
