using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;

namespace Kernels.DeviceCode.VectorQuantization;

/// <summary>Sums over a part of the codes of a head, one part per item: the codes that lie a number of parts apart.</summary>
internal struct UsagePartWork : IItemWork
{
    /// <summary>[heads, codes].</summary>
    public ArrayView<int> Counts;

    /// <summary>Out, [heads, parts] each: the codes in use, the rows, and the sum of n log n.</summary>
    public ArrayView<int> Used;
    public ArrayView<int> Rows;
    public ArrayView<float> Logs;
    public int Codes;
    public int Parts;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        long head = i / Parts;
        int used = 0;
        int rows = 0;
        float logs = 0f;
        for (long code = i - head * Parts; code < Codes; code += Parts)
        {
            int count = Counts[head * Codes + code];
            rows += count;
            used += Utilities.Select(count > 0, 1, 0);
            Lane number = Lane.Of(IntrinsicMath.Max(count, 1)); // 1 log 1 = 0
            logs += (number * Logarithm.OfAtLeastOne(number)).Value;
        }

        Used[i] = used;
        Rows[i] = rows;
        Logs[i] = logs;
    }
}

/// <summary>The part of the codes in use and the perplexity of a head, one head per item.</summary>
/// <remarks>
/// Source: the codebook usage and perplexity that the papers report, as in the code of arXiv:2509.10140.
/// Shapes: counts [heads, codes]. Traffic: the counts once.
/// exp(-sum p log p) with p = n / N is exp(log N - (sum n log n) / N). A single code in use has 1 exactly, and so has none.
/// Order: codes of a part ascending, then parts in ascending order. Domain: a head without rows has a usage of 0 and a
/// perplexity of 1.
/// </remarks>
internal struct UsageWork : IItemWork
{
    public ArrayView<int> Used;
    public ArrayView<int> Rows;
    public ArrayView<float> Logs;

    /// <summary>Out, [heads] each.</summary>
    public ArrayView<float> Usage;
    public ArrayView<float> Perplexity;
    public int Codes;
    public int Parts;
    public int WantsPerplexity;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int used = 0;
        int rows = 0;
        float logs = 0f;
        for (int part = 0; part < Parts; part++)
        {
            long at = i * Parts + part;
            used += Used[at];
            rows += Rows[at];
            logs += Logs[at];
        }

        Usage[i] = (float)used / Codes;
        if (WantsPerplexity != 0)
        {
            Lane all = Lane.Of(IntrinsicMath.Max(rows, 1));
            Lane entropy = Logarithm.OfAtLeastOne(all) - Lane.Of(logs) / all;
            Lane positive = Lane.IfGreater(entropy, Lane.Of(0f), entropy, Lane.Of(0f));
            float value = (1f / Exponential.OfNegative(Lane.Of(0f) - positive)).Value;
            Perplexity[i] = Utilities.Select(used > 1, value, 1f);
        }
    }
}

/// <summary>The last assignments of each head.</summary>
/// <remarks>
/// Source: the code of arXiv:2509.10140. Counts change by integer atomics, whose order does not matter.
/// </remarks>
internal struct UsageWindowArguments
{
    /// <summary>The rows of each head that count, and where those of a head begin.</summary>
    public ArrayView<int> Order;
    public ArrayView<int> Begin;

    /// <summary>[rows, heads].</summary>
    public ArrayView<int> Index;

    /// <summary>[heads, length]: a ring.</summary>
    public ArrayView<int> Window;

    /// <summary>[heads, codes].</summary>
    public ArrayView<int> Counts;

    /// <summary>[heads]: the oldest place.</summary>
    public ArrayView<int> Next;
    public int Codes;
    public int Heads;
    public int Length;
}

/// <summary>Puts an assignment in the place of an old one, one assignment per item.</summary>
internal struct UsageAddWork : IItemWork
{
    public UsageWindowArguments Arguments;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        if (i >= Arguments.Begin[Arguments.Heads])
        {
            return;
        }

        int entry = Arguments.Order[i];
        int head = entry % Arguments.Heads;
        int first = Arguments.Begin[head];
        int rank = (int)i - first;
        // Of more than fit, the last remain.
        if (rank < Arguments.Begin[head + 1] - first - Arguments.Length)
        {
            return;
        }

        long place = (long)head * Arguments.Length + ((long)Arguments.Next[head] + rank) % Arguments.Length;
        long codes = (long)head * Arguments.Codes;
        int code = Arguments.Index[entry];
        Atomic.Add(ref Arguments.Counts[codes + Arguments.Window[place]], -1);
        Atomic.Add(ref Arguments.Counts[codes + code], 1);
        Arguments.Window[place] = code;
    }
}

/// <summary>Moves to the oldest place, one head per item.</summary>
internal struct UsageAdvanceWork : IItemWork
{
    public UsageWindowArguments Arguments;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        long next = (long)Arguments.Next[i] + (Arguments.Begin[i + 1] - Arguments.Begin[i]);
        Arguments.Next[i] = (int)(next % Arguments.Length);
    }
}
