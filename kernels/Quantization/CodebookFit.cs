using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;
using Kernels.DeviceCode.VectorQuantization;
using Sixteen = Kernels.DeviceCode.Linear.Sixteen;

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

/// <summary>Some weights of each group, that lie evenly in it, one weight per item.</summary>
/// <remarks>What is not finite counts as 0.</remarks>
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

/// <summary>The sums of a code over a chunk, one code of a chunk per item, for GPUs.</summary>
internal struct CodebookFitSumWork<TWeight> : IItemWork
    where TWeight : struct, IStorage
{
    public CodebookFitArguments Arguments;
    public TWeight Numbers;
    public ArrayView<float> H;
    public int HasH;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int chunk = (int)(i / Arguments.Codes);
        int code = (int)(i - (long)chunk * Arguments.Codes);
        int group = Arguments.ChunkGroup[chunk];
        if (Arguments.IsMoving[group] == 0)
        {
            return;
        }

        Arguments.Between(group, code, out float low, out float high);
        float centre = Arguments.Codebook[(long)group * Arguments.Codes + code];
        float distance = 0f;
        float mass = 0f;
        int end = Arguments.ChunkBegin[chunk + 1];
        for (int at = Arguments.ChunkBegin[chunk]; at < end; at++)
        {
            One(at, low, high, centre, ref distance, ref mass);
        }

        Arguments.Distances[i] = distance;
        Arguments.Masses[i] = mass;
    }

    internal readonly void One(int at, float low, float high, float centre, ref float distance, ref float mass)
    {
        float x = Numbers.Decode(Numbers.Read(at));
        float h = 1f;
        if (HasH != 0)
        {
            h = H[at];
        }

        bool counts = (x > low) & (x <= high) & (h > 0f);
        distance += Utilities.Select(counts, h * (x - centre), 0f);
        mass += Utilities.Select(counts, h, 0f);
    }
}

/// <summary>The same, one chunk per item and sixteen weights at a time, for OpenCL CPU devices.</summary>
internal struct CodebookFitSixteenWork<TWeight> : IItemWork
    where TWeight : struct, IStorage
{
    public CodebookFitSumWork<TWeight> Sum;

    /// <summary>[chunks, 2, 16]: sums pass through memory, from runs of stores the compiler finds its SIMD.</summary>
    public ArrayView<float> Lanes;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int chunk = (int)i;
        int group = Sum.Arguments.ChunkGroup[chunk];
        if (Sum.Arguments.IsMoving[group] == 0)
        {
            return;
        }

        if (Sum.Arguments.Codes > CodebookFitArguments.MostCompared)
        {
            Search(chunk, group);
            return;
        }

        // A bound that differs between the items: else PoCL would run the items inside of this loop.
        int codes = IntrinsicMath.Min(Sum.Arguments.Codes, Sum.Arguments.Codes + chunk);
        for (int code = 0; code < codes; code++)
        {
            Code(chunk, group, code);
        }
    }

    private readonly void Search(int chunk, int group)
    {
        long places = (long)chunk * Sum.Arguments.Codes;
        for (int code = 0; code < Sum.Arguments.Codes; code++)
        {
            Sum.Arguments.Distances[places + code] = 0f;
            Sum.Arguments.Masses[places + code] = 0f;
        }

        long codes = (long)group * Sum.Arguments.Codes;
        int limits = group * Sum.Arguments.Width;
        int at = Sum.Arguments.ChunkBegin[chunk];
        int end = Sum.Arguments.ChunkBegin[chunk + 1];
        for (; at <= end - Sixteen.Width; at += Sixteen.Width)
        {
            var x = Sixteen.Decoded(Sum.Numbers, at);
            var found = SixteenIndices.Of(0);
            for (int step = Sum.Arguments.Width / 2; step > 0; step /= 2)
            {
                found.StepAbove(x, Sum.Arguments.Limits, limits + step - 1, step);
            }

            Add(places, codes, found.V0, x.V0, at + 0);
            Add(places, codes, found.V1, x.V1, at + 1);
            Add(places, codes, found.V2, x.V2, at + 2);
            Add(places, codes, found.V3, x.V3, at + 3);
            Add(places, codes, found.V4, x.V4, at + 4);
            Add(places, codes, found.V5, x.V5, at + 5);
            Add(places, codes, found.V6, x.V6, at + 6);
            Add(places, codes, found.V7, x.V7, at + 7);
            Add(places, codes, found.V8, x.V8, at + 8);
            Add(places, codes, found.V9, x.V9, at + 9);
            Add(places, codes, found.V10, x.V10, at + 10);
            Add(places, codes, found.V11, x.V11, at + 11);
            Add(places, codes, found.V12, x.V12, at + 12);
            Add(places, codes, found.V13, x.V13, at + 13);
            Add(places, codes, found.V14, x.V14, at + 14);
            Add(places, codes, found.V15, x.V15, at + 15);
        }

        for (; at < end; at++)
        {
            float x = Sum.Numbers.Decode(Sum.Numbers.Read(at));
            int found = 0;
            for (int step = Sum.Arguments.Width / 2; step > 0; step /= 2)
            {
                found += Utilities.Select(x > Sum.Arguments.Limits[limits + found + step - 1], step, 0);
            }

            Add(places, codes, found, x, at);
        }
    }

    private readonly void Add(long places, long codes, int code, float x, int at)
    {
        float h = 1f;
        if (Sum.HasH != 0)
        {
            h = Sum.H[at];
        }

        bool counts = (x < float.PositiveInfinity) & (x > float.NegativeInfinity) & (h > 0f);
        float distance = Utilities.Select(counts, h * (x - Sum.Arguments.Codebook[codes + code]), 0f);
        // What is stored depends on what is loaded: ILGPU moves loads down to their use, even over a store.
        Sum.Arguments.Distances[places + code] = Sum.Arguments.Distances[places + code] + distance;
        Sum.Arguments.Masses[places + code] = Sum.Arguments.Masses[places + code] + Utilities.Select(counts, h, 0f);
    }

    private readonly void Code(int chunk, int group, int code)
    {
        Sum.Arguments.Between(group, code, out float low, out float high);
        float centre = Sum.Arguments.Codebook[(long)group * Sum.Arguments.Codes + code];
        var distances = Sixteen.Of(0f);
        var masses = Sixteen.Of(0f);
        int at = Sum.Arguments.ChunkBegin[chunk];
        int end = Sum.Arguments.ChunkBegin[chunk + 1];
        if (Sum.HasH != 0)
        {
            for (; at <= end - Sixteen.Width; at += Sixteen.Width)
            {
                var x = Sixteen.Decoded(Sum.Numbers, at);
                Sixteen h = Sixteen.Contiguous(Sum.H, at).Positive();
                distances += x.DistancesIn(low, high, centre).Times(h);
                masses += x.OnesIn(low, high).Times(h);
            }
        }
        else
        {
            // Two sums at a time: an addition waits for the one before.
            var others = Sixteen.Of(0f);
            var ones = Sixteen.Of(0f);
            for (; at <= end - 2 * Sixteen.Width; at += 2 * Sixteen.Width)
            {
                var x = Sixteen.Decoded(Sum.Numbers, at);
                distances += x.DistancesIn(low, high, centre);
                masses += x.OnesIn(low, high);
                var y = Sixteen.Decoded(Sum.Numbers, at + Sixteen.Width);
                others += y.DistancesIn(low, high, centre);
                ones += y.OnesIn(low, high);
            }

            distances += others;
            masses += ones;
        }

        long lanes = (long)chunk * 2 * Sixteen.Width;
        distances.Store(Lanes, lanes);
        masses.Store(Lanes, lanes + Sixteen.Width);
        float distance = 0f;
        float mass = 0f;
        for (; at < end; at++)
        {
            Sum.One(at, low, high, centre, ref distance, ref mass);
        }

        for (int lane = 0; lane < Sixteen.Width; lane++)
        {
            distance += Lanes[lanes + lane];
            mass += Lanes[lanes + Sixteen.Width + lane];
        }

        long place = (long)chunk * Sum.Arguments.Codes + code;
        Sum.Arguments.Distances[place] = distance;
        Sum.Arguments.Masses[place] = mass;
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
