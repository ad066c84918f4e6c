using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;

namespace Kernels.DeviceCode.Quantization;

/// <summary>Weights in parts that have one codebook and one scale each, and the sums of a part for each code.</summary>
/// <remarks>
/// Source: JLCM, arXiv:2309.17361: dC_k = sum over the weights of code k of s dW, ds = sum over the weights of the scale
/// of C[I] dW; and the best codes and scales for given indices, C_k = sum h s w / sum h s^2, s = sum h c w / sum h c^2.
/// All of them come from the sums of dW, or of h w and h, for each code of a part: scales and codes are factors of those.
/// Shapes: index, dW, w, h [m]; codebook [codebooks, k]; scale [scales].
/// Traffic: dW (w, and h if given) and the index once, 5 bytes a weight (9 with h); then k numbers for each part.
/// Needs: a group a part, each lane with bins of its own in shared memory, 4 KiB for up to 1,024 and 32 KiB above.
/// Order: a lane's weights ascending, lanes from the number of the bin on, parts ascending in chunks of 64, chunks
/// ascending: no atomic operation, the same bits for every launch.
/// Domain: an index that is of no code counts for none. What is not finite stays in its code, and in its scale.
/// </remarks>
internal struct CodebookParts
{
    /// <summary>The first weight of each part, [parts + 1].</summary>
    public ArrayView<int> Start;
    public ArrayView<byte> Index;

    /// <summary>Out: [parts, sets, k].</summary>
    public ArrayView<float> Bins;
    public int Codes;
}

/// <summary>What is summed for each code.</summary>
internal interface ICodebookTerms
{
    /// <summary>One sum or two.</summary>
    static abstract int Sets { get; }

    /// <summary>The terms of a weight.</summary>
    Quad Read(long i);
}

/// <summary>dW.</summary>
internal struct GradientTerms : ICodebookTerms
{
    public ArrayView<float> Grad;

    public static int Sets => 1;

    public readonly Quad Read(long i) => new() { X = Grad[i] };
}

/// <summary>w, and 1.</summary>
internal struct FitTerms : ICodebookTerms
{
    public ArrayView<float> Weights;

    public static int Sets => 2;

    public readonly Quad Read(long i) => new() { X = Weights[i], Y = 1f };
}

/// <summary>h w, and h.</summary>
internal struct WeightedFitTerms : ICodebookTerms
{
    public ArrayView<float> Weights;
    public ArrayView<float> Importance;

    public static int Sets => 2;

    public readonly Quad Read(long i)
    {
        float importance = Importance[i];
        return new() { X = importance * Weights[i], Y = importance };
    }
}

/// <summary>The sums of parts, for each code.</summary>
internal static class CodebookGradientKernel
{
    /// <summary>Bins of all lanes of a group.</summary>
    internal const int FewBins = 1_024;
    internal const int ManyBins = 8_192;

    /// <param name="parts">The parts, a group each.</param>
    /// <param name="terms">What is summed.</param>
    [DeviceKernel("quantization/codebookgradient.few")]
    internal static void Few<TTerms>(CodebookParts parts, TTerms terms)
        where TTerms : struct, ICodebookTerms =>
        Sum(SharedMemory.Allocate<float>(FewBins), parts, terms);

    /// <param name="parts">The parts, a group each.</param>
    /// <param name="terms">What is summed.</param>
    [DeviceKernel("quantization/codebookgradient.many")]
    internal static void Many<TTerms>(CodebookParts parts, TTerms terms)
        where TTerms : struct, ICodebookTerms =>
        Sum(SharedMemory.Allocate<float>(ManyBins), parts, terms);

    private static void Sum<TTerms>(ArrayView<float> bins, CodebookParts parts, TTerms terms)
        where TTerms : struct, ICodebookTerms
    {
        int lanes = Group.DimX;
        int lane = Group.IdxX;
        int all = parts.Codes * TTerms.Sets;
        int begin = parts.Start[Grid.IdxX];
        int end = parts.Start[Grid.IdxX + 1];
        for (int bin = 0; bin < all; bin++)
        {
            bins[bin * lanes + lane] = 0f;
        }

        for (long i = begin + lane; i < end; i += lanes)
        {
            int code = parts.Index[i] & 0xFF;
            bool counts = code < parts.Codes;
            int at = Utilities.Select(counts, code, 0) * lanes + lane;
            Quad term = terms.Read(i);
            bins[at] += Utilities.Select(counts, term.X, 0f);
            if (TTerms.Sets > 1)
            {
                bins[at + parts.Codes * lanes] += Utilities.Select(counts, term.Y, 0f);
            }
        }

        Group.Barrier();
        for (int bin = lane; bin < all; bin += lanes)
        {
            float sum = 0f;
            for (int step = 0; step < lanes; step++)
            {
                // Each bin begins with another lane: neighbouring items then read from different banks.
                sum += bins[bin * lanes + ((bin + step) & (lanes - 1))];
            }

            parts.Bins[(long)Grid.IdxX * all + bin] = sum;
        }
    }
}

/// <summary>Consecutive parts of a share, or chunks of them.</summary>
internal struct CodebookFold
{
    /// <summary>The first of each output, [outputs + 1].</summary>
    public ArrayView<int> First;

    /// <summary>[inputs, numbers].</summary>
    public ArrayView<float> From;

    /// <summary>[outputs, numbers].</summary>
    public ArrayView<float> To;
    public int Numbers;

    internal readonly float Sum(long output, int number)
    {
        float sum = 0f;
        for (long input = First[output]; input < First[output + 1]; input++)
        {
            sum += From[input * Numbers + number];
        }

        return sum;
    }
}

/// <summary>The factors of parts go to their sums, in place: s for the first set, and s^2 for the second. One sum of a part
/// per item.</summary>
internal struct CodebookScaleWork : IItemWork
{
    /// <summary>[parts, numbers].</summary>
    public ArrayView<float> Bins;
    public ArrayView<float> Scaled;

    /// <summary>The scale of each part, [parts].</summary>
    public ArrayView<int> ScaleOf;
    public ArrayView<float> Scale;
    public int Numbers;
    public int Codes;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        long part = i / Numbers;
        int number = (int)(i - part * Numbers);
        float scale = Scale[ScaleOf[part]];
        Scaled[i] = Bins[i] * scale * Utilities.Select(number < Codes, 1f, scale);
    }
}

/// <summary>sum c x and, of two sets, sum c^2 y of a part, one part per item.</summary>
internal struct CodebookDotWork : IItemWork
{
    /// <summary>[parts, sets, k].</summary>
    public ArrayView<float> Bins;

    /// <summary>Out: [parts, sets].</summary>
    public ArrayView<float> Dots;

    /// <summary>The codebook of each part, [parts].</summary>
    public ArrayView<int> BookOf;
    public ArrayView<float> Codebook;
    public int Codes;
    public int Sets;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        long book = (long)BookOf[i] * Codes;
        long at = i * Sets * Codes;
        float products = 0f;
        for (int code = 0; code < Codes; code++)
        {
            products += Codebook[book + code] * Bins[at + code];
        }

        Dots[i * Sets] = products;
        if (Sets > 1)
        {
            float squares = 0f;
            for (int code = 0; code < Codes; code++)
            {
                float number = Codebook[book + code];
                squares += number * number * Bins[at + Codes + code];
            }

            Dots[i * Sets + 1] = squares;
        }
    }
}

/// <summary>Sums of some inputs, one number of an output per item.</summary>
internal struct CodebookFoldWork : IItemWork
{
    public CodebookFold Fold;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        long output = i / Fold.Numbers;
        Fold.To[i] = Fold.Sum(output, (int)(i - output * Fold.Numbers));
    }
}

/// <summary>The quotient of two sums; where the lower is 0 the number stays. One number of a share per item.</summary>
internal struct CodebookQuotientWork : IItemWork
{
    /// <summary>Two sets of numbers; To has one.</summary>
    public CodebookFold Fold;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int half = Fold.Numbers / 2;
        long share = i / half;
        int number = (int)(i - share * half);
        float below = Fold.Sum(share, half + number);
        if (below != 0f)
        {
            Fold.To[i] = Fold.Sum(share, number) / below;
        }
    }
}
