using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Reductions;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.VectorQuantization;

/// <summary>Constants and memory of an update of moving means.</summary>
/// <remarks>
/// Source: van den Oord et al. 2017, arXiv:1711.00937, appendix A, with Laplace smoothing: c = decay c + (1 - decay) n,
/// a = decay a + (1 - decay) s, T = sum c, e_k = a_k / ((c_k + epsilon) / (T + K epsilon) T).
/// Shapes: rows [n, heads, d] with indices [n, heads]; codes and sums [heads, codes, d], sizes [heads, codes].
/// Storage: rows and codes F32, F16, BF16; sizes, sums and arithmetic binary32.
/// Traffic: the rows once, as <see cref="SegmentRows{TRow}"/> reads them; codes written, sums and sizes read and written.
/// Order: sums of rows as there; T in parts of the codes, then over the parts, ascending: the same for every launch.
/// Domain: a head without a row that counts is left as it is. A code whose size is 0 keeps its place. What is not finite
/// stays in its code and dimension.
/// </remarks>
internal struct EmaArguments
{
    /// <summary>[heads, codes], in place.</summary>
    public ArrayView<float> Sizes;

    /// <summary>[heads]: T.</summary>
    public ArrayView<float> Totals;

    /// <summary>[heads * codes + 1]: where the rows of a code begin.</summary>
    public ArrayView<int> Begin;

    /// <summary>Codes of a head.</summary>
    public int Codes;
    public EmaMove Move;
    public float Epsilon;

    /// <summary>K epsilon.</summary>
    public float AllEpsilon;

    /// <summary>Whether a row of this head counts.</summary>
    internal readonly bool Moves(int head) => Begin[(head + 1) * Codes] > Begin[head * Codes];
}

/// <summary>decay old + (1 - decay) now: exact for a decay of 0 and of 1.</summary>
internal struct EmaMove : IFloatOperation
{
    public float Decay;
    public float Fresh;

    public readonly float Apply(float old, float now) => Decay * old + Fresh * now;
}

/// <summary>c, one code per item.</summary>
internal struct EmaSizeWork : IItemWork
{
    public EmaArguments Arguments;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        if (Arguments.Moves((int)i / Arguments.Codes))
        {
            int count = Arguments.Begin[i + 1] - Arguments.Begin[i];
            Arguments.Sizes[i] = Arguments.Move.Apply(Arguments.Sizes[i], count);
        }
    }
}

/// <summary>Sums of parts of the sizes of a head, one part per item: the sizes that lie a number of parts apart.</summary>
internal struct EmaTotalWork : IItemWork
{
    /// <summary>[heads, length].</summary>
    public ArrayView<float> From;

    /// <summary>Out, [heads, parts].</summary>
    public ArrayView<float> To;
    public int Length;
    public int Parts;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        long head = i / Parts;
        float sum = 0f;
        for (long j = i - head * Parts; j < Length; j += Parts)
        {
            sum += From[head * Length + j];
        }

        To[i] = sum;
    }
}

/// <summary>The moving sums and the codes, from the sums of the batch, which are never stored.</summary>
/// <remarks>Traffic: the moving sums read and written, the codes written.</remarks>
internal struct EmaEnd<TCode> : ISegmentEnd
    where TCode : struct, IStorage
{
    public EmaArguments Arguments;
    public TCode Codes;

    /// <summary>[heads, codes, d], in place.</summary>
    public ArrayView<float> Sums;

    // X: the size; Y: whether the sums move; Z: whether the code does.
    public readonly Quad Open(int segment, int count, int dimension)
    {
        int head = segment / Arguments.Codes;
        float total = Arguments.Totals[head];
        float size = (Arguments.Sizes[segment] + Arguments.Epsilon) / (total + Arguments.AllEpsilon) * total;
        float moves = Utilities.Select(Arguments.Moves(head), 1f, 0f);
        return new Quad
        {
            X = size,
            Y = moves,
            Z = Utilities.Select((total == 0f) | (size == 0f), 0f, moves),
        };
    }

    public readonly void Take<TFloats>(long at, TFloats sum, Quad opened)
        where TFloats : struct, IFloats<TFloats>
    {
        if (opened.Y == 0f)
        {
            return;
        }

        var sums = new F32(Sums);
        TFloats moved = TFloats.Load(sums, at).Zip(sum, Arguments.Move);
        moved.Store(sums, at);
        if (opened.Z > 0f)
        {
            moved.Zip(TFloats.Of(opened.X), default(Division)).Store(Codes, at);
        }
    }
}

/// <summary>Rows of a part of the codes, from their counts, one part per item.</summary>
/// <remarks>
/// Traffic: the counts are read once. Domain: counts of at least 0 whose sum is below 2^31. Sums of integers: exact, so
/// that no division into parts changes them.
/// </remarks>
internal struct EmaCountWork : IItemWork
{
    /// <summary>[heads * codes].</summary>
    public ArrayView<int> Counts;

    /// <summary>Out, [parts].</summary>
    public ArrayView<int> Parts;
    public int Length;
    public int PartLength;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int end = IntrinsicMath.Min((int)(i + 1) * PartLength, Length);
        int rows = 0;
        for (int code = (int)i * PartLength; code < end; code++)
        {
            rows += Counts[code];
        }

        Parts[i] = rows;
    }
}

/// <summary>Where the rows of each code would begin in sorted order, one part of the codes per item.</summary>
/// <remarks>Traffic: the counts are read once more, the rows of the parts before by each part; begins are written.</remarks>
internal struct EmaBeginWork : IItemWork
{
    public EmaCountWork Counted;

    /// <summary>Out, [heads * codes + 1].</summary>
    public ArrayView<int> Begin;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        int end = IntrinsicMath.Min((int)(i + 1) * Counted.PartLength, Counted.Length);
        int before = 0;
        for (int part = 0; part < (int)i; part++)
        {
            before += Counted.Parts[part];
        }

        for (int code = (int)i * Counted.PartLength; code < end; code++)
        {
            Begin[code] = before;
            before += Counted.Counts[code];
        }

        if (end == Counted.Length)
        {
            Begin[end] = before;
        }
    }
}

/// <summary>The end of an update whose sums are given, one number of a code per item: <see cref="EmaEnd{TCode}"/>.</summary>
/// <remarks>Traffic: the sums of the batch read, the moving sums read and written, the codes written.</remarks>
internal struct EmaReducedWork<TCode> : IItemWork
    where TCode : struct, IStorage
{
    public EmaEnd<TCode> End;

    /// <summary>[heads, codes, d]: the sums of the batch.</summary>
    public ArrayView<float> BatchSums;
    public int Dimension;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform) =>
        End.Take(i, new OneFloat(BatchSums[i]), End.Open((int)(i / Dimension), 0, Dimension));
}
