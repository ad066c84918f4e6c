using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Storage;

namespace Kernels.DeviceCode.Reductions;

/// <summary>The values whose squares are summed.</summary>
internal interface ISquareSource
{
    /// <summary>What all values need from device memory.</summary>
    Quad Uniform();

    /// <summary>Value i.</summary>
    float Read(long i, Quad uniform);

    /// <summary>Values 4k .. 4k + 3, by 128-bit accesses (64-bit for 16-bit storage).</summary>
    Quad ReadPacket(long k, Quad uniform);
}

/// <summary>A tensor as it is stored.</summary>
internal readonly struct StoredSource<TStorage>(TStorage storage) : ISquareSource
    where TStorage : struct, IStorage
{
    private readonly TStorage _storage = storage;

    public readonly Quad Uniform() => default;

    public readonly float Read(long i, Quad uniform) => _storage.Decode(_storage.Read(i));

    public readonly Quad ReadPacket(long k, Quad uniform) => Update.Decode(_storage, k);
}

/// <summary>Partial sums of squares: sums and sizes apart, so that consecutive items use consecutive memory.</summary>
internal struct Partials
{
    public ArrayView<float> Sums;
    public ArrayView<float> Sizes;

    public readonly ScaledSum<NormLane> Read(long i) => new() { Sum = NormLane.Of(Sums[i]), Size = NormLane.Of(Sizes[i]) };

    public readonly void Write(long i, ScaledSum<NormLane> value)
    {
        Sums[i] = value.Sum.Value;
        Sizes[i] = value.Size.Value;
    }

    /// <summary>The sum of the first values, one after the other.</summary>
    public readonly ScaledSum<NormLane> Total(long count)
    {
        if (count == 0)
        {
            return new ScaledSum<NormLane> { Size = NormLane.Of(1f) };
        }

        ScaledSum<NormLane> total = Read(0);
        for (long i = 1; i < count; i++)
        {
            total = total.Plus(Read(i));
        }

        return total;
    }
}

/// <summary>The sum of the squares of a tensor, in a fixed order.</summary>
/// <remarks>
/// Shapes: tiles of 16,384 elements = 256 lanes x 64 rows; element (row, lane) of a tile is 256 row + lane. A lane sums
/// its rows in eights; the 256 tiles partial sums are folded 64 to 1 until 64 are left, which the finishing item sums.
/// Storage: elements F32, F16, BF16, arithmetic binary32 in the scaled form of <see cref="ScaledSum{T}"/>.
/// Traffic: reads every element once; writes and reads an eighth of a byte for each.
/// Order: fixed by the length alone: the same bits for every launch shape and walk.
/// Domain: an element that is not finite makes the sum not finite, and nothing else does.
/// Error: gamma(depth + 1) of the sum; depth 14 in a tile, 14 in the first fold, 63 in each other, 63 at the end.
/// </remarks>
internal static class SumOfSquares
{
    internal const int Lanes = 256;
    internal const int Rows = 64;
    internal const int TileLength = Lanes * Rows;

    /// <summary>How many partial sums a fold makes into one, and the most that are left to the finishing item.</summary>
    internal const int Fold = 64;

    /// <summary>Whole tiles, four elements per item: aligned tensors on GPUs. 64 items share a tile.</summary>
    [DeviceKernel("reductions/sumofsquares.packets")]
    internal static void TilePackets<TSource>(TSource source, Partials partials, long first)
        where TSource : struct, ISquareSource
    {
        const int Items = Lanes / 4;
        long item = first * Items + (long)Grid.IdxX * Group.DimX + Group.IdxX;
        Quad uniform = source.Uniform();
        long k = item / Items * (TileLength / 4) + item % Items;
        ScaledSum<NormLane> x = default;
        ScaledSum<NormLane> y = default;
        ScaledSum<NormLane> z = default;
        ScaledSum<NormLane> w = default;
        for (int eight = 0; eight < Rows / 8; eight++)
        {
            Quad a = source.ReadPacket(k, uniform);
            Quad b = source.ReadPacket(k + Items, uniform);
            Quad c = source.ReadPacket(k + 2 * Items, uniform);
            Quad d = source.ReadPacket(k + 3 * Items, uniform);
            Quad e = source.ReadPacket(k + 4 * Items, uniform);
            Quad f = source.ReadPacket(k + 5 * Items, uniform);
            Quad g = source.ReadPacket(k + 6 * Items, uniform);
            Quad h = source.ReadPacket(k + 7 * Items, uniform);
            x = Next(eight, x, Squares(a.X, b.X, c.X, d.X, e.X, f.X, g.X, h.X));
            y = Next(eight, y, Squares(a.Y, b.Y, c.Y, d.Y, e.Y, f.Y, g.Y, h.Y));
            z = Next(eight, z, Squares(a.Z, b.Z, c.Z, d.Z, e.Z, f.Z, g.Z, h.Z));
            w = Next(eight, w, Squares(a.W, b.W, c.W, d.W, e.W, f.W, g.W, h.W));
            k += 8 * Items;
        }

        partials.Sums.Cast<Quad>()[item] =
            new Quad { X = x.Sum.Value, Y = y.Sum.Value, Z = z.Sum.Value, W = w.Sum.Value };
        partials.Sizes.Cast<Quad>()[item] =
            new Quad { X = x.Size.Value, Y = y.Size.Value, Z = z.Size.Value, W = w.Size.Value };
    }

    internal static ScaledSum<NormLane> Squares(
        float a, float b, float c, float d, float e, float f, float g, float h) =>
        ScaledSum<NormLane>.OfSquares(
            NormLane.Of(a), NormLane.Of(b), NormLane.Of(c), NormLane.Of(d), NormLane.Of(e), NormLane.Of(f), NormLane.Of(g), NormLane.Of(h));

    // The first eight is taken as it is, as in the other walks.
    private static ScaledSum<NormLane> Next(int eight, ScaledSum<NormLane> total, ScaledSum<NormLane> next)
    {
        ScaledSum<NormLane> sum = total.Plus(next);
        return new ScaledSum<NormLane>
        {
            Sum = NormLane.Of(Utilities.Select(eight == 0, next.Sum.Value, sum.Sum.Value)),
            Size = NormLane.Of(Utilities.Select(eight == 0, next.Size.Value, sum.Size.Value)),
        };
    }
}

/// <summary>Whole tiles, one lane per item: tensors that are not aligned, and OpenCL CPU devices.</summary>
internal struct TileWork<TSource> : IBlockWork
    where TSource : struct, ISquareSource
{
    public TSource Source;
    public Partials Partials;

    public static int LaneCount => SumOfSquares.Lanes;

    public readonly Quad Uniform(long block) => Source.Uniform();

    public readonly void Item(long block, int lane, Quad uniform)
    {
        long i = block * SumOfSquares.TileLength + lane;
        // By hand: with an inner loop PoCL does not vectorise across the lanes.
        ScaledSum<NormLane> sum = Eight(i, uniform);
        sum = sum.Plus(Eight(i + 8 * SumOfSquares.Lanes, uniform));
        sum = sum.Plus(Eight(i + 16 * SumOfSquares.Lanes, uniform));
        sum = sum.Plus(Eight(i + 24 * SumOfSquares.Lanes, uniform));
        sum = sum.Plus(Eight(i + 32 * SumOfSquares.Lanes, uniform));
        sum = sum.Plus(Eight(i + 40 * SumOfSquares.Lanes, uniform));
        sum = sum.Plus(Eight(i + 48 * SumOfSquares.Lanes, uniform));
        sum = sum.Plus(Eight(i + 56 * SumOfSquares.Lanes, uniform));
        Partials.Write(block * SumOfSquares.Lanes + lane, sum);
    }

    private readonly ScaledSum<NormLane> Eight(long i, Quad uniform) => SumOfSquares.Squares(
        Source.Read(i, uniform),
        Source.Read(i + SumOfSquares.Lanes, uniform),
        Source.Read(i + 2 * SumOfSquares.Lanes, uniform),
        Source.Read(i + 3 * SumOfSquares.Lanes, uniform),
        Source.Read(i + 4 * SumOfSquares.Lanes, uniform),
        Source.Read(i + 5 * SumOfSquares.Lanes, uniform),
        Source.Read(i + 6 * SumOfSquares.Lanes, uniform),
        Source.Read(i + 7 * SumOfSquares.Lanes, uniform));
}

/// <summary>The last tile, which the tensor does not fill: what is beyond its length counts as 0.</summary>
internal struct TileTailWork<TSource> : IBlockWork
    where TSource : struct, ISquareSource
{
    public TSource Source;
    public Partials Partials;
    public long Length;

    public static int LaneCount => SumOfSquares.Lanes;

    public readonly Quad Uniform(long block) => Source.Uniform();

    public readonly void Item(long block, int lane, Quad uniform)
    {
        long i = block * SumOfSquares.TileLength + lane;
        ScaledSum<NormLane> sum = Eight(i, uniform);
        for (int eight = 1; eight < SumOfSquares.Rows / 8; eight++)
        {
            i += 8 * SumOfSquares.Lanes;
            sum = sum.Plus(Eight(i, uniform));
        }

        Partials.Write(block * SumOfSquares.Lanes + lane, sum);
    }

    private readonly ScaledSum<NormLane> Eight(long i, Quad uniform) => SumOfSquares.Squares(
        Value(i, uniform),
        Value(i + SumOfSquares.Lanes, uniform),
        Value(i + 2 * SumOfSquares.Lanes, uniform),
        Value(i + 3 * SumOfSquares.Lanes, uniform),
        Value(i + 4 * SumOfSquares.Lanes, uniform),
        Value(i + 5 * SumOfSquares.Lanes, uniform),
        Value(i + 6 * SumOfSquares.Lanes, uniform),
        Value(i + 7 * SumOfSquares.Lanes, uniform));

    private readonly float Value(long i, Quad uniform)
    {
        bool inside = i < Length;
        return Utilities.Select(inside, Source.Read(Utilities.Select(inside, i, Length - 1), uniform), 0f);
    }
}

/// <summary>The first fold, 64 to 1: sums 64 partials that lie <see cref="Outputs"/> apart.</summary>
internal struct FoldWork : IItemWork
{
    public Partials From;
    public Partials To;
    public long Outputs;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        ScaledSum<NormLane> sum = Eight(i);
        sum = sum.Plus(Eight(i + 8 * Outputs));
        sum = sum.Plus(Eight(i + 16 * Outputs));
        sum = sum.Plus(Eight(i + 24 * Outputs));
        sum = sum.Plus(Eight(i + 32 * Outputs));
        sum = sum.Plus(Eight(i + 40 * Outputs));
        sum = sum.Plus(Eight(i + 48 * Outputs));
        To.Write(i, sum.Plus(Eight(i + 56 * Outputs)));
    }

    private readonly ScaledSum<NormLane> Eight(long i)
    {
        ScaledSum<NormLane> sum = From.Read(i);
        sum = sum.Plus(From.Read(i + Outputs));
        sum = sum.Plus(From.Read(i + 2 * Outputs));
        sum = sum.Plus(From.Read(i + 3 * Outputs));
        sum = sum.Plus(From.Read(i + 4 * Outputs));
        sum = sum.Plus(From.Read(i + 5 * Outputs));
        sum = sum.Plus(From.Read(i + 6 * Outputs));
        return sum.Plus(From.Read(i + 7 * Outputs));
    }
}

/// <summary>A later fold, at most 64 to 1: sums the partials that lie <see cref="Outputs"/> apart.</summary>
internal struct FoldRestWork : IItemWork
{
    public Partials From;
    public Partials To;
    public long Inputs;
    public long Outputs;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform)
    {
        ScaledSum<NormLane> sum = From.Read(i);
        for (long j = i + Outputs; j < Inputs; j += Outputs)
        {
            sum = sum.Plus(From.Read(j));
        }

        To.Write(i, sum);
    }
}

/// <summary>The end of a norm: one item.</summary>
internal struct NormWork : IItemWork
{
    public Partials From;
    public long Count;
    public ArrayView<float> Result;

    public readonly Quad Uniform() => default;

    public readonly void Item(long i, Quad uniform) => Result[0] = From.Total(Count).Root().Value;
}
