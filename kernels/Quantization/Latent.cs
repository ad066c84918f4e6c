using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;

namespace Kernels.DeviceCode.Quantization;

/// <summary>One latent number for each weight in place of k logits, one weight per item.</summary>
/// <remarks>
/// Source: ours, by the straight-through estimator (Bengio, Leonard, Courville 2013, arXiv:1308.3432). j = ceil(v - 1/2)
/// between 0 and k - 1, so that a half has the lower code; dv = g s (c_(j+1) - c_(j-1)) / 2, the one gap that there is
/// at an end.
/// Shapes: latent, value, index, g, dv [m]. Traffic: 12 bytes a weight, and 4 for the value, 1 for the index.
/// Domain: NaN has code 0; k = 1 has the gradient 0.
/// </remarks>
internal struct LatentWork : IItemWork
{
    public ArrayView<float> Latent;

    /// <summary>[codebooks, k], ascending.</summary>
    public ArrayView<float> Codebook;

    /// <summary>[scales]; not read unless <see cref="HasScale"/>.</summary>
    public ArrayView<float> Scale;

    /// <summary>Not read unless <see cref="HasGradient"/>.</summary>
    public ArrayView<float> Grad;
    public ArrayView<float> Value;
    public ArrayView<byte> Index;
    public ArrayView<float> GradLatent;
    public ScopeTable Codebooks;
    public ScopeTable Scales;
    public int Columns;
    public int Codes;
    public int HasScale;
    public int HasGradient;
    public int HasValue;
    public int HasIndex;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int weight = (int)i;
        int row = weight / Columns;
        int code = Code(Latent[i], Codes);
        long book = (long)Codebooks.Of(row, weight) * Codes;
        float scale = 1f;
        if (HasScale != 0)
        {
            scale = Scale[Scales.Of(row, weight)];
        }

        if (HasValue != 0)
        {
            Value[i] = scale * Codebook[book + code];
        }

        if (HasIndex != 0)
        {
            Index[i] = (byte)code;
        }

        if (HasGradient != 0)
        {
            int low = IntrinsicMath.Max(code - 1, 0);
            int high = IntrinsicMath.Min(code + 1, Codes - 1);
            float slope = Codebook[book + high] - Codebook[book + low];
            GradLatent[i] = Grad[i] * scale * (slope * Utilities.Select(high - low == 2, 0.5f, 1f));
        }
    }

    /// <summary>ceil(v - 1/2), clamped. By comparisons that NaN fails, and a conversion of what is in range.</summary>
    internal static int Code(float latent, int codes)
    {
        float last = codes - 1;
        float above = Utilities.Select(latent > 0f, latent, 0f);
        float inside = Utilities.Select(above < last, above, last);
        int below = (int)inside;
        return below + Utilities.Select(inside - below > 0.5f, 1, 0);
    }
}
