using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.Quantization;

/// <summary>Some weights of each group, that lie evenly in it, one weight per item.</summary>
/// <remarks>Source, shapes, storage and ties: as <see cref="CodebookFitArguments"/>. Traffic: the weights of the sample
/// once. Domain: what is not finite counts as 0.</remarks>
internal struct CodebookFitSampleWork<TWeight> : IItemWork
    where TWeight : struct, IStorage
{
    public CodebookFitArguments Arguments;
    public TWeight Numbers;

    /// <summary>Out, [groups, samples]; of a group of fewer weights, so many.</summary>
    public ArrayView<float> Samples;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int group = (int)(i / Arguments.Samples);
        int own = (int)(i - (long)group * Arguments.Samples);
        Arguments.Weights(group, out int begin, out int end);
        int samples = IntrinsicMath.Min(Arguments.Samples, end - begin);
        if (own < samples)
        {
            // The weight in the middle of a part of the group.
            long at = (2L * own + 1) * (end - begin) / (2L * samples);
            float value = Numbers.Decode(Numbers.Read(begin + at));
            bool isFinite = (value < float.PositiveInfinity) & (value > float.NegativeInfinity);
            Samples[i] = Utilities.Select(isFinite, value, 0f);
        }
    }
}

/// <summary>Sorts them, one per item: each finds its place.</summary>
internal struct CodebookFitSortWork : IItemWork
{
    public CodebookFitArguments Arguments;

    /// <summary>[groups, samples].</summary>
    public ArrayView<float> Samples;
    public ArrayView<float> Sorted;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int group = (int)(i / Arguments.Samples);
        long first = (long)group * Arguments.Samples;
        int own = (int)(i - first);
        Arguments.Weights(group, out int begin, out int end);
        int samples = IntrinsicMath.Min(Arguments.Samples, end - begin);
        if (own >= samples)
        {
            return;
        }

        float number = Samples[i];
        int place = 0;
        for (int other = 0; other < own; other++)
        {
            place += Utilities.Select(Samples[first + other] <= number, 1, 0);
        }

        for (int other = own + 1; other < samples; other++)
        {
            place += Utilities.Select(Samples[first + other] < number, 1, 0);
        }

        Sorted[first + place] = number;
    }
}

/// <summary>The quantiles of the sorted weights, one code per item; 0 for a group without weights.</summary>
internal struct CodebookFitStartWork : IItemWork
{
    public CodebookFitArguments Arguments;
    public ArrayView<float> Sorted;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int group = (int)(i / Arguments.Codes);
        long code = i - (long)group * Arguments.Codes;
        Arguments.Weights(group, out int begin, out int end);
        int samples = IntrinsicMath.Min(Arguments.Samples, end - begin);
        float quantile = 0f;
        if (samples > 0)
        {
            long numerator = (2 * code + 1) * (samples - 1);
            int place = (int)(numerator / (2 * Arguments.Codes));
            float rest = (float)(int)(numerator - (long)place * 2 * Arguments.Codes) / (2 * Arguments.Codes);
            long first = (long)group * Arguments.Samples;
            float low = Sorted[first + place];
            float high = Sorted[first + IntrinsicMath.Min(place + 1, samples - 1)];
            // Not above the higher one by a rounding.
            quantile = IntrinsicMath.Min(low + rest * (high - low), high);
        }

        Arguments.Moved[i] = quantile;
    }
}

/// <summary>Puts the codes of a group in ascending order, one code per item: each finds its place.</summary>
internal struct CodebookFitOrderWork : IItemWork
{
    public CodebookFitArguments Arguments;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        long group = i / Arguments.Codes;
        long first = group * Arguments.Codes;
        int own = (int)(i - first);
        float code = Arguments.Moved[i];
        int place = 0;
        for (int other = 0; other < Arguments.Codes; other++)
        {
            float value = Arguments.Moved[first + other];
            place += Utilities.Select((value < code) | ((value == code) & (other < own)), 1, 0);
        }

        Arguments.Codebook[first + place] = code;
    }
}
