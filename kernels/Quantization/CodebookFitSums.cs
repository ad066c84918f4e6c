using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;
using Kernels.DeviceCode.VectorQuantization;
using Sixteen = Kernels.DeviceCode.Linear.Sixteen;

namespace Kernels.DeviceCode.Quantization;

/// <summary>The sums of a code over a chunk, one code of a chunk per item, for GPUs.</summary>
/// <remarks>Source, shapes, storage, traffic, order, ties and domain: as <see cref="CodebookFitArguments"/>.</remarks>
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
