using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.Quantization;

/// <summary>Codebooks of single numbers by Lloyd's steps, one for each group of weights.</summary>
/// <remarks>
/// Source: Lloyd 1982; with weights h, as in SqueezeLLM (Kim et al. 2024, arXiv:2306.07629). A code c moves to
/// c + (sum h (w - c)) / (sum h) over the weights between its limits: distances to it are small, and so are their
/// roundings. Limits are those of <see cref="AssignArguments{TWeight, TScale}"/>.
/// Shapes: w and h [weights]; a group is a run of weights, cut into chunks, and its chunks into runs of them.
/// Storage: w F32, F16, BF16; h and arithmetic binary32.
/// Traffic: the weights once a step for each few codes, from the cache but for the first, and 8 bytes for each code of a
/// chunk.
/// Order: sums over a chunk, by sixteens on CPU devices, then over the chunks of a run and over runs, ascending.
/// Ties: those of the search. Domain: a weight that is not finite, or whose h is not above 0, does not count; a code
/// without weights, or whose mean is no number, stays.
/// </remarks>
internal struct CodebookFitArguments
{
    /// <summary>Chunks of a run.</summary>
    internal const int RunChunks = 64;

    /// <summary>With more codes CPU devices look for the code of a weight, and add to its sums in memory. With fewer, each
    /// code is compared with all weights: on PoCL that takes 11 ms for 2^24 weights and 16 codes, and as much more as there
    /// are more codes; the other 75 ms for 256.</summary>
    internal const int MostCompared = 64;

    /// <summary>[groups, k], ascending.</summary>
    public ArrayView<float> Codebook;

    /// <summary>[groups, k]: the codes after a step, in their old order.</summary>
    public ArrayView<float> Moved;

    /// <summary>[groups, width].</summary>
    public ArrayView<float> Limits;

    /// <summary>[chunks, k], and then [runs, k]: the sums of h (w - c) and of h.</summary>
    public ArrayView<float> Distances;
    public ArrayView<float> Masses;
    public ArrayView<float> RunDistances;
    public ArrayView<float> RunMasses;

    /// <summary>[chunks + 1] and [chunks]: where chunks begin, and of which group they are.</summary>
    public ArrayView<int> ChunkBegin;
    public ArrayView<int> ChunkGroup;

    /// <summary>[runs + 1] and [runs]: the first chunk of each run of chunks, and of which group it is.</summary>
    public ArrayView<int> RunBegin;
    public ArrayView<int> RunGroup;

    /// <summary>[groups + 1]: the first run of each group.</summary>
    public ArrayView<int> GroupBegin;

    /// <summary>[groups]: whether a code of the group moved last.</summary>
    public ArrayView<int> IsMoving;
    public int Codes;
    public int Width;

    /// <summary>The weights that the start is read off, of each group.</summary>
    public int Samples;

    /// <summary>The weights of a group.</summary>
    internal readonly void Weights(int group, out int begin, out int end)
    {
        begin = ChunkBegin[RunBegin[GroupBegin[group]]];
        end = ChunkBegin[RunBegin[GroupBegin[group + 1]]];
    }

    /// <summary>What a code's weights are above, and what they are not.</summary>
    internal readonly void Between(int group, int code, out float low, out float high)
    {
        int limits = group * Width;
        low = float.NegativeInfinity;
        if (code > 0)
        {
            low = Limits[limits + code - 1];
        }

        high = IntrinsicMath.Min(Limits[limits + code], float.MaxValue);
    }
}

/// <summary>The sums of a code over a run of chunks, one code of a run per item.</summary>
internal struct CodebookFitFoldWork : IItemWork
{
    public CodebookFitArguments Arguments;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int run = (int)(i / Arguments.Codes);
        int code = (int)(i - (long)run * Arguments.Codes);
        if (Arguments.IsMoving[Arguments.RunGroup[run]] == 0)
        {
            return;
        }

        float distance = 0f;
        float mass = 0f;
        int end = Arguments.RunBegin[run + 1];
        for (int chunk = Arguments.RunBegin[run]; chunk < end; chunk++)
        {
            long at = (long)chunk * Arguments.Codes + code;
            distance += Arguments.Distances[at];
            mass += Arguments.Masses[at];
        }

        Arguments.RunDistances[i] = distance;
        Arguments.RunMasses[i] = mass;
    }
}

/// <summary>Moves a code, one code per item.</summary>
internal struct CodebookFitMoveWork : IItemWork
{
    public CodebookFitArguments Arguments;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int group = (int)(i / Arguments.Codes);
        int code = (int)(i - (long)group * Arguments.Codes);
        float distance = 0f;
        float mass = 0f;
        if (Arguments.IsMoving[group] != 0)
        {
            int end = Arguments.GroupBegin[group + 1];
            for (int run = Arguments.GroupBegin[group]; run < end; run++)
            {
                long at = (long)run * Arguments.Codes + code;
                distance += Arguments.RunDistances[at];
                mass += Arguments.RunMasses[at];
            }
        }

        float old = Arguments.Codebook[i];
        float mean = old + distance / mass;
        bool moves = (mass > 0f) & (mean < float.PositiveInfinity) & (mean > float.NegativeInfinity);
        Arguments.Moved[i] = Utilities.Select(moves, mean, old);
    }
}

/// <summary>Whether a code of a group moved, one group per item; asked before the new codes are put in order.</summary>
internal struct CodebookFitRestWork : IItemWork
{
    public CodebookFitArguments Arguments;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int moved = 0;
        for (long at = i * Arguments.Codes; at < (i + 1) * Arguments.Codes; at++)
        {
            moved |= Utilities.Select(Arguments.Moved[at] != Arguments.Codebook[at], 1, 0);
        }

        Arguments.IsMoving[i] = moved;
    }
}

/// <summary>The sum of h (w - c)^2 over some weights, one run of weights per item.</summary>
internal struct CodebookFitErrorWork<TWeight> : IItemWork
    where TWeight : struct, IStorage
{
    /// <summary>Weights of an item, and sums of a fold.</summary>
    internal const int Fold = 256;

    public TWeight Numbers;
    public ArrayView<float> H;
    public ArrayView<float> Codebook;
    public ArrayView<byte> Index;
    public ScopeTable Codebooks;
    public ArrayView<float> Sums;
    public int Count;
    public int Columns;
    public int Codes;
    public int HasH;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int first = (int)i * Fold;
        int end = (int)IntrinsicMath.Min((long)first + Fold, (long)Count);
        float sum = 0f;
        for (int at = first; at < end; at++)
        {
            float x = Numbers.Decode(Numbers.Read(at));
            int codebook = Codebooks.Of(at / Columns, at);
            int code = IntrinsicMath.Min(Index[at] & 0xFF, Codes - 1);
            float distance = x - Codebook[(long)codebook * Codes + code];
            float h = 1f;
            if (HasH != 0)
            {
                h = H[at];
            }

            bool counts = (x < float.PositiveInfinity) & (x > float.NegativeInfinity) & (h > 0f);
            sum += Utilities.Select(counts, h * (distance * distance), 0f);
        }

        Sums[i] = sum;
    }
}

/// <summary>The sum of some sums, one run of them per item.</summary>
internal struct CodebookFitTotalWork : IItemWork
{
    public ArrayView<float> From;
    public ArrayView<float> To;
    public int Count;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        const int Fold = CodebookFitErrorWork<F32>.Fold;
        int end = (int)IntrinsicMath.Min((i + 1) * Fold, (long)Count);
        float sum = 0f;
        for (int at = (int)i * Fold; at < end; at++)
        {
            sum += From[at];
        }

        To[i] = sum;
    }
}
