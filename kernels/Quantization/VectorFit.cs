using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.Quantization;

/// <summary>Weights over their scale, and how much they then count; the weights of a code in planes. One code per item.</summary>
/// <remarks>
/// Source: sum h (w - s c)^2 = sum h s^2 (w / s - c)^2. Shapes: w [codes, length], h [codes], planes [length, codes], masses
/// [codes]. Storage: w and scales F32, F16, BF16; the rest binary32. Traffic: w, the scales and h once, and 4 bytes for
/// each weight and each code written. Order: none. Domain: where a quotient is not finite, those of its code are 0; there,
/// and where h s^2 is not finite or not above 0, the mass is 0.
/// </remarks>
internal struct NormalWeightsWork<TWeight, TScale> : IItemWork
    where TWeight : struct, IStorage
    where TScale : struct, IStorage
{
    public TWeight Numbers;

    /// <summary>Not read unless <see cref="HasScale"/>.</summary>
    public TScale Scales;
    public ScopeTable ScaleScope;

    /// <summary>Not read unless <see cref="HasH"/>.</summary>
    public ArrayView<float> H;
    public ArrayView<float> Planes;
    public ArrayView<float> Masses;
    public int Length;
    public int Count;

    /// <summary>Weights of a row.</summary>
    public int Columns;
    public int HasScale;
    public int HasH;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int first = (int)i * Length;
        float scale = 1f;
        if (HasScale != 0)
        {
            scale = Scales.Decode(Scales.Read(ScaleScope.Of(first / Columns, first)));
        }

        float mass = scale * scale;
        if (HasH != 0)
        {
            mass *= H[i];
        }

        bool isFinite = true;
        for (int j = 0; j < Length; j++)
        {
            float number = Normal(first + j, scale);
            isFinite &= (number < float.PositiveInfinity) & (number > float.NegativeInfinity);
        }

        for (int j = 0; j < Length; j++)
        {
            Planes[(long)j * Count + i] = Utilities.Select(isFinite, Normal(first + j, scale), 0f);
        }

        Masses[i] = Utilities.Select(isFinite & (mass > 0f) & (mass < float.PositiveInfinity), mass, 0f);
    }

    private readonly float Normal(long at, float scale) => Numbers.Decode(Numbers.Read(at)) / scale;
}

/// <summary>Some codes' weights of each group, that lie evenly in it, one code per item.</summary>
/// <remarks>Source and order: as <see cref="NormalWeightsWork{TWeight, TScale}"/>. Shapes: samples [samples, groups,
/// length]. Traffic: the sample once. Domain: NaN where a group has fewer codes, and for a code that does not count.
/// </remarks>
internal struct VectorFitSampleWork : IItemWork
{
    public CodebookFitArguments Arguments;

    /// <summary>[length, codes].</summary>
    public ArrayView<float> Planes;
    public ArrayView<float> Masses;
    public ArrayView<float> Samples;
    public int Length;
    public int Count;
    public int Groups;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int own = (int)(i / Groups);
        int group = (int)(i - (long)own * Groups);
        Arguments.Weights(group, out int begin, out int end);
        int samples = IntrinsicMath.Min(Arguments.Samples, end - begin);
        bool isSample = own < samples;
        long at = 0;
        if (isSample)
        {
            // The code in the middle of a part of the group.
            at = begin + (2L * own + 1) * (end - begin) / (2L * samples);
            isSample = Masses[at] > 0f;
        }

        for (int j = 0; j < Length; j++)
        {
            Samples[i * Length + j] = Utilities.Select(isSample, Planes[(long)j * Count + at], float.NaN);
        }
    }
}

/// <summary>Codes [codes, length] from or to planes [length, codes], one number per item. What is not finite is 0 in
/// planes, and leaves a code as it was.</summary>
internal struct VectorFitPlaneWork : IItemWork
{
    public ArrayView<float> Codebook;
    public ArrayView<float> Planes;
    public int Length;
    public int Count;
    public int IsBack;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        long code = i / Length;
        long at = (i - code * Length) * Count + code;
        float number = Codebook[i];
        if (IsBack == 0)
        {
            bool isFinite = (number < float.PositiveInfinity) & (number > float.NegativeInfinity);
            Planes[at] = Utilities.Select(isFinite, number, 0f);
            return;
        }

        float moved = Planes[at];
        bool isNumber = (moved < float.PositiveInfinity) & (moved > float.NegativeInfinity);
        Codebook[i] = Utilities.Select(isNumber, moved, number);
    }
}
